"""The short form of `python -m tests.console.tui.monkey`."""

from pathlib import Path

import pytest

from tests.console.tui.monkey import play
from tests.console.tui.recorded_api import Script

N_KEYS = 300


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_keys_change_nothing_that_was_not_confirmed(
    script: Script, url: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # exports are written to the current directory
    await play(script, url, seed=seed, n_keys=N_KEYS)


async def test_random_keys_change_nothing_in_a_read_only_console(
    script: Script, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await play(script, url, seed=3, n_keys=N_KEYS, readonly=True)
    assert all(method == "GET" for method, _, _ in script.requests)
