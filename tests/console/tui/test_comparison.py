"""Two tasks compared in the console: what is offered, what differs, and the way to Live."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from textual.widgets import Input

from console.tui.app import ConsoleApp
from console.tui.drawing.formatting import short_id
from console.tui.screens.compare_with import CompareWithScreen
from console.tui.screens.comparison import ComparisonScreen
from console.tui.screens.live import LiveTab
from console.tui.view_models.comparison_choices import read_choice
from console.tui.widgets.table import Listing
from streamproc.contract.framing import DONE, frame_event, parse_events
from tests.console.tui.conftest import RARELY_S, text_of, until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_snapshots import settled, still_console
from tests.console.tui.test_tasks_tab import shown

SIZE = (140, 40)
PROCESS = "/v1/video/process"

Alter = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Returns a target as the other task has it, or None: it has none."""


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


def altered(log: bytes, alter: Alter) -> bytes:
    """Return the log with other targets."""
    out = b""
    for event in parse_events(log):
        data = event.data
        if data != DONE:
            chunk = msgspec.json.decode(data)
            for result in chunk["delta"]["results"]:
                result["targets"] = [new for old in result["targets"] if (new := alter(old))]
            data = msgspec.json.encode(chunk)
        out += frame_event(data, len(out))
    return out


def without_the_second(target: dict[str, Any]) -> dict[str, Any] | None:
    if target["track_id"] == 2:
        return None
    name = "automobile" if target["track_id"] == 3 else target["class"]
    return target | {"track_id": target["track_id"] + 40, "class": name}


def chosen(screen: CompareWithScreen) -> list[str]:
    return [row.key for row in screen.query_one("#choices", Listing).rows]


async def asked(pilot: Any, console: ConsoleApp, script: Script) -> CompareWithScreen:
    """Open the dialog for the task whose log is recorded."""
    await shown(pilot, console, script)
    while console.query_one("#task-list", Listing).key != script.log_task:
        await pilot.press("down")
    await pilot.press("equals_sign")
    await until(pilot, lambda: isinstance(console.screen, CompareWithScreen))
    screen = console.screen
    assert isinstance(screen, CompareWithScreen)
    await until(pilot, lambda: chosen(screen)[-1:] == [other_task(script)])
    return screen


async def compared(pilot: Any, console: ConsoleApp, script: Script) -> ComparisonScreen:
    """Compare with the other task of the same video."""
    await asked(pilot, console, script)
    await pilot.press("end", "enter")
    await until(pilot, lambda: isinstance(console.screen, ComparisonScreen))
    found = console.screen
    assert isinstance(found, ComparisonScreen)
    await until(pilot, lambda: found.comparison is not None)
    return found


def shows(console: ConsoleApp, part: str) -> str:
    return text_of(console.screen.query_one(part))


def other_task(script: Script) -> str:
    """Return the other task of the recorded task's video."""
    return next(
        str(task["id"])
        for task in script.tasks()
        if task["id"] != script.log_task
        and task["status"] == "succeeded"
        and "pedestrians.mp4" in str(script.answers["full"][task["id"]]["request"])
    )


async def test_tasks_of_the_same_video_models_and_precisions_are_offered(
    console: ConsoleApp, script: Script
) -> None:
    script.answers["models"]["data"].append(
        script.answers["models"]["data"][0] | {"id": "mine@2.0.0", "name": "mine", "default": False}
    )
    async with console.run_test(size=SIZE) as pilot:
        screen = await asked(pilot, console, script)
        offered = chosen(screen)
        assert offered[-1] == other_task(script)
        assert "mine@2.0.0" in offered  # not the model that it has used
        assert "nanodet-g@1.0.0" not in offered
        assert {"f32", "i8"} <= set(offered)
        assert [word for word in offered if word.startswith("vt_")] == [offered[-1]]
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(console.screen, CompareWithScreen))


