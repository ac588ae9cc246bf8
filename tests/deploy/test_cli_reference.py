"""docs/cli.md is what the commands say today, and says all of it."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from console.cli.main import cli
from console.exit_codes import ExitCode
from tests.console.cli.command_tree import commands

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "cli.md"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = spec_from_file_location("cli_reference", ROOT / "deploy" / "docs" / "cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(generator: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # whatever the terminal
    assert generator.markdown() == PAGE.read_text(), "make docs writes it anew"


def test_the_page_has_every_command_option_and_code() -> None:
    text = PAGE.read_text()
    for name, command in commands():
        _, found, section = text.partition(f"\n## {name}\n")
        assert found, name
        section = section.partition("\n## ")[0]
        for param in command.params:
            for option in (opt for opt in param.opts if opt.startswith("--")):
                assert option in section, (name, option)
    _, _, before = text.partition("\n## Options before the command\n")
    for param in cli.params:
        assert f"| `{param.opts[0]}" in before.partition("\n## ")[0]
    for code in ExitCode:
        assert f"| {int(code)} | {code.meaning} |" in text
