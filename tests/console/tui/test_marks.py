"""Marks: which tasks an action on many is about."""

from typing import Any

import msgspec
import pytest

from api.contract.tasks import TaskResource
from console.export.target import ExportTarget, read_target
from console.tui.app import ConsoleApp
from console.tui.screens.tasks import TasksTab
from console.tui.view_models.marks import Marks
from console.tui.view_models.task_pages import GAP
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import RARELY_S, text_of, until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_tasks_tab import keys, many, notes, shown

SIZE = (140, 40)


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


def task(name: str, status: str = "running") -> TaskResource:
    plain: dict[str, Any] = {
        "id": name,
        "object": "video.task",
        "status": status,
        "created_at": "2026-11-22T12:00:00Z",
        "started_at": None,
        "finished_at": None,
        "progress": {"processed_frames": 0, "total_frames": None, "fps": None},
        "model": None,
        "provider": None,
        "error": None,
        "attempts": [],
        "stream_url": f"/v1/video/tasks/{name}/stream",
        "results_url": f"/v1/video/tasks/{name}/results",
    }
    return msgspec.convert(plain, TaskResource)


def newest_first(script: Script) -> list[str]:
    ordered = sorted(script.tasks(), key=lambda one: str(one["created_at"]), reverse=True)
    return [one["id"] for one in ordered]


def marked_rows(console: ConsoleApp) -> list[str]:
    """Return the keys of the rows that are drawn with a mark."""
    listing = console.query_one("#task-list", Listing)
    lines = text_of(listing).splitlines()[1:]
    drawn = zip(listing.in_sight, lines, strict=False)
    return [key for key, line in drawn if line.startswith("▌")]


def test_a_mark_is_set_and_removed_and_keeps_the_newest_state() -> None:
    marks = Marks()
    assert marks.toggle(task("a"))
    assert marks.toggle(task("b"))
    marks.update([task("a", "failed"), task("c", "failed")])
    assert [one.status for one in marks.tasks] == ["failed", "running"]
    marks.toggle(task("a"))
    assert list(marks) == ["b"]
    assert marks.n_elsewhere(["a", "c"]) == 1


def test_a_range_goes_from_the_last_mark_in_both_directions() -> None:
    marks = Marks()
    order = ["a", "b", "c", "d", "e"]
    assert marks.range_to("c", order) == ("c",)
    marks.toggle(task("d"))
    assert marks.range_to("b", order) == ["b", "c", "d"]
    assert marks.range_to("e", order) == ["d", "e"]
    assert marks.range_to("b", ["b", "c"]) == ("b",)  # the last mark is in another list


def test_a_range_over_rows_that_nobody_has_read_is_none() -> None:
    marks = Marks()
    marks.toggle(task("a"))
    assert marks.range_to("d", ["a", "b", GAP, "d"]) is None
    assert marks.range_to("b", ["a", "b", GAP, "d"]) == ["a", "b"]


def test_marks_are_bounded() -> None:
    marks = Marks(at_most=2)
    assert not marks.add([task("a"), task("b"), task("c")])
    assert list(marks) == ["a", "b"]
    assert marks.add([task("a", "failed")])  # it is marked already
    assert not marks.toggle(task("c"))
    assert marks.toggle(task("a"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.json", ("a.json", ".json", False)),
        ("dir/a.csv", ("dir/a.csv", ".csv", False)),
        ("dir/", ("dir", ".json", True)),
        ("dir/*.csv", ("dir", ".csv", True)),
        ("*.json", (".", ".json", True)),
        ("a.txt", None),
        ("dir", None),
        ("/", None),
        ("dir/*.txt", None),
    ],
)
def test_an_export_goes_to_a_file_or_a_directory(
    text: str, wanted: tuple[str, str, bool] | None
) -> None:
    if wanted is None:
        with pytest.raises(ValueError, match=r"ends in \.json"):
            read_target(text)
        return
    target = read_target(text)
    assert (str(target.path), *target[1:]) == wanted
    assert isinstance(target, ExportTarget)


