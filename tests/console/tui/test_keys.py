"""Keys act on what the screen shows when they are typed, however fast they come."""

from functools import partial
from typing import Any

import pytest
from textual.widgets import Button, Input

from console.client import calls
from console.client.curl import curl
from console.errors import ReadOnlyError
from console.tui.app import ConsoleApp
from console.tui.drawing.formatting import short_id
from console.tui.keys import CHANGES, KEYS, LISTS, TASKS
from console.tui.screens.compare_with import CompareWithScreen
from console.tui.screens.comparison import ComparisonScreen
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.live import LiveTab
from console.tui.screens.prompt import PromptScreen
from console.tui.screens.submit import SubmitScreen
from console.tui.screens.tasks import TasksTab
from console.tui.screens.tracks import TracksTab
from console.tui.screens.worker import WorkerScreen
from console.tui.widgets.query_line import QueryLine
from console.tui.widgets.table import Listing
from streamproc.contract.framing import parse_events
from tests.console.tui.conftest import RARELY_S, make_console, text_of, until
from tests.console.tui.keyboard import post_keys, typed
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_live_tab import follow
from tests.console.tui.test_tasks_tab import keys as listed
from tests.console.tui.test_tasks_tab import shown

SIZE = (112, 26)
TALL = (112, 44)
"""A page of tracks leads to one with a vector, which `m` needs."""
START = 3
MOVES = ("up", "k", "down", "j", "pageup", "pagedown", "home", "g", "end", "G")
ONCE = ("up", "j", "pageup", "pagedown", "g", "end")
"""Each move by one of its keys: what opens a dialog or a form takes long to draw."""


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


def place_after(move: str, n_rows: int, listing: Listing) -> int:
    """Return the row to which the move leads from `START`."""
    page = listing.size.height - 2  # one line is the header's, one is seen again
    steps = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -page, "pagedown": page}
    far = {"home": -n_rows, "g": -n_rows, "end": n_rows, "G": n_rows}
    return max(0, min(n_rows - 1, START + (steps | far)[move]))


def test_the_list_of_moves_is_complete() -> None:
    names = {name for key in LISTS for name in key.keys.split(",")}
    assert names == {*MOVES, "enter"}
    moves = [set(key.keys.split(",")) - {"enter"} for key in LISTS]
    assert [len(one & {*ONCE}) for one in moves if one] == [1] * len(ONCE)


def changing_requests(script: Script) -> list[tuple[str, str]]:
    return [(method, path) for method, path, _ in script.requests if method != "GET"]


def distinct_requests(script: Script) -> dict[str, dict[str, Any]]:
    """Give each task a request that can be run again, and that no other task has."""
    requests: dict[str, dict[str, Any]] = {}
    for i, task in enumerate(script.tasks()):
        full = script.answers["full"][task["id"]]
        full["request"] = {
            "input": [{"type": "video_url", "url": f"https://example.com/gate-{i}.mp4"}],
            "steps": [{"model": "detect"}],
        }
        requests[task["id"]] = full["request"]
    return requests


def copied(console: ConsoleApp, text: str) -> bool:
    return console.clipboard == text


def asked_for_similar(script: Script, track: str) -> bool:
    query = script.asked("GET", "/v1/video/tracks")[-1]
    return bool(query.get("q") == [f"like:{track}"])


def dialog_text(console: ConsoleApp) -> str:
    facts = console.screen.query_one("#facts")
    return f"{console.screen.query_one('.dialog-title').render()}\n{text_of(facts)}"


