"""Back and forward over tab, filter, selection and held place."""

import random

import pytest
from msgspec.structs import replace
from textual.widgets import Input

from console.tui.app import ConsoleApp
from console.tui.drawing.formatting import short_id
from console.tui.screens.live import LiveTab
from console.tui.screens.tasks import TasksTab
from console.tui.screens.tracks import TracksTab
from console.tui.view_models.history import MAX_PLACES, History, Place
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import RARELY_S, until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_tasks_tab import keys as listed
from tests.console.tui.test_tasks_tab import many, shown

SIZE = (140, 44)
TASKS, LIVE, TRACKS = Place("tasks"), Place("live", task="vt_1"), Place("tracks")


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


def test_places_are_gone_back_and_forward_to() -> None:
    history = History(TASKS)
    for place in (LIVE, TRACKS):
        history.note(place)
    assert history.back() == LIVE
    assert history.back() == TASKS
    assert history.back() is None
    assert history.forward() == LIVE
    history.note(replace(TASKS, text="car"))
    assert history.forward() is None  # what came after it is another way now
    assert history.back() == LIVE


def test_a_move_on_a_page_is_no_place_but_is_come_back_to() -> None:
    history = History(TASKS)
    history.note(replace(TASKS, key="vt_7"))
    history.note(replace(LIVE, anchor=100, held=100))
    history.note(replace(LIVE, anchor=100, held=180))
    assert len(history) == 2
    assert history.back() == replace(TASKS, key="vt_7")
    assert history.forward() == replace(LIVE, anchor=100, held=180)


@pytest.mark.parametrize(
    "other",
    [
        replace(TASKS, text="car"),
        replace(TASKS, statuses=frozenset({"failed"})),
        replace(TASKS, window="1 h"),
        replace(TASKS, sort=("fps", False)),
        TRACKS,
    ],
)
def test_another_filter_or_order_is_another_place(other: Place) -> None:
    history = History(TASKS)
    history.note(other)
    assert history.back() == TASKS


def test_live_without_a_task_is_no_place_to_come_back_to() -> None:
    history = History(TASKS)
    history.note(Place("live"))
    history.note(LIVE)
    assert history.back() == TASKS
    assert history.forward() == LIVE


def test_a_history_is_bounded_and_is_a_browsers() -> None:
    """Compared with a plain model: all places ever noted, with a cursor."""
    rng = random.Random(7)
    history, model, at = History(TASKS), [TASKS], 0
    for n in range(20_000):
        match rng.choice(["note", "note", "again", "back", "forward"]):
            case "note":
                place = Place("tasks", text=f"q{n}")
                history.note(place)
                model = [*model[: at + 1], place][-MAX_PLACES:]
                at = len(model) - 1
            case "again":
                place = replace(model[at], key=f"k{n}")
                history.note(place)
                model[at] = place
            case "back":
                assert history.back() == (model[at - 1] if at else None)
                at = max(0, at - 1)
            case "forward":
                assert history.forward() == (model[at + 1] if at + 1 < len(model) else None)
                at = min(len(model) - 1, at + 1)
        assert history.current == model[at]
    assert len(history) == len(model) <= MAX_PLACES


