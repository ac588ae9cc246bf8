"""The documents' commands, run one after another as a reader would, against one `framewire up`.

Each command is in exactly one of four places: `RUN` has what it must answer; `ROLES` are servers
that must become ready and end at SIGTERM; `SETTINGS` are exports, whose values this test replaces
by those of its own stack; `NOT_RUN` says why a command is not run and checks what can be checked.
"""

import base64
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from console.cli.main import COMMANDS
from console.stack.data_directory import S3Access
from console.stack.running import Addresses, running_stack
from streamproc.contract import env
from tests.console.cli.command_tree import commands
from tests.contract.documented import ROOT, Command, documented_commands, fenced
from tests.plugins.missing import find_program, needs_program

pytestmark = pytest.mark.timeout(600)

BROWSERS = ("chromium", "google-chrome")
needs_curl = needs_program("curl", promise="the commands of README and docs/")

# The beginning of a command, and what its output has to match.
RUN = {
    "framewire run console/data": r"(?s)TRACK +CLASS.*\b1 +pedestrian +0 ",
    'eval "$(framewire env)"': r"\A\s*\Z",
    "TASK=$(curl": r"\A\s*\Z",
    'echo "$TASK"': r"vt_[0-9A-Z]{26}",
    'curl -sS -N "$FRAMEWIRE_URL/v1/video/tasks/$TASK/stream" -H "Authorization: Bearer '
    '$FRAMEWIRE_KEY" |': r'(?s)\A\s*data: \{"id".*"finish_reason":"stop".*\n\n'
    r"data: \[DONE\]\nid: \d+\n\n\Z",
    'curl -sS -N "$FRAMEWIRE_URL/v1/video/tasks/$TASK/stream" -H "Authorization: Bearer '
    '$FRAMEWIRE_KEY" \\': r"the same bytes",
    'curl -sS "$FRAMEWIRE_URL/v1/video/tasks/$TASK/results"': r'(?s)"tracks": \[.*"track_id": 1,',
    'curl -sS "$FRAMEWIRE_URL/v1/video/tasks/$TASK/frames': r"\A\s*\Z",
    "STREAM_URL=": r"\A\s*\Z",
    'echo "$STREAM_URL"': r"/v1/video/tasks/vt_\w+/stream\?token=",
    'curl -sS -N "$FRAMEWIRE_URL$STREAM_URL"': r"the same stream",
    "framewire list": r"(?s)ID +STATUS.*succeeded",
    "framewire status": r'(?s)status +succeeded.*"steps"',
    "framewire stream": r'"finish_reason":"stop"',
    "framewire results": r"TRACK +CLASS",
    "framewire diff": r"\d+ tracks matched in \d+ common frames",
    "framewire tracks --class": r"vt_\w+ +\d+ +pedestrian",
    "framewire tracks 'class:": r"(?s)task,track_id,class,.*vt_\w+,\d+,pedestrian,",
    "framewire tracks --similar-to": r"(?s)DISTANCE.*vt_\w+",
    "framewire sql": r"(?s)class +tracks +dwell_s.*pedestrian",
    "framewire models list": r"(?s)nanodet-g@.*strip512@",
    "framewire keys create": r"fw_\S+",
    "framewire keys list": r"till 3",
    "framewire system": r"(?s)kafka +yes.*worker-1 +yes",
    "TASK=$(framewire start": r"\A\s*\Z",
    "framewire cancel": r"vt_\w+  cancelling",
    "framewire wait": r"(?s)cancelled.*it was cancelled",
    "framewire run https": r"(?s)POST http.*/v1/video/process.*ocr.*keyframe|keyframe.*ocr",
    "python -m streamproc topics": r"\A\s*\Z",
    "python -m streamproc bucket": r"\A\s*\Z",
    "python -m streamproc sandbox": r"\A(full|partial \(without network_namespace\))\n\Z",
    "framewire projects create": r"shop",
    "framewire projects limit": r"submissions_per_minute +200",
    "framewire usage": r"\A\s*DAY +PROJECT",
    'curl -sS "$FRAMEWIRE_URL/health/live"': r"\S",
    'curl -sS "$FRAMEWIRE_URL/health/ready"': r"kafka",
    'curl -sS "$FRAMEWIRE_URL/metrics"': r"framewire_api_requests_total",
}
STOPPED = {
    "framewire verify": r"\b0 findings",
    "framewire reindex": r"",
}
ROLES = {
    "python -m api",
    "python -m streamproc archive",
    "python -m streamproc index",
    "python -m streamproc worker",
}
SETTINGS = ("export ",)
STACK = "framewire up --file-root console/data"