@pytest.mark.parametrize(
    "action", ["c", "r", "e", "E", "x", "y", "Y", "equals_sign", "space", "v", "enter"]
)
async def test_an_action_after_a_move_is_about_the_row_that_the_move_led_to(  # noqa: C901 - a case for each action
    console: ConsoleApp, script: Script, action: str
) -> None:
    requests = distinct_requests(script)
    ids = [task["id"] for task in script.tasks()]
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        listing = console.query_one("#task-list", Listing)
        marks = console.query_one(TasksTab).marks
        for move in MOVES if action in {"y", "Y", "space", "v"} else ONCE:
            console.copy_to_clipboard("")
            listing.cursor = START
            await pilot.pause()
            wanted = ids[place_after(move, len(ids), listing)]
            await typed(pilot, console, move, action)
            if action == "space":  # it goes on to the next row
                wanted_row = min(len(ids) - 1, ids.index(wanted) + 1)
                assert (list(marks), listing.cursor) == ([wanted], wanted_row)
            else:
                assert listing.key == wanted
            match action:
                case "c" | "r":
                    assert isinstance(console.screen, ConfirmScreen)
                    assert wanted in dialog_text(console)
                    assert ("Cancel" if action == "c" else "again") in dialog_text(console)
                    await pilot.press("escape")
                case "e" | "E":  # no editor is set, which is said
                    await until(pilot, lambda: isinstance(console.screen, SubmitScreen))
                    source = console.screen.query_one("#source Input", Input).value
                    assert source == requests[wanted]["input"][0]["url"]
                    await pilot.press("escape")
                case "x":
                    assert isinstance(console.screen, PromptScreen)
                    assert console.screen.query_one("#answer", Input).value == f"{wanted}.json"
                    await pilot.press("escape")
                case "equals_sign":
                    assert isinstance(console.screen, CompareWithScreen)
                    title = console.screen.query_one(".dialog-title").render()
                    assert short_id(wanted) in str(title)
                    await pilot.press("escape")
                case "y":
                    assert console.clipboard == wanted
                case "Y":
                    command = curl(calls.submit(requests[wanted]), console.backend.endpoint.url)
                    await until(pilot, partial(copied, console, command))
                case "v":
                    assert list(marks) == [wanted]
                case "enter":
                    assert console.query_one(LiveTab).task_id == wanted
                    assert console.active == "live"
                    await typed(pilot, console, "1")
            await typed(pilot, console, "u")
            assert not marks
        assert not changing_requests(script)


def test_every_action_on_a_task_is_tried_after_every_move() -> None:
    elsewhere = {"submit", "filter", "clear_filter", "reverse", "mark_all", "unmark", "wall"}
    about_a_task = {
        key.keys
        for key in TASKS
        if key.action not in elsewhere and not key.action.startswith(("next_", "resize("))
    }
    assert about_a_task == {"c", "r", "e", "E", "x", "y", "Y", "equals_sign", "space", "v"}


@pytest.mark.parametrize("action", ["m", "y", "enter"])
async def test_an_action_after_a_move_is_about_that_track(
    console: ConsoleApp, script: Script, action: str
) -> None:
    script.answers["tracks"]["next_cursor"] = None
    tracks = [f"{t['task']}:{t['track_id']}" for t in script.answers["tracks"]["data"]]
    async with console.run_test(size=TALL) as pilot:
        await pilot.press("3")
        tab = console.query_one(TracksTab)
        listing = console.query_one("#track-list", Listing)
        for move in MOVES if action == "y" else ONCE:
            await until(pilot, lambda: [row.key for row in listing.rows] == tracks)
            listing.cursor = START
            await pilot.pause()
            wanted = tracks[place_after(move, len(tracks), listing)]
            await typed(pilot, console, move, action)
            match action:
                case "m":
                    assert tab.search is not None
                    assert tab.query_one(QueryLine).text == f"like:{wanted}"
                    await until(pilot, partial(asked_for_similar, script, wanted))
                    await pilot.press("escape")
                case "y":
                    assert console.clipboard == wanted
                case "enter":
                    assert console.query_one(LiveTab).task_id == wanted.rpartition(":")[0]
                    await typed(pilot, console, "3")


@pytest.mark.parametrize("action", ["y", "Y", "v", "space", "comma"])
async def test_an_action_after_a_move_in_the_log_is_about_that_event(
    console: ConsoleApp, script: Script, action: str
) -> None:
    events = list(parse_events(script.log))
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        live, listing = console.query_one(LiveTab), console.query_one("#events", Listing)
        page = listing.size.height - 2
        last = len(events) - 1
        for move, place in (("up", last - 1), ("pageup", last - page), ("home", 0), ("g", 0)):
            await typed(pilot, console, "l")
            assert listing.key == str(events[-1].start)
            await typed(pilot, console, move, action)
            held = live.held
            match action:
                case "y":
                    assert console.clipboard == events[place].data.decode()
                case "Y":
                    assert f"offset={events[place].start}&" in f"{console.clipboard}&".replace(
                        "'", "&"
                    )
                case "v":
                    title = str(console.screen.query_one(".dialog-title").render())
                    assert f"at byte {events[place].start:,}".replace(",", " ") in title
                    await pilot.press("escape")
                case "space":  # the move held the event, and space returns to live
                    assert held is None
                case "comma":
                    assert held is not None
                    assert held.line.start == events[max(0, place - 1)].start