async def test_back_restores_filter_order_and_selection(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        tab = console.query_one(TasksTab)
        await typed(pilot, console, "/", *"status:failed", "enter", "s", "down")
        await until(
            pilot,
            lambda: {t.status for t in map(tab.tasks.task, listed(console)) if t} == {"failed"},
        )
        await typed(pilot, console, "down")
        second = listed(console)[1]
        assert tab.selected == second
        await typed(pilot, console, "escape")
        await until(pilot, lambda: len(listed(console)) == len(script.tasks()))
        await typed(pilot, console, "S", "3", "4", "backspace", "backspace", "alt+left", "alt+left")
        assert console.active == "tasks"
        place = tab.place()
        assert (place.text, place.sort, place.key) == ("status:failed", ("status", False), second)
        await until(
            pilot, lambda: tab.selected == second and len(listed(console)) < len(script.tasks())
        )
        assert console.query_one("#words", Input).value == "status:failed"
        await typed(pilot, console, "alt+left")
        assert tab.sort == ("age", False)
        await typed(pilot, console, "alt+left", "alt+left", "alt+left")
        assert tab.place().page == Place("tasks")
        await typed(pilot, console, *["alt+right"] * 9)
        assert console.active == "system"


async def test_back_and_forward_between_a_task_and_the_list_hold_when_typed_in_one_go(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        live = console.query_one(LiveTab)
        await typed(pilot, console, "down", "enter", "1", "down", "down", "enter", "backspace", "y")
        assert console.clipboard == listed(console)[3]
        await typed(pilot, console, "backspace")
        assert (console.active, live.task_id) == ("live", listed(console)[1])
        await typed(pilot, console, "backspace", "y")
        assert console.clipboard == listed(console)[1]
        await typed(pilot, console, "alt+right", "alt+right", "alt+right")
        assert (console.active, live.task_id) == ("live", listed(console)[3])


async def test_back_holds_the_event_that_was_held(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        live = console.query_one(LiveTab)
        await typed(pilot, console, "o", *script.log_task, "enter")
        await until(pilot, lambda: live.snapshot.offset == len(script.log))
        await typed(pilot, console, "b", *"f60", "enter")
        await until(pilot, lambda: live.held is not None)
        await typed(pilot, console, "full_stop", "full_stop")
        assert live.held is not None
        held = live.held.line.start
        await typed(pilot, console, "l")
        assert live.held is None
        await typed(pilot, console, "backspace")
        await until(pilot, lambda: live.held is not None and live.held.line.start == held)
        await typed(pilot, console, "backspace")
        assert live.held is None
        await typed(pilot, console, "alt+right")
        await until(pilot, lambda: live.held is not None and live.held.line.start == held)
        other = next(task["id"] for task in script.tasks() if task["id"] != script.log_task)
        await typed(pilot, console, "o", *other, "enter", "backspace")
        assert live.task_id == script.log_task
        await until(pilot, lambda: live.held is not None and live.held.line.start == held)


async def test_a_selection_below_the_first_page_is_read_again(
    console: ConsoleApp, script: Script
) -> None:
    script.answers["tasks"]["data"] = many(script, 180)
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        tab = console.query_one(TasksTab)
        await typed(pilot, console, *["pagedown"] * 3)
        await until(pilot, lambda: len(tab.tasks) > script.page)
        await typed(pilot, console, "pagedown")
        selected = tab.selected
        assert selected is not None
        assert [t["id"] for t in script.tasks()].index(selected) >= script.page
        await typed(pilot, console, "f")
        await until(pilot, lambda: tab.tasks.loaded)
        await typed(pilot, console, "backspace")
        await until(pilot, lambda: tab.tasks.loaded and tab.selected == selected)


async def test_a_selection_that_is_gone_is_said_to_be(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        tab = console.query_one(TasksTab)
        await typed(pilot, console, "down", "f")
        await until(pilot, lambda: tab.tasks.loaded)
        gone = script.tasks().pop(1)["id"]
        await typed(pilot, console, "backspace")
        wanted = f"{short_id(gone)} is not in this list any more."
        await until(pilot, lambda: wanted in [note.message for note in console._notifications])


async def test_back_from_similar_tracks_restores_the_search_and_its_selection(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await typed(pilot, console, "3")
        tab = console.query_one(TracksTab)
        listing = console.query_one("#track-list", Listing)
        await until(pilot, lambda: len(listing.rows) > 2)
        await typed(pilot, console, "/", *"car", "enter")
        await until(pilot, lambda: tab.found and tab.search and tab.search.text == "car")
        await typed(pilot, console, "down")
        key = listing.key
        await typed(pilot, console, "m")
        await until(pilot, lambda: tab.search and tab.search.is_by_likeness and tab.found)
        await typed(pilot, console, "backspace")
        await until(pilot, lambda: tab.search and tab.search.text == "car" and tab.found)
        assert listing.key == key
        await typed(pilot, console, "alt+right")
        await until(pilot, lambda: tab.search and tab.search.is_by_likeness)


async def test_nowhere_to_go_is_said_and_changes_nothing(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "backspace", "alt+right")
        said = [note.message for note in console._notifications if not note.title]
        assert said == ["There is no place to go back to.", "There is no place to go forward to."]
        assert console.active == "tasks"


async def test_backspace_in_a_field_deletes_a_letter(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "3", "1", "/", *"cars", "backspace", "enter")
        assert console.active == "tasks"
        assert console.query_one(TasksTab).place().text == "car"
