"""`--json` is an option of every command, and what goes wrong with it is JSON as well."""

import json
from typing import Any

import click
import pytest

from console.cli.main import run
from console.exit_codes import ExitCode
from tests.console.cli.command_tree import commands
from tests.console.tui.recorded_api import Script

COMMANDS = dict(commands())


def options(command: click.Command) -> set[str]:
    return {name for param in command.params for name in param.opts}


OWN_FILES = {"framewire models remove"}
"""It asks the api about a model that it has found on the disk."""
ASKING = sorted(
    name
    for name in COMMANDS
    if "--show-request" in options(COMMANDS[name]) and name not in OWN_FILES
)
"""Commands that ask the api for something."""
MORE = {
    "framewire run": ["--detect=person"],
    "framewire start": ["--detect=person"],
    "framewire cancel": ["vt_1"],
    "framewire rerun": ["vt_1"],
    "framewire export": ["vt_1"],
    "framewire diff": ["--with=vt_2"],
}
"""What is needed although no single option is required."""
VALUES = {
    "source": "https://example.com/a.mp4",
    "limits": "open_streams=1",
    "place": "no-such-directory/tracks.json",
}


def error_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the one error that was printed, on stderr."""
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    error: dict[str, Any] = json.loads(line)["error"]
    return error


def needed_words(command: click.Command) -> list[str]:
    """Return values for all that a command must be given."""
    words = []
    for param in command.params:
        if param.required:
            value = VALUES.get(param.name or "", "1")
            words.append(f"{param.opts[0]}={value}" if isinstance(param, click.Option) else value)
    return words


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("no_settings")
def test_every_command_has_json_and_tells_of_a_mistake_in_json(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--json" in options(COMMANDS[name])
    assert run([*name.split()[1:], "--json", "--no-such-option"]) == ExitCode.USAGE
    error = error_of(capsys)
    assert (error["code"], error["exit_code"]) == ("usage", 2)
    assert "--no-such-option" in error["message"]


@pytest.mark.parametrize("name", ASKING)
def test_every_command_that_asks_the_api_tells_of_its_refusal_in_json(
    name: str, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    script.status = 403
    words = [*needed_words(COMMANDS[name]), *MORE.get(name, [])]
    assert run([*name.split()[1:], *words, "--json"]) == ExitCode.DENIED
    error = error_of(capsys)
    assert (error["code"], error["status"]) == ("made_up", 403), error