async def test_the_differences_of_two_tasks_and_the_way_to_live(
    console: ConsoleApp, script: Script
) -> None:
    other = other_task(script)
    script.logs[other] = altered(script.log, without_the_second)
    async with console.run_test(size=SIZE) as pilot:
        screen = await compared(pilot, console, script)
        found = screen.comparison
        assert found is not None
        assert found.counts | {"lost": 1, "class": 1} == found.counts
        assert sum(found.counts.values()) == 2
        head = text_of(screen.query_one("#comparison-head"))
        assert "pedestrians.mp4" in head
        assert "1 lost" in head
        listing = screen.query_one("#differences", Listing)
        assert "pedestrian → automobile" in text_of(listing)
        while found.differences[int(listing.key or 0)].kind != "class":
            await pilot.press("down")
        frame = found.differences[int(listing.key or 0)].frame_b
        await pilot.press("b")
        await until(pilot, lambda: console.active == "live")
        live = console.query_one(LiveTab)
        await until(pilot, lambda: live.held is not None)
        assert live.task_id == other
        assert live.held is not None
        assert live.held.line.frame == frame
        assert not script.asked("POST", PROCESS)


async def test_what_was_asked_and_the_first_frame_that_differs_are_said_and_one_key_away(
    console: ConsoleApp, script: Script
) -> None:
    other = other_task(script)
    script.logs[other] = altered(
        script.log, lambda target: target if target["track_id"] != 5 else None
    )
    script.answers["results"][other] = script.answers["results"][script.log_task]
    item = script.answers["full"][other]["request"]["input"][0]
    item["sampling"] = {"mode": "fps", "value": 3}
    frames = [
        (json.loads(event.data)["stream_info"]["frame_index"], event)
        for event in parse_events(script.log)
        if b'"track_id":5,' in event.data
    ]
    first, event = frames[0]
    async with console.run_test(size=SIZE) as pilot:
        screen = await compared(pilot, console, script)
        head = " ".join(text_of(screen.query_one("#comparison-head")).split())
        assert "input[0].sampling.value 4 → 3" in head
        assert f"1 lost first in frame {first}" in head
        assert screen.comparison is not None
        assert screen.comparison.differing_frames == len(frames)
        await until(pilot, lambda: "like 1 (0.30)" in text_of(screen.query_one("#differences")))
        (asked,) = script.asked("GET", "/v1/video/tracks")
        assert (asked["similar_to"], asked["task"]) == ([f"{script.log_task}:5"], [other])
        await typed(pilot, console, "f")
        live = console.query_one(LiveTab)
        await until(pilot, lambda: live.held is not None)
        assert live.held is not None
        assert (live.task_id, live.held.line.start) == (script.log_task, event.start)


async def test_enter_shows_the_first_task_where_the_track_is_lost(
    console: ConsoleApp, script: Script
) -> None:
    script.logs[other_task(script)] = altered(
        script.log, lambda target: target if target["track_id"] != 5 else None
    )
    async with console.run_test(size=SIZE) as pilot:
        screen = await compared(pilot, console, script)
        assert screen.comparison is not None
        (lost,) = screen.comparison.differences
        assert (lost.kind, lost.a) == ("lost", (5,))
        assert lost.frame > 0
        await pilot.press("enter")
        live = console.query_one(LiveTab)
        await until(pilot, lambda: live.held is not None and live.held.line.frame == lost.frame)
        assert live.task_id == script.log_task


@pytest.mark.parametrize("move", ["down", "j", "pagedown", "end", "G"])
@pytest.mark.parametrize("action", ["enter", "a", "b"])
async def test_a_difference_that_the_cursor_moved_to_is_the_one_that_is_shown(
    console: ConsoleApp, script: Script, move: str, action: str
) -> None:
    other = other_task(script)
    script.logs[other] = altered(
        script.log, lambda target: target if target["track_id"] not in {2, 5} else None
    )
    async with console.run_test(size=SIZE) as pilot:
        screen = await compared(pilot, console, script)
        assert screen.comparison is not None
        first, second = screen.comparison.differences
        assert first.offset != second.offset
        await typed(pilot, console, move, action)
        live = console.query_one(LiveTab)
        await until(pilot, lambda: live.held is not None)
        assert live.held is not None
        wanted = (other, second.offset_b) if action == "b" else (script.log_task, second.offset)
        assert (live.task_id, live.held.line.start) == wanted