def check_target(command: str) -> None:
    """`make TARGET`: it would install and run this very suite; the CI calls the same targets."""
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert command.split()[1] in targets


def check_options(command: str) -> None:
    """A stack with a fixed port and the reader's own directories: its options are parsed."""
    words = [word for word in shlex.split(command)[2:] if not word.startswith("~/videos")]
    up = dict(commands())["framewire up"]
    up.make_context("up", [word for word in words if word != "--file-root"]).close()


def check_pytest(command: str) -> None:
    """Tests inside of tests: the folders are there."""
    paths = [word for word in shlex.split(command) if word.startswith("tests/")]
    assert paths
    assert [path for path in paths if not (ROOT / path).is_dir()] == []


def check_console(command: str) -> None:
    """It wants a terminal and a person; it has tests of its own."""
    assert command.split()[1] in COMMANDS


def check_compose(command: str) -> None:
    """It wants Docker; `tests/deploy` reads the file. What is copied is there."""
    assert (ROOT / "compose.yaml").is_file()
    assert not command.startswith("cp ") or (ROOT / command.split()[1]).is_file()


def check_activate(command: str) -> None:
    """The environment of this test is another one where `make install` did not make it."""
    assert command == "source .venv/bin/activate"


NOT_RUN: dict[str, Callable[[str], None]] = {
    "make ": check_target,
    "framewire up --data": check_options,
    ".venv/bin/pytest": check_pytest,
    "framewire console": check_console,
    "cp deploy/.env.example .env": check_compose,
    "docker compose ": check_compose,
    "source ": check_activate,
}

COMMANDS_HERE = documented_commands()


def expectation(text: str, table: dict[str, str]) -> str | None:
    return next((want for start, want in table.items() if text.startswith(start)), None)


def places(text: str) -> list[str]:
    """Return every place that the command has in this file."""
    return [
        name
        for name, is_there in {
            "RUN": expectation(text, RUN) is not None,
            "STOPPED": expectation(text, STOPPED) is not None,
            "ROLES": text in ROLES,
            "SETTINGS": text.startswith(SETTINGS),
            "STACK": text == STACK,
            "NOT_RUN": text.startswith(tuple(NOT_RUN)),
        }.items()
        if is_there
    ]


def name(command: object) -> str:
    text = command.text if isinstance(command, Command) else str(command)
    return re.sub(r"\W+", "-", text[:60])


