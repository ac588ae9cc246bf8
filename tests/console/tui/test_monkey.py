"""The short form of `python -m tests.console.tui.monkey`."""

from pathlib import Path

import pytest

from api.contract import paths
from console.client import calls
from console.client.sync_client import Client
from tests.console.tui.monkey import play
from tests.console.tui.recorded_api import KEY, Script

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


def test_a_submission_that_is_sent_again_with_its_key_has_one_effect(
    script: Script, url: str
) -> None:
    """As with the real api: a client that had no answer may send it again."""
    body = {"input": [{"type": "video_url", "url": "https://example.com/a.mp4"}], "steps": []}
    n_tasks = len(script.tasks())
    with Client(url, KEY) as client:
        made = [client.send(calls.submit(body, idempotency_key="k")).id for _ in range(2)]
    assert made[0] == made[1]
    assert len(script.tasks()) == n_tasks + 1
    assert [path for method, path, _ in script.requests if method == "POST"] == [paths.PROCESS]
    assert script.repeated == ["k"]