async def test_equal_tasks_say_so(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        screen = await compared(pilot, console, script)
        assert "Both tasks have the same tracks." in text_of(screen.query_one("#differences"))
        assert "no difference" in text_of(screen.query_one("#comparison-head"))
        await pilot.press("enter", "b")  # there is nothing to show
        assert console.screen is screen


async def test_a_second_run_is_submitted_with_the_change_and_waited_for(
    console: ConsoleApp, script: Script
) -> None:
    request = script.answers["full"][script.log_task]["request"]
    async with console.run_test(size=SIZE) as pilot:
        screen = await asked(pilot, console, script)
        screen.query_one("#other", Input).focus()
        await pilot.press(*"f32", "enter")
        await until(
            pilot, lambda: script.asked("POST", PROCESS) == [request | {"precision": "f32"}]
        )
        await until(pilot, lambda: "is pending" in shows(console, "#differences"))
        script.status = 503
        await until(pilot, lambda: "made up for a test" in shows(console, "#differences"))
        script.status = None  # it goes on by itself
        made = script.tasks()[0]["id"]
        script.logs[made] = altered(script.log, without_the_second)
        for answer in (script.tasks()[0], script.answers["full"][made]):
            answer["status"] = "succeeded"
        found = console.screen
        assert isinstance(found, ComparisonScreen)
        await until(pilot, lambda: found.comparison is not None)
        assert found.comparison is not None
        assert (found.comparison.b.task, found.comparison.b.precision) == (made, "f32")
        assert found.comparison.counts["lost"] == 1


async def test_a_second_run_that_fails_is_said(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        screen = await asked(pilot, console, script)
        screen.query_one("#other", Input).focus()
        await pilot.press(*"f16", "enter")
        await until(pilot, lambda: "is pending" in shows(console, "#differences"))
        made = script.tasks()[0]["id"]
        error = {"code": "device_unavailable", "message": "CPU does not compute in 'f16'"}
        for answer in (script.tasks()[0], script.answers["full"][made]):
            answer |= {"status": "failed", "error": error}
        await until(
            pilot,
            lambda: error["message"] in shows(console, "#comparison-head"),
        )


async def test_a_word_that_is_nothing_is_said_in_the_dialog(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        screen = await asked(pilot, console, script)
        screen.query_one("#other", Input).focus()
        await pilot.press("left_curly_bracket", "enter")
        await until(pilot, lambda: "not JSON" in str(screen.query_one("#wrong").render()))
        assert console.screen is screen


async def test_an_unknown_model_is_said_with_those_that_there_are(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        screen = await asked(pilot, console, script)
        screen.query_one("#other", Input).focus()
        await pilot.press(*"yolo", "enter")
        await until(pilot, lambda: isinstance(console.screen, ComparisonScreen))
        await until(pilot, lambda: "no model 'yolo'" in shows(console, "#comparison-head"))
        assert not script.asked("POST", PROCESS)


@pytest.mark.parametrize("text", ["", "  ", "{", "[]{"])
def test_words_for_a_comparison(text: str) -> None:
    if text == "[]{":
        assert not isinstance(read_choice(text), str)  # the api knows no such model
    else:
        with pytest.raises(ValueError, match=r"JSON"):
            read_choice(text)


async def test_nothing_of_a_comparison_is_cut_at_eighty_columns(
    console: ConsoleApp, script: Script
) -> None:
    script.logs[other_task(script)] = altered(script.log, without_the_second)
    async with console.run_test(size=(80, 24)) as pilot:
        await compared(pilot, console, script)
        await until(pilot, lambda: "lost" in shows(console, "#differences"))
        assert "pedestrian → automobile" in shows(console, "#differences")
        head = text_of(console.screen.query_one("#comparison-head"))
        assert short_id(script.log_task) in head
        assert head.count("…") == 2  # before the ends of the ids


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("look", ["dialog", "result"])
def test_comparison_look(
    snap_compare: Any, url: str, script: Script, look: str, size: tuple[int, int]
) -> None:
    console = still_console(url)
    script.logs[other_task(script)] = altered(script.log, without_the_second)

    async def prepare(pilot: Any) -> None:
        await (asked if look == "dialog" else compared)(pilot, console, script)
        await settled(pilot, console)

    assert snap_compare(console, terminal_size=size, run_before=prepare)
