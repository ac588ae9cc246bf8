"""Failed tasks by code and source, and the jump to them."""

import pytest
from msgspec import to_builtins
from textual.widgets import Input

from api.contract.query.parser import parse
from api.contract.query.tasks import TASKS
from api.contract.query.terms import Among, Compare
from api.contract.system import FailureGroup
from console.tui.app import ConsoleApp
from console.tui.view_models.failure_groups import WINDOW_S, tasks_query
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import text_of, until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import Script


def group(code: str, source: str, n: int = 3) -> FailureGroup:
    return FailureGroup(code, source, n, "2026-11-22T12:00:00.000Z", "vt_1")


def test_the_query_means_the_group_whatever_its_names_are() -> None:
    for source in ("gate-3.mp4", 'a "b" c:d,e.mp4', "-x", "upload"):
        terms = parse(tasks_query(group("source_gone", source)), TASKS).without_positions().terms
        assert terms == (
            Among("status", ("failed",)),
            Among("error", ("source_gone",)),
            Among("source", (source,)),
            Compare("age", "<", WINDOW_S),
        )
    assert "error" not in tasks_query(group("", ""))


async def test_the_failures_are_counted_and_their_tasks_are_one_key_away(
    console: ConsoleApp, script: Script
) -> None:
    failed = [task for task in script.tasks() if task["status"] == "failed"]
    script.answers["failures"] = [
        {
            "code": task["error"]["code"],
            "source": task["source"].rpartition("/")[2],
            "tasks": 1,
            "last_at": task["finished_at"],
            "last_task": task["id"],
        }
        for task in failed
    ]
    async with console.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "worker-1" in text_of(console.query_one("#workers")))
        await typed(pilot, console, "f")
        groups = console.screen.query_one("#failure-groups", Listing)
        await until(pilot, lambda: len(groups.rows) == len(failed))
        assert failed[1]["error"]["code"] in text_of(groups)
        (asked,) = script.asked("GET", "/v1/system/failures")
        assert asked["from"] == ["1795262732000"]  # a day before the recording
        await typed(pilot, console, "down", "enter")
        assert console.active == "tasks"
        wanted = f"status:failed error:{failed[1]['error']['code']} source:"
        assert console.query_one("#words", Input).value.startswith(wanted)
        tasks = console.query_one("#task-list", Listing)
        await until(pilot, lambda: [row.key for row in tasks.rows] == [failed[1]["id"]])


@pytest.mark.parametrize(("move", "place"), [("j", 1), ("pagedown", 2), ("G", 2), ("end", 2)])
async def test_a_group_that_the_cursor_moved_to_is_listed_also_when_it_is_counted_again(
    console: ConsoleApp, script: Script, move: str, place: int
) -> None:
    names = ["north.mp4", "south.mp4", "west.mp4"]
    script.answers["failures"] = [to_builtins(group("source_gone", name)) for name in names]
    async with console.run_test(size=(120, 36)) as pilot:
        await typed(pilot, console, "4", "f")
        groups = console.screen.query_one("#failure-groups", Listing)
        await until(pilot, lambda: len(groups.rows) == 3)
        chosen = names[place]
        await typed(pilot, console, move)
        first = to_builtins(group("source_forbidden", "east.mp4", 9))
        script.answers["failures"].insert(0, first)
        await typed(pilot, console, "r")
        await until(pilot, lambda: len(groups.rows) == 4)
        await typed(pilot, console, "enter")
        assert console.query_one("#words", Input).value.endswith(f"source:{chosen} age<1d")


async def test_a_refusal_is_said(console: ConsoleApp, script: Script) -> None:
    script.refuse("GET /v1/system/failures", 503, "clickhouse_unavailable", "ClickHouse is away.")
    async with console.run_test(size=(120, 36)) as pilot:
        await typed(pilot, console, "4", "f")
        groups = console.screen.query_one("#failure-groups", Listing)
        await until(pilot, lambda: "ClickHouse is away." in text_of(groups))
