"""Actions on many tasks in the console: what is asked, what is sent, and a result for each."""

import csv
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Button

from console.client import calls
from console.client.curl import curl
from console.tui.app import ConsoleApp
from console.tui.screens.bulk_result import BulkResultScreen
from console.tui.screens.comparison import ComparisonScreen
from console.tui.screens.confirm_many import ConfirmManyScreen
from console.tui.screens.tasks import TasksTab
from console.tui.view_models.bulk_run import AT_ONCE, BulkRun
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import RARELY_S, make_console, text_of, until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_comparison import other_task
from tests.console.tui.test_keys import changing_requests, distinct_requests
from tests.console.tui.test_marks import task
from tests.console.tui.test_tasks_tab import many, notes, shown

SIZE = (140, 40)
PROCESS = "/v1/video/process"


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


def cancel_path(task_id: str) -> str:
    return f"/v1/video/tasks/{task_id}/cancel"


def running(script: Script, n_tasks: int) -> list[str]:
    """Make that many running tasks, the only ones; return their ids, newest first."""
    script.tasks()[:] = [{**one, "status": "running"} for one in many(script, n_tasks)]
    for one in script.tasks():
        one["finished_at"] = None
    return [one["id"] for one in script.tasks()]


def tab_of(console: ConsoleApp) -> TasksTab:
    return console.query_one(TasksTab)


async def ended(pilot: Any, console: ConsoleApp) -> BulkRun:
    """Wait until the action that is shown has ended, and shows it."""
    await until(pilot, lambda: isinstance(console.screen, BulkResultScreen))
    screen = console.screen
    assert isinstance(screen, BulkResultScreen)
    title = screen.query_one("#bulk-title")
    await until(pilot, lambda: screen.run.is_over and "so far" not in str(title.render()))
    return screen.run


def shown_results(console: ConsoleApp) -> str:
    title = console.screen.query_one("#bulk-title")
    return f"{title.render()}\n{text_of(console.screen.query_one('#results'))}"


def test_a_run_gives_each_task_out_once_and_sums_up_how_they_ended() -> None:
    run = BulkRun([task(name) for name in "abcd"], "cancelled")
    assert [one.id for one in (run.start_next(), run.start_next()) if one] == ["a", "b"]
    run.done("b", "cancelling")
    run.refused("a", "no such task")
    third = run.start_next()
    assert third is not None
    run.stop()
    assert run.start_next() is None
    run.done(third.id, "cancelling")
    states = [(item.task.id, item.state) for item in run.items]
    assert states == [("a", "refused"), ("b", "done"), ("c", "done"), ("d", "not sent")]
    assert run.summary() == "2 of 4 cancelled, 1 refused, 1 not sent"


async def test_the_marked_tasks_are_cancelled_after_one_question_that_lists_them(
    console: ConsoleApp, script: Script
) -> None:
    ids = running(script, 30)
    script.tasks()[3]["status"] = "succeeded"
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, *["space"] * 12, "c")
        screen = console.screen
        assert isinstance(screen, ConfirmManyScreen)
        assert str(screen.query_one(".dialog-title").render()) == "Cancel 11 tasks?"
        assert "1 other marked task ended already" in text_of(screen.query_one("#facts"))
        asked = [row.key for row in screen.query_one(Listing).rows]
        wanted = [one for one in ids[:12] if one != ids[3]]
        assert asked == wanted
        assert isinstance(console.focused, Button)
        assert console.focused.id == "no"
        assert not changing_requests(script)
        await typed(pilot, console, "y")
        await ended(pilot, console)
        assert Counter(changing_requests(script)) == Counter(
            ("POST", cancel_path(one)) for one in wanted
        )
        assert shown_results(console).count("✔ cancelling") == 11
        assert "11 of 11 cancelled" in shown_results(console)
        assert list(tab_of(console).marks) == [ids[3]]  # what is done has no mark any more
        await typed(pilot, console, "escape")
        assert console.screen is console.screen_stack[0]


@pytest.mark.parametrize("after", ["enter", "escape", "n", "x", "space"])
async def test_marked_tasks_are_left_alone_without_a_yes(
    console: ConsoleApp, script: Script, after: str
) -> None:
    running(script, 5)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "asterisk")
        await until(pilot, lambda: len(tab_of(console).marks) == 5)
        for key in "cr":
            await typed(pilot, console, key, after)
            assert not isinstance(console.screen, BulkResultScreen)
            if isinstance(console.screen, ConfirmManyScreen):
                await typed(pilot, console, "escape")
        assert len(tab_of(console).marks) == 5
        assert not changing_requests(script)


