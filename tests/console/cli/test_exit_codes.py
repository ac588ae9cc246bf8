"""Every exit code of the table is what a real command ends with."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from console.cli.main import run
from console.exit_codes import ExitCode, of_process, of_status
from tests.console.tui.recorded_api import Script


def refuse(status: int) -> Callable[[Script], None]:
    def change(script: Script) -> None:
        script.status = status

    return change


def fail_the_task(script: Script) -> None:
    script.answers["full"][script.log_task]["status"] = "failed"
    error = {"code": "source_unreadable", "message": "the file cannot be opened"}
    script.answers["full"][script.log_task]["error"] = error
    script.tasks().clear()


def keep_the_task_running(script: Script) -> None:
    script.answers["full"][script.log_task]["status"] = "running"
    script.tasks().clear()


CASES: dict[str, tuple[ExitCode, Callable[[Script], object], list[str]]] = {
    "done": (ExitCode.DONE, lambda _: None, ["system"]),
    "a failed task": (ExitCode.FAILED, fail_the_task, ["status", "TASK"]),
    "waiting for a failed task": (ExitCode.FAILED, fail_the_task, ["wait", "TASK"]),
    "a conflict": (ExitCode.FAILED, refuse(409), ["cancel", "TASK"]),
    "a broken api": (ExitCode.FAILED, refuse(500), ["list"]),
    "an unknown command": (ExitCode.USAGE, lambda _: None, ["lisd"]),
    "an unknown option": (ExitCode.USAGE, lambda _: None, ["list", "--lastt"]),
    "no such file": (ExitCode.USAGE, lambda _: None, ["run", "no-such-file.mp4"]),
    "a refused request": (ExitCode.USAGE, refuse(422), ["run", "https://example.com/a.mp4"]),
    "a wrong offset": (ExitCode.USAGE, refuse(416), ["stream", "TASK"]),
    "no duration": (ExitCode.USAGE, lambda _: None, ["keys", "rotate", "k", "--overlap", "soon"]),
    "a busy api": (ExitCode.UNAVAILABLE, refuse(503), ["list"]),
    "a limited project": (ExitCode.UNAVAILABLE, refuse(429), ["list"]),
    "a refused key": (ExitCode.DENIED, refuse(401), ["list"]),
    "a missing scope": (ExitCode.DENIED, refuse(403), ["list"]),
    "an unknown task": (ExitCode.NOT_FOUND, lambda _: None, ["status", "vt_unknown"]),
    "a timeout": (ExitCode.TIMED_OUT, keep_the_task_running, ["wait", "TASK", "--timeout", "0"]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_a_command_ends_with_the_code_of_the_table(
    script: Script, case: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    code, change, arguments = CASES[case]
    task = script.log_task
    change(script)
    words = [task if word == "TASK" else word for word in arguments]
    assert run([*words, *(["--json"] if as_json else [])]) == code
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    if as_json and output.err:
        error = json.loads(output.err)["error"]
        assert error["exit_code"] == code
        assert error["message"]
        assert error["code"]


@pytest.mark.usefixtures("no_settings")
def test_no_api_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["list"]) == ExitCode.UNAVAILABLE
    assert "framewire up" in capsys.readouterr().err
    monkeypatch.setenv("FRAMEWIRE_URL", "http://127.0.0.1:1")
    assert run(["list"]) == ExitCode.UNAVAILABLE
    assert "connection refused" in capsys.readouterr().err


@pytest.mark.usefixtures("no_settings")
def test_a_missing_operators_key_is_denied(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRAMEWIRE_URL", "http://127.0.0.1:1")
    assert run(["sql", "select 1", "--json"]) == ExitCode.DENIED
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "denied"


def heed_sigint() -> None:
    """Heed SIGINT, which what runs the tests in the background may have had them ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.usefixtures("processes")
def test_ctrl_c_is_interrupted(script: Script) -> None:
    keep_the_task_running(script)
    script.open_log = True
    command = [sys.executable, "-m", "console", "stream", script.log_task]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        env=os.environ,
        preexec_fn=heed_sigint,  # noqa: PLW1509 - it starts no thread
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()  # it follows now
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == ExitCode.INTERRUPTED


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("arguments", [["stream", "TASK"], ["sql", "select 1"]])
def test_a_reader_that_has_enough_ends_a_command_quietly(
    script: Script, arguments: list[str]
) -> None:
    """`framewire sql … | head -n 1`."""
    script.answers["sql"] = {
        "columns": ["n"],
        "types": ["UInt64"],
        "rows": [[i] for i in range(50_000)],
        "row_count": 50_000,
        "elapsed_ms": 1,
        "truncated": False,
    }
    words = [script.log_task if word == "TASK" else word for word in arguments]
    reader, writer = os.pipe()
    os.close(reader)  # nobody reads
    with os.fdopen(writer, "wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", "console", *words],
            stdout=out,
            stderr=subprocess.PIPE,
            env=os.environ,
            check=False,
        )
    assert (done.returncode, done.stderr) == (ExitCode.DONE, b"")


def test_every_code_of_the_table_is_driven() -> None:
    driven = {code for code, _, _ in CASES.values()}
    elsewhere = {ExitCode.INTERRUPTED, ExitCode.DIFFERENT}  # above; in tests/console/test_stack.py
    assert driven | elsewhere == set(ExitCode)
    assert all(code.meaning for code in ExitCode)


def test_the_help_has_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == ExitCode.DONE
    text = " ".join(capsys.readouterr().out.split())
    for code in ExitCode:
        assert f"{int(code)} {code.meaning}" in text


def test_a_status_that_nobody_expected_is_a_failure() -> None:
    assert of_status(507) == of_status(418) == of_status(302) == ExitCode.FAILED


@pytest.mark.parametrize(
    ("returncode", "code"),
    [
        (0, ExitCode.DONE),
        (1, ExitCode.FAILED),
        (2, ExitCode.USAGE),
        (3, ExitCode.FAILED),
        (5, ExitCode.FAILED),
        (-9, ExitCode.FAILED),
    ],
)
def test_the_end_of_a_child_is_a_code_of_the_table(returncode: int, code: ExitCode) -> None:
    assert of_process(returncode) == code
