"""The short form of `python -m tests.console.tui.monkey`."""

from pathlib import Path

import pytest

from api.contract import paths
from console.client import calls
from console.client.sync_client import Client
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import until
from tests.console.tui.monkey import WatchedConsole, play
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


async def test_a_second_run_that_was_chosen_for_a_comparison_is_a_confirmed_one(
    script: Script, url: str
) -> None:
    console = WatchedConsole(url, readonly=False)
    async with console.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: console.query_one("#task-list", Listing).rows)
        while console.query_one("#task-list", Listing).key != script.log_task:
            await pilot.press("down")
        await pilot.press("equals_sign")
        choices = console.screen.query_one("#choices", Listing)
        await until(pilot, lambda: choices.rows)
        await pilot.press("enter")
        await until(pilot, lambda: script.asked("POST", paths.PROCESS))
    assert console.confirmed == {("Run", script.log_task): 1}


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