async def test_a_task_that_is_refused_keeps_its_mark_and_says_why_and_none_is_lost(
    console: ConsoleApp, script: Script
) -> None:
    ids = running(script, 9)
    for one in (ids[1], ids[6]):
        script.refuse(f"POST {cancel_path(one)}", 409, "made_up", "it may not be cancelled")
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, *["space"] * 9, "c", "y")
        run = await ended(pilot, console)
        assert {item.task.id for item in run.items if item.state == "refused"} == {ids[1], ids[6]}
        text = shown_results(console)
        assert "7 of 9 cancelled, 2 refused" in text
        first, second = text.splitlines()[2:4]  # the refused ones come first
        assert "it may not be cancelled" in first
        assert "it may not be cancelled" in second
        assert list(tab_of(console).marks) == [ids[1], ids[6]]
        script.refused.clear()
        await typed(pilot, console, "escape", "c", "y")  # the same key tries those again
        run = await ended(pilot, console)
        assert run.summary() == "2 of 2 cancelled"
        n_asked = Counter(path for _, path in changing_requests(script))
        assert n_asked == {cancel_path(one): 2 if one in {ids[1], ids[6]} else 1 for one in ids}


async def test_few_requests_are_under_way_at_a_time_and_the_rest_can_be_stopped(
    console: ConsoleApp, script: Script
) -> None:
    ids = running(script, 20)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, *["space"] * 20, "c")
        script.hold = threading.Event()
        await typed(pilot, console, "y")
        await until(pilot, lambda: len(changing_requests(script)) == AT_ONCE)
        await typed(pilot, console, "s")
        script.hold.set()
        run = await ended(pilot, console)
        assert run.summary() == f"{AT_ONCE} of 20 cancelled, {20 - AT_ONCE} not sent"
        sent = {item.task.id for item in run.items if item.state == "done"}
        assert sent == set(ids[:AT_ONCE])
        assert {path for _, path in changing_requests(script)} == {cancel_path(one) for one in sent}
        assert list(tab_of(console).marks) == ids[AT_ONCE:]


async def test_an_action_goes_on_when_its_dialog_is_closed_and_no_other_begins(
    console: ConsoleApp, script: Script
) -> None:
    running(script, 8)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, *["space"] * 8, "c")
        script.hold = threading.Event()
        await typed(pilot, console, "y", "escape", "r")
        assert console.screen is console.screen_stack[0]
        assert "still under way" in notes(console)
        script.hold.set()
        await until(pilot, lambda: "8 of 8 cancelled" in notes(console))
        assert len(changing_requests(script)) == 8


async def test_the_requests_of_marked_tasks_are_submitted_again_each_once(
    console: ConsoleApp, script: Script
) -> None:
    requests = distinct_requests(script)
    ids = [one["id"] for one in script.tasks()][:4]
    masked = {"input": [{"type": "video_url", "url": "https://***@example.com/a.mp4"}]}
    script.answers["full"][ids[2]]["request"] = masked | {"steps": [{"model": "detect"}]}
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, *["space"] * 4, "r")
        title = console.screen.query_one(".dialog-title").render()
        assert str(title) == "Run 4 tasks again, as 4 new tasks?"
        await typed(pilot, console, "y")
        await ended(pilot, console)
        sent = script.asked("POST", PROCESS)
        wanted = [requests[ids[i]] for i in (0, 1, 3)]
        assert sorted(map(json.dumps, sent)) == sorted(map(json.dumps, wanted))
        text = shown_results(console)
        assert "3 of 4 submitted, 1 refused" in text
        assert "held credentials" in text
        made = [one["id"] for one in script.tasks() if one["id"].startswith("vt_01M81JZ")]
        assert len(made) == 3
        assert all(f"submitted as {one}" in text for one in made)
        assert list(tab_of(console).marks) == [ids[2]]