def those_in(place: str) -> list[Command]:
    return [command for command in COMMANDS_HERE if places(command.text) == [place]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder: the clip where the repository has it, `framewire` on the path."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "console").mkdir()
    (folder / "console" / "data").symlink_to(ROOT / "console" / "data")
    (folder / "bin").mkdir()
    installed = Path(sys.executable).with_name("framewire")
    program = folder / "bin" / "framewire"
    if installed.exists():
        program.symlink_to(installed)
    else:
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m console "$@"\n')
        program.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def environ(folder: Path) -> dict[str, str]:
    paths = [folder / "bin", Path(sys.executable).parent, os.environ["PATH"]]
    return os.environ | {
        "PATH": os.pathsep.join(map(str, paths)),
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
        env.DATA: str(folder / "stack"),
    }


@pytest.fixture(scope="module")
def outputs(engines: None, folder: Path, environ: dict[str, str]) -> dict[Command, str]:
    """What each command wrote; the roles and the stopped stack come after the others."""
    found: dict[Command, str] = {}
    arguments = [f"--data={environ[env.DATA]}", f"--file-root={ROOT / 'console' / 'data'}"]
    with running_stack(arguments, environ, stderr=folder / "up.log") as stack:
        client = environ | {env.URL: stack.url, env.KEY: stack.key} | role_settings(stack, folder)
        del client[env.ADMIN_KEY]  # the command line finds the local stack's own
        found |= run_script(those_in("RUN"), folder, client)
        found[Command("js", "")] = listen(stack, str(found[find('echo "$STREAM_URL"')]).strip())
        for command in dict.fromkeys(c.text for c in those_in("ROLES")):
            run_role(command, folder, environ | role_settings(stack, folder))
    found |= run_script(those_in("STOPPED"), folder, environ)
    return found


def find(start: str) -> Command:
    return next(command for command in COMMANDS_HERE if command.text.startswith(start))


def role_settings(stack: Addresses, folder: Path) -> dict[str, str]:
    return {
        env.KAFKA: stack.kafka,
        env.REPLICATION: "1",
        env.S3_ENDPOINT: stack.s3.endpoint,
        env.S3_BUCKET: stack.s3.bucket,
        env.S3_KEY: stack.s3.access_key,
        env.S3_SECRET: stack.s3.secret_key,
        env.CLICKHOUSE: f"chdb://{folder / 'clickhouse'}",
        env.ADMIN_KEY: "operator",
        env.TOKEN_SECRET: "secret",
        env.SECRET_KEY: base64.b64encode(bytes(32)).decode(),
    }


def run_script(
    commands: list[Command], folder: Path, environ: dict[str, str]
) -> dict[Command, str]:
    """Run the commands in one bash, which keeps their variables; each must end with 0."""
    script = "\n".join(
        ["set -e -u -o pipefail", *(f"echo '@@{i}@@'\n{c.text}" for i, c in enumerate(commands))]
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environ, capture_output=True, check=False
    )
    pieces = re.split(r"@@(\d+)@@\n", done.stdout.decode())[1:]
    found = {commands[int(i)]: text for i, text in zip(pieces[::2], pieces[1::2], strict=True)}
    last = list(found)[-1].text if found else ""
    assert done.returncode == 0, f"{last}\n{done.stdout[-2000:]!r}\n{done.stderr[-2000:]!r}"
    return found


def run_role(command: str, folder: Path, environ: dict[str, str]) -> None:
    """Start a role, wait until it is ready, end it by SIGTERM; it must end with 0."""
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    environ = environ | {env.READY_FILE: str(ready), env.PORT_FILE: str(ready), env.PORT: "0"}
    with (folder / "role.log").open("wb") as log:
        process = subprocess.Popen(
            shlex.split(command), cwd=folder, env=environ, stdout=log, stderr=log
        )
    with closing(Ending(process)):
        deadline_s = time.monotonic() + 90
        while not ready.exists():
            text = (folder / "role.log").read_text()
            assert process.poll() is None, f"{command}: {text}"
            assert time.monotonic() < deadline_s, f"{command}: {text}"
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, command


class Ending:
    """Leaves no process behind."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def listen(stack: Addresses, stream_path: str) -> str:
    """Run README's EventSource in a browser, where there is one; return its lines as JSON."""
    browser_path = find_program(*BROWSERS)
    if browser_path is None:
        return ""
    from playwright.sync_api import sync_playwright

    lines: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: lines.append(message.text))
        page.goto(f"{stack.url}/health/live")
        page.evaluate(f"streamUrl => {{ {fenced('README.md', 'js')}; window.source = source }}",
                      stream_path)  # fmt: skip
        page.wait_for_function("window.source.readyState === EventSource.CLOSED", timeout=60_000)
        browser.close()
    return json.dumps(lines)


def test_the_documents_have_commands_of_every_kind() -> None:
    assert len(COMMANDS_HERE) > 40
    assert STACK in [command.text for command in COMMANDS_HERE]
    assert {command.text for command in COMMANDS_HERE} >= ROLES


@pytest.mark.parametrize("command", COMMANDS_HERE, ids=name)
def test_a_command_has_one_place_in_this_file(command: Command) -> None:
    assert len(places(command.text)) == 1, command


@needs_curl
@pytest.mark.parametrize("command", [*those_in("RUN"), *those_in("STOPPED")], ids=name)
def test_a_command_does_what_its_document_says(
    outputs: dict[Command, str], command: Command
) -> None:
    wanted = expectation(command.text, RUN | STOPPED)
    assert wanted is not None
    assert re.search(wanted, outputs[command]), outputs[command]


@needs_curl
def test_the_frame_is_a_picture(outputs: dict[Command, str], folder: Path) -> None:
    assert (folder / "frame.jpg").read_bytes().startswith(b"\xff\xd8\xff")


@needs_curl
@needs_program(*BROWSERS, promise="README's EventSource in a browser")
def test_the_browser_s_code_gets_every_chunk(outputs: dict[Command, str]) -> None:
    heard = outputs[Command("js", "")]
    stream = find('curl -sS -N "$FRAMEWIRE_URL/v1/video/tasks/$TASK/stream"')
    frames = re.findall(r'"frame_index":(\d+),', outputs[stream])
    assert len(frames) > 20
    lines = [line.split() for line in json.loads(heard)]
    assert [line[0] for line in lines if line[0].isdecimal()] == frames


@pytest.mark.parametrize("command", those_in("NOT_RUN"), ids=name)
def test_what_is_not_run_is_there(command: Command) -> None:
    check = next(check for start, check in NOT_RUN.items() if command.text.startswith(start))
    check(command.text)


def test_the_exports_name_what_the_roles_are_given(tmp_path: Path) -> None:
    exported = {
        word.partition("=")[0]
        for command in those_in("SETTINGS")
        for word in command.text.split()
        if "=" in word
    }
    stack = Addresses("", "", "", "", S3Access("", "", "", ""), "")
    assert exported == {*role_settings(stack, tmp_path)}
