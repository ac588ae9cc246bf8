"""Every command and every option says what it does; all but two can answer as JSON."""

import argparse

import click
import pytest

from console.cli.commands.model_files import add, quantize
from console.cli.main import run
from models.__main__ import _parser
from tests.console.cli.command_tree import commands

COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_options_say_what_they_do(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert [option.opts[0] for option in options if not option.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_is_click_s_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("-h", "--help"):
        assert run([*name.split()[1:], option]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: {name} ")


@pytest.mark.parametrize(("action", "command"), [("add", add), ("quantize", quantize)])
def test_the_options_of_models_are_those_of_its_program(
    action: str, command: click.Command
) -> None:
    (choices,) = (
        a.choices for a in _parser()._actions if isinstance(a, argparse._SubParsersAction)
    )
    program: argparse.ArgumentParser = choices[action]
    known = {
        action.option_strings[-1] if action.option_strings else action.dest: action
        for action in program._actions
    }
    for foreign in ("--help", "--dir"):  # click's own; of the data directory
        del known[foreign]
    typed = {param.opts[-1]: param for param in command.params}
    assert typed.keys() == known.keys()
    for name, param in typed.items():
        if isinstance(param.type, click.Choice):
            assert list(param.type.choices) == list(known[name].choices or ())
