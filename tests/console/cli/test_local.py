"""`framewire env` and `framewire logs`, on a data directory of a stack."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.cli.main import run
from console.exit_codes import ExitCode
from console.stack.data_directory import DataDirectory, S3Access, StackState
from streamproc.contract import env
from tests.plugins.missing import needs_program

KEY = 'fw_it\'s "a" $KEY `x`'


@pytest.fixture
def directory(no_settings: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DataDirectory:
    """A stack's directory; the stack's process is this one."""
    directory = DataDirectory(tmp_path / "stack")
    directory.prepare()
    directory.keep_running(
        StackState(
            pid=os.getpid(),
            url="http://127.0.0.1:18080",
            key=KEY,
            project="default",
            admin_key="fwadmin_1",
            kafka="127.0.0.1:9",
            s3=S3Access("", "", "", ""),
            clickhouse="chdb:///x",
            file_roots=[],
            children={},
        )
    )
    (directory.logs / "api.log").write_text("one\ntwo\nthree \x1b[31mred\n")
    (directory.logs / "worker-1.log").write_text("ready\n")
    monkeypatch.setenv("FRAMEWIRE_DATA", str(directory.root))
    return directory


@pytest.mark.usefixtures("directory", "processes")
@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(shell, marks=needs_program(shell, promise="framewire env in a real shell"))
        for shell in ("bash", "sh", "zsh", "fish")
    ],
)
def test_a_shell_takes_the_variables_as_they_are(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["env", "--admin", *(["--shell", "fish"] if shell == "fish" else [])]) == 0
    script = capsys.readouterr().out
    python = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    done = subprocess.run(
        [shell, "-c", f"{script}\n{python}"], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found[env.URL] == "http://127.0.0.1:18080"
    assert found[env.KEY] == KEY
    assert found[env.ADMIN_KEY] == "fwadmin_1"


@pytest.mark.usefixtures("directory")
def test_the_operators_key_is_printed_only_when_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["env", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        env.URL: "http://127.0.0.1:18080",
        env.KEY: KEY,
    }


@pytest.mark.usefixtures("no_settings")
def test_without_a_stack_nothing_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["env"]) == ExitCode.UNAVAILABLE
    output = capsys.readouterr()
    assert output.out == ""
    assert "framewire up" in output.err


@pytest.mark.usefixtures("directory")
def test_logs_are_shown_by_role_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["logs", "-n", "2"]) == 0
    assert capsys.readouterr().out == (
        "api      | two\napi      | three \\x1b[31mred\nworker-1 | ready\n"
    )
    assert run(["logs", "api", "-n", "1"]) == 0
    assert capsys.readouterr().out == "three \\x1b[31mred\n"
    assert run(["logs", "api", "-n", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"role": "api", "line": "three \x1b[31mred"}


@pytest.mark.usefixtures("directory")
def test_a_role_that_has_no_log_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs", "worker1"]) == ExitCode.USAGE
    assert "did you mean 'worker-1'?; there are: api, worker-1" in capsys.readouterr().err


@pytest.mark.usefixtures("no_settings")
def test_a_directory_without_logs_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs"]) == ExitCode.FAILED
    assert "there are no logs" in capsys.readouterr().err


@pytest.mark.usefixtures("processes")
def test_logs_are_followed_also_of_children_that_come_later(directory: DataDirectory) -> None:
    command = [sys.executable, "-m", "console", "logs", "-f", "-n", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "api      | three \\x1b[31mred\n"
            assert process.stdout.readline() == "worker-1 | ready\n"
            with (directory.logs / "worker-2.log").open("w") as log:
                log.write("I am new\n")
            assert process.stdout.readline() == "worker-2 | I am new\n"
            with (directory.logs / "api.log").open("a") as log:
                log.write("four\n")
            assert process.stdout.readline() == "api      | four\n"
        finally:
            process.terminate()
