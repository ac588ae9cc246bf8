"""Options of `framewire console`."""

import pytest

from console.cli.commands.console import console
from console.cli.web_server import console_command
from streamproc.contract import env


def is_readonly(*arguments: str) -> bool:
    return bool(console.make_context("console", list(arguments)).params["readonly"])


def test_a_console_is_read_only_by_option_or_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(env.READONLY, raising=False)
    assert not is_readonly()
    assert is_readonly("--readonly")
    for value, expected in (("1", True), ("0", False), ("", False), ("true", True)):
        monkeypatch.setenv(env.READONLY, value)
        assert is_readonly() == expected


def test_the_bell_is_off_unless_wished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(env.BELL, raising=False)
    for arguments, value, expected in (
        ([], None, False),
        (["--bell"], None, True),
        ([], "1", True),
    ):
        if value is not None:
            monkeypatch.setenv(env.BELL, value)
        assert console.make_context("console", list(arguments)).params["bell"] == expected


@pytest.mark.parametrize("readonly", [True, False])
def test_a_visitors_console_is_read_only_as_the_served_one_is(
    monkeypatch: pytest.MonkeyPatch, *, readonly: bool
) -> None:
    monkeypatch.delenv(env.READONLY, raising=False)
    *_, command, option, theme = console_command("framewire-light", readonly=False)
    assert (command, option, theme) == ("console", "--theme", "framewire-light")
    arguments = console_command("framewire-light", readonly=readonly)
    assert is_readonly(*arguments[arguments.index("--theme") :]) == readonly