async def test_space_marks_and_goes_on_and_a_range_ends_at_the_cursor(
    console: ConsoleApp, script: Script
) -> None:
    ids = [one["id"] for one in script.tasks()]
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        marks = console.query_one(TasksTab).marks
        await typed(pilot, console, "space", "space", "down", "down", "v")
        assert list(marks) == [ids[0], *ids[1:5]]
        assert marked_rows(console) == ids[:5]
        assert "▌ 5 marked   c r x y Y" in text_of(console.query_one("#task-marks"))
        await typed(pilot, console, "g", "space")
        assert marked_rows(console) == ids[1:5]
        await typed(pilot, console, "u")
        assert not marked_rows(console)
        assert not console.query_one("#task-marks").display


async def test_marks_stay_with_their_tasks_under_another_filter_and_order(
    console: ConsoleApp, script: Script
) -> None:
    running = [one["id"] for one in script.tasks() if one["status"] == "running"]
    failed = [one["id"] for one in script.tasks() if one["status"] == "failed"]
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "space", "S")
        await until(pilot, lambda: keys(console)[-1] == running[0])
        assert marked_rows(console) == [running[0]]
        await typed(pilot, console, "/", *"status:failed", "enter")
        await until(pilot, lambda: set(keys(console)) == set(failed))
        assert not marked_rows(console)
        line = text_of(console.query_one("#task-marks"))
        assert "1 marked, 1 not in the rows below" in line
        await typed(pilot, console, "y")
        assert console.clipboard == running[0]  # what is marked, not the row


async def test_all_that_fit_are_marked_also_those_that_were_not_read(
    console: ConsoleApp, script: Script
) -> None:
    script.tasks().extend(many(script, 120))
    ended = {one["id"] for one in script.tasks() if one["status"] == "succeeded"}
    assert len(ended) > script.page
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "/", *"status:succeeded", "enter")
        await typed(pilot, console, "asterisk")
        tab = console.query_one(TasksTab)
        await until(pilot, lambda: len(tab.marks) == len(ended))
        assert set(tab.marks) == ended
        assert f"▌ {len(ended)} marked" in text_of(console.query_one("#task-marks"))


async def test_an_action_meets_all_that_fit_or_none_of_them(
    console: ConsoleApp, script: Script
) -> None:
    script.tasks().extend(many(script, 120))
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "asterisk", "y")
        tab = console.query_one(TasksTab)
        assert "All that fit are still being read" in notes(console) or len(
            console.clipboard.splitlines()
        ) == len(script.tasks())
        await until(pilot, lambda: len(tab.marks) == len(script.tasks()))
        await typed(pilot, console, "y")
        assert console.clipboard.splitlines() == newest_first(script)


async def test_all_that_fit_are_bounded_and_the_limit_is_named(
    console: ConsoleApp, script: Script
) -> None:
    script.tasks().extend(many(script, 120))
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        tab = console.query_one(TasksTab)
        tab.marks.at_most = 60
        await typed(pilot, console, "asterisk")
        await until(pilot, lambda: len(tab.marks) == 60)
        assert list(tab.marks) == newest_first(script)[:60]
        assert f"{len(script.tasks())} fit the filter" in notes(console)


async def test_marks_that_cannot_be_read_are_not_set(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        script.refuse("GET /v1/video/tasks", 503, "made_up", "away")
        await typed(pilot, console, "asterisk")
        await until(pilot, lambda: "Not marked" in notes(console))
        assert not console.query_one(TasksTab).marks


async def test_a_click_before_a_row_marks_it(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        tab = console.query_one(TasksTab)
        await pilot.click("#task-list", offset=(0, 3))
        assert list(tab.marks) == [script.tasks()[2]["id"]]
        await pilot.click("#task-list", offset=(9, 2), control=True)
        assert list(tab.marks) == [script.tasks()[i]["id"] for i in (2, 1)]
        await pilot.click("#task-list", offset=(9, 4))
        assert len(tab.marks) == 2
        assert keys(console)[3] == tab.selected