async def test_a_failure_that_the_cursor_moved_to_is_the_one_that_is_opened(
    console: ConsoleApp, script: Script
) -> None:
    failed = [task["id"] for task in script.tasks() if task["status"] == "failed"]
    assert len(failed) > 1
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        failures = console.query_one("#failures", Listing)
        await until(pilot, lambda: len(failures.rows) == len(failed))
        failures.focus()
        await pilot.pause()
        await typed(pilot, console, "down", "enter")
        assert console.query_one(LiveTab).task_id == failed[1]


@pytest.mark.parametrize("move", ["down", "j", "end", "G"])
async def test_an_alert_that_the_cursor_moved_to_is_the_one_that_is_gone_to(
    console: ConsoleApp, script: Script, move: str
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        first, second = listed(console)[:2]
        for task_id in (second, first):  # the newest is the first row
            console.alerts.take_stall(task_id, "no worker alive")
            await pilot.pause()
        await typed(pilot, console, "exclamation_mark")
        rows = console.screen.query_one("#alerts", Listing)
        await until(pilot, lambda: len(rows.rows) == 2)
        wanted = rows.rows[1].key.partition(":")[2]
        assert wanted in {first, second}
        await typed(pilot, console, move, "enter")
        await until(pilot, lambda: console.query_one(LiveTab).task_id == wanted)


async def test_a_worker_that_the_cursor_moved_to_is_the_one_whose_page_opens(
    console: ConsoleApp, script: Script
) -> None:
    (worker,) = script.answers["system"]["workers"]
    script.answers["system"]["workers"] = [worker | {"id": f"worker-{n}"} for n in (1, 2, 3)]
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        workers = console.query_one("#workers", Listing)
        await until(pilot, lambda: len(workers.rows) == 3)
        workers.focus()
        await pilot.pause()
        for move, wanted in (("down", 2), ("j", 3), ("k", 2), ("home", 1), ("end", 3), ("g", 1)):
            await typed(pilot, console, move, "enter")
            assert isinstance(console.screen, WorkerScreen)
            facts = console.screen.query_one(".dialog-title").render()
            assert f"worker-{wanted}" in str(facts)
            await typed(pilot, console, "escape")


async def test_a_choice_that_the_cursor_moved_to_is_the_one_that_is_compared_with(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        console.query_one("#task-list", Listing).move_to(script.log_task)
        await typed(pilot, console, "equals_sign")
        choices = console.screen.query_one("#choices", Listing)
        await until(pilot, lambda: choices.rows and choices.rows[-1].key.startswith("vt_"))
        wanted = choices.rows[-1].key
        choices.focus()
        await pilot.pause()
        await typed(pilot, console, "end", "enter")
        assert isinstance(console.screen, ComparisonScreen)
        await until(pilot, lambda: script.asked("GET", f"/v1/video/tasks/{wanted}/stream"))
        assert not changing_requests(script)


async def test_a_key_after_a_change_of_tab_belongs_to_the_new_tab(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        second = listed(console)[1]
        await typed(pilot, console, "down", "enter", "c")
        assert console.active == "live"
        assert isinstance(console.screen, ConfirmScreen)
        assert second in dialog_text(console)
        await typed(pilot, console, "escape", "1", "up", "2", "c")
        assert second in dialog_text(console)  # Live still follows the second task
        await typed(pilot, console, "escape", "3", "slash", *"car", "enter", "4", "1", "y")
        assert console.clipboard == listed(console)[0]
        assert console.query_one("#track-query", QueryLine).text == "car"


@pytest.mark.parametrize("word", ["city", "rename", "nyce", "q", "c y", "1234"])
async def test_what_is_typed_after_a_slash_goes_into_the_filter(
    console: ConsoleApp, script: Script, word: str
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "/", *word)
        assert console.query_one("#words", Input).value == word
        assert console.screen is console.screen_stack[0]
        await typed(pilot, console, "escape", "3", "/", *word)
        assert console.query_one("#track-words", Input).value == word
        assert console.active == "tracks"
        assert not changing_requests(script)


async def test_the_keys_after_a_filter_act_on_what_it_left(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "/", *"gate-3", "enter")
        await until(pilot, lambda: len(listed(console)) == 1)
        await typed(pilot, console, "y")
        assert console.clipboard == listed(console)[0]


async def test_what_is_typed_after_a_key_that_asks_goes_into_its_dialog(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await typed(pilot, console, "o", *script.log_task, "enter")
        assert console.query_one(LiveTab).task_id == script.log_task
        live = console.query_one(LiveTab)
        await until(pilot, lambda: live.snapshot.offset == len(script.log))
        await typed(pilot, console, "b", *"f60", "enter")
        await until(pilot, lambda: live.held is not None)
        held = live.held
        assert held is not None
        assert held.line.frame == 60


async def test_keys_that_are_typed_while_the_console_starts_land_in_no_hidden_field(
    console: ConsoleApp, script: Script
) -> None:
    post_keys(console, *"xyz[?1;2c")
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        words = console.query_one("#words", Input)
        assert words.value == ""
        assert words.disabled
        assert len(listed(console)) == len(script.tasks())
        assert not changing_requests(script)


async def test_the_hidden_filter_is_reached_by_no_key(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        for _ in range(8):
            await pilot.press("tab")
            assert not isinstance(console.focused, Input)


@pytest.mark.parametrize("key", ["c", "r"])
@pytest.mark.parametrize("after", ["enter", "escape", "n", "i", "enter enter", "space", "C y"])
async def test_a_dialog_that_is_not_confirmed_sends_nothing(
    console: ConsoleApp, script: Script, key: str, after: str
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, key, *after.split(" "))
        if after == "space":
            assert isinstance(console.screen, ConfirmScreen)
            await pilot.press("escape")
        if after == "enter enter":  # the second one follows the task
            assert console.active == "live"
        assert not isinstance(console.screen, ConfirmScreen)
        assert not changing_requests(script)


@pytest.mark.parametrize("key", ["c", "r"])
async def test_the_dialog_names_source_progress_and_task_and_no_is_focused(
    console: ConsoleApp, script: Script, key: str
) -> None:
    first = script.tasks()[0]
    assert first["status"] == "running"
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, key)
        text = dialog_text(console)
        assert "vtest.avi" in text
        assert first["id"] in text
        # 795 frames at 10 per second, of which the request samples 2 per second: 159 are expected
        request = script.answers["full"][first["id"]]["request"]
        assert request["input"][0]["sampling"] == {"mode": "fps", "value": 2}
        assert "● running  50%, 80 of 159 frames" in text
        assert isinstance(console.focused, Button)
        assert console.focused.id == "no"
        await typed(pilot, console, "left", "enter")  # the other button
        await until(pilot, lambda: changing_requests(script))
        path = f"tasks/{first['id']}/cancel" if key == "c" else "process"
        assert changing_requests(script) == [("POST", f"/v1/video/{path}")]


async def test_a_dialog_opens_at_once_and_says_what_was_not_read_yet(
    console: ConsoleApp, script: Script
) -> None:
    task = script.log_task
    script.refuse(f"GET /v1/video/tasks/{task}", 503, "made_up", "away")
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await typed(pilot, console, "o", *task, "enter", "c")
        assert "source    not read yet" in dialog_text(console)
        assert task in dialog_text(console)
        del script.refused[f"GET /v1/video/tasks/{task}"]
        await until(pilot, lambda: "not read yet" not in dialog_text(console))


async def test_a_read_only_console_changes_nothing_and_says_so(url: str, script: Script) -> None:
    console = make_console(url, readonly=True)
    async with console.run_test(size=(200, 60)) as pilot:
        await shown(pilot, console, script)
        assert "read-only" in text_of(console.query_one("#topbar"))
        names = {key.keys for keys in KEYS.values() for key in keys if key.changes}
        assert names == {"n", "c", "r", "e", "E", "equals_sign"}
        for tab in "1234":
            for key in sorted(names):
                await typed(pilot, console, tab, key, "y")
                assert console.screen is console.screen_stack[0]
        bound = {active.binding.action for active in console.active_bindings.values()}
        await typed(pilot, console, "1")
        assert not bound & CHANGES
        titles = [command.title for command in console.get_system_commands(console.screen)]
        assert "Cancel" not in titles
        assert "Export" in titles
        await typed(pilot, console, "?")
        helped = text_of(console.screen.query_one("#help-lines"))
        assert "cancel the task" not in helped
        assert "copy its id" in helped
        with pytest.raises(ReadOnlyError):
            await console.backend.ask(calls.cancel(script.tasks()[0]["id"]))
    assert not changing_requests(script)


async def test_ctrl_c_says_how_to_quit(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await shown(pilot, console, script)
        await pilot.press("ctrl+c")
        (note,) = console._notifications
        assert note.message == "Press q to quit, or ctrl+q while text is typed."
