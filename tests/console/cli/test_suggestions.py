"""A mistyped command is answered by the one that was meant."""

import json

import pytest

from console.cli.main import COMMANDS, run
from console.similar_names import closest, did_you_mean


@pytest.mark.parametrize(
    ("word", "name"), [("strat", "start"), ("LIST", "list"), ("resluts", "results"), ("udp", "up")]
)
def test_the_closest_command_is_found(word: str, name: str) -> None:
    assert closest(word, COMMANDS) == name


def test_nothing_is_suggested_for_what_is_like_nothing() -> None:
    assert closest("xyzzy", COMMANDS) is None
    assert did_you_mean("xyzzy", COMMANDS) == ""
    assert closest("anything", ()) is None


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["strat"], "did you mean 'start'?"),
        (["keys", "crate"], "did you mean 'create'?"),
        (["projects", "limits"], "did you mean 'limit'?"),
        (["models", "lst"], "did you mean 'list'?"),
        (["list", "--limt", "3"], "--limit"),
    ],
)
def test_a_command_line_names_what_was_meant(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert hint in capsys.readouterr().err
    assert run([*arguments, "--json"]) == 2
    assert hint in json.loads(capsys.readouterr().err)["error"]["message"]
