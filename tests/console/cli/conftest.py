"""A command line that speaks to a recorded api, and to nothing of the person who runs the tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.tui.recorded_api import KEY, Script, recorded_api


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove the caller's variables; there is no local stack."""
    for name in [name for name in os.environ if name.startswith("FRAMEWIRE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FRAMEWIRE_DATA", str(tmp_path / "no-stack"))


@pytest.fixture
def script(no_settings: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """Serve a recorded api, which the command line finds in its environment."""
    script = Script()
    with recorded_api(script) as url:
        monkeypatch.setenv("FRAMEWIRE_URL", url)
        monkeypatch.setenv("FRAMEWIRE_KEY", KEY)
        monkeypatch.setenv("FRAMEWIRE_ADMIN_KEY", KEY)
        yield script