async def test_ids_and_curl_commands_of_marked_tasks_are_copied_line_by_line(
    console: ConsoleApp, script: Script
) -> None:
    requests = distinct_requests(script)
    ids = [one["id"] for one in script.tasks()]
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "space", "down", "space", "y")
        assert console.clipboard == f"{ids[0]}\n{ids[2]}"
        await typed(pilot, console, "Y")
        await ended(pilot, console)
        url = console.backend.endpoint.url
        wanted = [curl(calls.submit(requests[ids[i]]), url) for i in (0, 2)]
        assert console.clipboard == "\n".join(wanted)
        await typed(pilot, console, "escape")
        assert len(tab_of(console).marks) == 2


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def with_results(script: Script, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Give the tasks results that can be told apart; return their tracks."""
    (result, *_) = script.answers["results"].values()
    for i, one in enumerate(ids):
        tracks = [track | {"track_id": 100 * i + n} for n, track in enumerate(result["tracks"])]
        script.answers["results"][one] = result | {"id": one, "tracks": tracks}
    return {one: script.answers["results"][one]["tracks"] for one in ids}


async def export(pilot: Any, console: ConsoleApp, name: str, *more: str) -> str:
    """Mark five tasks, export them, and return what the dialog shows."""
    await typed(pilot, console, *["space"] * 5, "x")
    await typed(pilot, console, "ctrl+u", *name, "enter", *more)
    await ended(pilot, console)
    note = str(console.screen.query_one("#bulk-note").render())
    return f"{note}\n{shown_results(console)}"


@pytest.mark.parametrize("suffix", [".json", ".csv"])
async def test_tracks_of_marked_tasks_are_written_to_one_file_in_order(
    console: ConsoleApp,
    script: Script,
    suffix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ids = running(script, 5)
    tracks = with_results(script, ids)
    script.refuse(f"GET /v1/video/tasks/{ids[1]}/results", 409, "made_up", "not ended")
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        text = await export(pilot, console, f"all{suffix}")
        file = tmp_path / f"all{suffix}"
        assert "4 of 5 exported, 1 refused" in text
        assert "not ended" in text
        assert f"In {file}" in text
        assert names_in(tmp_path) == [file.name]
        wanted = [(one, row["track_id"]) for one in ids if one != ids[1] for row in tracks[one]]
        if suffix == ".json":
            found = json.loads(file.read_text())
            assert [{k: v for k, v in row.items() if k != "task"} for row in found] == [
                row for one in ids if one != ids[1] for row in tracks[one]
            ]
        else:
            found = list(csv.DictReader(file.read_text().splitlines()))
        assert [(row["task"], int(row["track_id"])) for row in found] == wanted


async def test_tracks_of_marked_tasks_are_written_to_a_file_each(
    console: ConsoleApp, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ids = running(script, 5)
    tracks = with_results(script, ids)
    (tmp_path / "out").mkdir()
    old = tmp_path / "out" / f"{ids[2]}.json"
    old.write_text("old")
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, *["space"] * 5, "x", "ctrl+u", *"out/", "enter")
        title = console.screen.query_one(".dialog-title").render()
        assert str(title) == "Replace this file?"
        await typed(pilot, console, "n")
        assert old.read_text() == "old"
        await typed(pilot, console, "x", "ctrl+u", *"out/", "enter", "y")
        run = await ended(pilot, console)
        assert run.summary() == "5 of 5 exported"
        for one in ids:
            assert json.loads((tmp_path / "out" / f"{one}.json").read_text()) == tracks[one]


async def test_an_export_of_which_nothing_could_be_read_leaves_no_file(
    console: ConsoleApp, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    running(script, 5)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        text = await export(pilot, console, "all.json")
        assert "0 of 5 exported, 5 refused" in text
        assert "Nothing was written." in text
        (tmp_path / "all.json").write_text("old")
        await typed(pilot, console, "escape", "x", "ctrl+u", *"all.json", "enter", "y")
        await ended(pilot, console)
    assert names_in(tmp_path) == ["all.json"]
    assert (tmp_path / "all.json").read_text() == "old"


async def test_two_marked_tasks_are_compared_and_no_more(
    console: ConsoleApp, script: Script
) -> None:
    script.log = b"".join(script.log.partition(b"data: [DONE]"))
    first, second = script.log_task, other_task(script)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        tab, listing = tab_of(console), console.query_one("#task-list", Listing)
        for wanted in (first, second):
            while listing.key != wanted:
                await pilot.press("down")
            await typed(pilot, console, "space")
            await pilot.press("g")
        assert list(tab.marks) == [first, second]
        await typed(pilot, console, "equals_sign")
        await until(pilot, lambda: isinstance(console.screen, ComparisonScreen))
        screen = console.screen
        assert isinstance(screen, ComparisonScreen)
        assert (screen._first.task, screen._other) == (first, second)
        await until(pilot, lambda: screen.comparison is not None)
        await typed(pilot, console, "escape", "asterisk")
        await until(pilot, lambda: len(tab.marks) == len(script.tasks()))
        await typed(pilot, console, "equals_sign")
        assert console.screen is console.screen_stack[0]
        assert "Only two tasks are compared" in notes(console)


async def test_a_read_only_console_marks_copies_and_changes_nothing(
    url: str, script: Script
) -> None:
    console = make_console(url, readonly=True)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "asterisk")
        await until(pilot, lambda: len(tab_of(console).marks) == len(script.tasks()))
        await typed(pilot, console, "c", "y", "r", "y")
        assert console.screen is console.screen_stack[0]
        assert len(console.clipboard.splitlines()) == len(script.tasks())
    assert not changing_requests(script)
