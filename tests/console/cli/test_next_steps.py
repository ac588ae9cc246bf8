"""What is printed to be typed next: commands that exist and find the stack."""

import shlex
from pathlib import Path

import pytest

from console.cli.commands.up import LineReporter
from console.cli.next_steps import after_demo, data_variables, in_second_terminal
from console.stack.data_directory import DataDirectory, default_data_dir
from streamproc.contract import env
from tests.console.stack.test_data_directory import state

ROOT = Path(__file__).parents[3]


def test_the_next_steps_are_commands_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    lines = after_demo(Path("/nowhere/python"), {}).splitlines()
    assert "  framewire up --file-root console/data" in lines
    assert "  framewire run console/data/pedestrians.mp4 --detect pedestrian --feature" in lines
    assert "  framewire console" in lines
    assert not [line for line in lines if "source" in line]


def test_an_environment_is_made_active_in_each_shell_where_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "activate").touch()
    activation = f"source {tmp_path}/activate"
    assert after_demo(tmp_path / "python", {}).count(activation) == 2
    assert after_demo(tmp_path / "python", {"VIRTUAL_ENV": str(tmp_path)}).count(activation) == 1
    assert in_second_terminal(tmp_path / "python")[0] == activation


def test_a_demo_that_keeps_its_data_says_where_it_is(tmp_path: Path) -> None:
    home = {"XDG_DATA_HOME": str(tmp_path)}
    lines = after_demo(tmp_path / "python", home, tmp_path / "kept").splitlines()
    assert lines[1] == f"Its task is in {tmp_path}/kept. Next, for a service that stays:"
    (up,) = [line for line in lines if "framewire up" in line]
    assert up.startswith(f"  framewire up --data {tmp_path}/kept --file-root ")
    assert f"  export FRAMEWIRE_DATA={tmp_path}/kept" in lines
    assert "Nothing of it is left" in after_demo(tmp_path / "python", home)


def test_another_shell_finds_a_stack_on_any_directory(tmp_path: Path) -> None:
    home = {"XDG_DATA_HOME": str(tmp_path)}
    usual = default_data_dir(home)
    assert data_variables(usual, home) == {}
    other = tmp_path / "my data"
    for environ in (home, home | {env.DATA: str(other)}):
        variables = data_variables(other, environ)
        assert DataDirectory(default_data_dir(home | variables)).root == other
        first, *_ = in_second_terminal(tmp_path / "python", variables)
        assert shlex.split(first) == ["export", f"{env.DATA}={other}"]


def test_a_stack_that_is_up_says_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    steps = in_second_terminal(Path("/nowhere/python"), {env.DATA: "/data"})
    LineReporter(steps, as_json=False, in_memory=False).stack_ready(state(), 3.0)
    told = [line.strip() for line in capsys.readouterr().err.splitlines()]
    at = told.index("In a second terminal:")
    assert told[at + 1 : at + 4] == list(steps)
    assert steps[0] == "export FRAMEWIRE_DATA=/data"
