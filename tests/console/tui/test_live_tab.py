"""The Live tab: following, holding, seeking, cuts."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from textual.geometry import Region
from textual.widgets import Input

from console.tui.app import ConsoleApp
from console.tui.drawing.formatting import media_time
from console.tui.drawing.frame_image import Shown, fitting
from console.tui.screens.live import LiveTab
from console.tui.screens.tracks import TracksTab
from console.tui.view_models.log_line import read_line
from console.tui.widgets.canvas import Lines
from console.tui.widgets.preview import BlockPicture, Preview
from console.tui.widgets.table import Listing
from console.tui.widgets.timeline import Timeline
from console.tui.widgets.timeline_rendering import LABEL_CELLS
from streamproc.contract.framing import frame_event, parse_events
from tests.console.tui.conftest import RARELY_S, make_console, text_of, until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_tasks_tab import notes

SIZE = (140, 44)


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


def live(console: ConsoleApp) -> LiveTab:
    return console.query_one(LiveTab)


def head(console: ConsoleApp) -> str:
    return text_of(console.query_one("#live-head"))


async def follow(pilot: Any, console: ConsoleApp, script: Script) -> None:
    """Open the recorded task in Live and wait for the end of its log."""
    await pilot.press("2")
    live(console).task_id = script.log_task
    await until(pilot, lambda: live(console).snapshot.offset == len(script.log))


async def test_a_followed_task_is_shown_whole(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        await until(pilot, lambda: "■ END" in head(console))
        assert "pedestrians.mp4" in head(console)
        assert "48 frames" in head(console)
        targets = text_of(console.query_one("#targets"))
        assert "#1" in targets
        assert "pedestrian" in targets
        assert "p95" in text_of(console.query_one("#figures"))
        assert "━" in text_of(console.query_one("#timeline"))
        events = text_of(console.query_one("#events"))
        assert "[DONE]" in events


async def pictured(pilot: Any, console: ConsoleApp) -> tuple[Preview, Shown]:
    """Return the preview, and what it shows once it does."""
    preview = console.query_one(Preview)
    await until(pilot, lambda: preview.shown is not None)
    assert preview.shown is not None
    return preview, preview.shown


async def test_the_preview_shows_the_frame_with_boxes_and_ids(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        preview, shown = await pictured(pilot, console)
        assert [target.track_id for target in shown.targets]
        picture = preview.query_one("BlockPicture")
        ids = [str(target.track_id) for target in shown.targets]
        await until(pilot, lambda: all(name in text_of(picture) for name in ids))
        await pilot.press("p")
        assert "p turns it on" in text_of(preview.query_one("Lines"))


async def test_a_source_that_is_gone_is_said_once(console: ConsoleApp, script: Script) -> None:
    path = f"/v1/video/tasks/{script.log_task}/frames/118.jpg"
    events = list(parse_events(script.log))
    script.refused[f"GET {path}"] = {
        "type": "about:blank",
        "title": "Gone",
        "status": 410,
        "code": "source_gone",
        "detail": "The video cannot be read any more.",
    }
    assert b'"frame_index":118' in events[-3].data
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        note = console.query_one("#preview .preview-note")
        await until(pilot, lambda: "cannot be read any more" in text_of(note))
        assert len(script.asked("GET", path)) == 1


async def test_space_holds_steps_move_and_l_returns(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        await pilot.press("space")
        held = live(console).held
        assert held is not None
        assert held.line.frame == 118
        await pilot.press("comma", "comma", "less_than_sign", "full_stop")
        now = live(console).held
        assert now is not None
        assert now.cursor == held.cursor - 11
        assert f"at byte {now.line.start:,}".replace(",", " ") in head(console)
        assert "┃" in text_of(console.query_one("#timeline"))
        await pilot.press("greater_than_sign")
        further = live(console).held
        assert further is not None
        assert further.cursor == held.cursor - 1
        await pilot.press("l")
        assert live(console).held is None
        assert "END" in head(console)


@pytest.mark.parametrize(
    ("typed", "start_of"), [("f60", b'"frame_index":60,'), ("b20 000", None), ("20001", None)]
)
async def test_a_seek_lands_on_the_event_that_holds_the_place(
    console: ConsoleApp, script: Script, typed: str, start_of: bytes | None
) -> None:
    wanted = next(
        event
        for event in parse_events(script.log)
        if (start_of in event.data if start_of else event.start <= 20_000 < event.end)
    )
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        await pilot.press("b")
        console.screen.query_one("#answer", Input).value = typed
        await pilot.press("enter")
        await until(pilot, lambda: live(console).held is not None)
        held = live(console).held
        assert held is not None
        assert held.line.start == wanted.start
        assert held.line.data == wanted.data


async def test_a_seek_before_the_held_lines_reads_the_log_again(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        tab = live(console)
        tab.snapshot = tab.snapshot.__class__(
            **{f: getattr(tab.snapshot, f) for f in tab.snapshot.__struct_fields__ if f != "lines"},
            lines=tab.snapshot.lines[-4:],
        )
        await pilot.press("b")
        console.screen.query_one("#answer", Input).value = "f30"
        await pilot.press("enter")
        await until(pilot, lambda: tab.held is not None)
        held = tab.held
        assert held is not None
        assert held.line.frame == 30
        path = f"/v1/video/tasks/{script.log_task}/stream"
        assert any(query.get("live") == ["false"] for query in script.asked("GET", path))


async def test_a_place_that_is_none_is_refused_in_the_dialog(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        await pilot.press("b")
        console.screen.query_one("#answer", Input).value = "soon"
        await pilot.press("enter")
        assert "a byte such as 48213" in str(console.screen.query_one("#wrong").render())
        console.screen.query_one("#answer", Input).value = "b99999999"
        await pilot.press("enter")
        await until(pilot, lambda: "The log is shorter." in notes(console))
        assert live(console).held is None


async def test_a_held_frame_has_its_own_tracks_and_says_since_when(
    console: ConsoleApp, script: Script
) -> None:
    seen: dict[int, list[int]] = {}
    for event in parse_events(script.log):
        if event.data == b"[DONE]":
            continue
        chunk = json.loads(event.data)
        for result in chunk["delta"]["results"]:
            for target in result["targets"]:
                seen.setdefault(target["track_id"], []).append(chunk["stream_info"]["frame_index"])
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        targets = console.query_one("#targets")
        title = Region(0, 0, targets.size.width, 1)  # as drawn, not as it would be drawn again
        last = {track: len(frames) for track, frames in seen.items() if frames[-1] == 118}
        lines = text_of(targets).splitlines()
        assert "SEEN" in lines[0]
        for track, n_seen in last.items():
            (line,) = (line for line in lines if f"#{track} " in line)
            assert line.split()[3] == str(n_seen)
        await pilot.press("space")
        await until(pilot, lambda: "SINCE" in targets.render_lines(title)[0].text)
        await pilot.press("l")
        await until(pilot, lambda: "SEEN" in targets.render_lines(title)[0].text)
        await pilot.press("b")
        console.screen.query_one("#answer", Input).value = "f30"
        await pilot.press("enter")
        await until(pilot, lambda: live(console).held is not None)
        await until(pilot, lambda: "SINCE" in text_of(targets))
        lines = text_of(targets).splitlines()
        then = {track: frames[0] for track, frames in seen.items() if 30 in frames}
        assert then
        for track, first in then.items():
            (line,) = (line for line in lines if f"#{track} " in line)
            assert line.split()[3] == str(first)
            assert f"#{track} " in text_of(console.query_one("#timeline"))


async def test_a_picture_that_is_behind_says_its_frame_and_age(
    console: ConsoleApp, script: Script
) -> None:
    times_s = iter(range(1000, 100_000))
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        preview = console.query_one(Preview)
        caption = preview.query_one(".preview-caption")
        await until(pilot, lambda: "frame 118" in text_of(caption))
        assert "old" not in text_of(caption)
        for frame in range(118):
            path = f"/v1/video/tasks/{script.log_task}/frames/{frame}.jpg"
            script.refuse(f"GET {path}", 503, "source_unavailable", "away")
        console.backend.clock.monotonic_s = lambda: float(next(times_s))  # type: ignore[method-assign] # planted
        await pilot.press("comma", "comma")
        held = live(console).held
        assert held is not None
        wanted = f"s old; the targets are of frame {held.line.frame}"
        await until(pilot, lambda: wanted in text_of(caption))
        assert text_of(caption).strip().startswith("frame 118, ")


async def test_a_failed_task_says_its_error_in_red_and_has_no_picture_to_wait_for(
    console: ConsoleApp, script: Script
) -> None:
    failed = next(task for task in script.tasks() if task["status"] == "failed")
    failed["error"]["message"] = "It went wrong " * 12 + "at the end"
    usage = {"processed_frames": 0, "processing_time_ms": 5}
    last = json.loads(list(parse_events(script.log))[-2].data) | {
        "finish_reason": "error",
        "error": {"code": "made_up", "message": failed["error"]["message"]},
        "usage": usage,
    }
    script.log = frame_event(json.dumps(last).encode(), 0)
    async with console.run_test(size=(100, 36)) as pilot:
        await pilot.press("2")
        live(console).task_id = failed["id"]
        await until(pilot, lambda: "■ END" in head(console))
        assert "at the end (made_up)" in " ".join(head(console).split())
        lines = console.query_one("#live-head", Lines)._shown
        assert ("■ END", "bad!") in lines[1]
        note = console.query_one("#preview .preview-note")
        await until(pilot, lambda: "ended without a frame" in text_of(note))


async def test_a_seek_to_a_time_lands_on_the_first_frame_from_then_on(
    console: ConsoleApp, script: Script
) -> None:
    chunks = [e for e in parse_events(script.log) if e.data != b"[DONE]"]
    infos = [(json.loads(event.data)["stream_info"], event) for event in chunks]
    wanted = next(
        event
        for info, event in infos
        if info.get("time_s", info["frame_index"] / info["fps"]) >= 4.7
    )
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        await pilot.press("b")
        console.screen.query_one("#answer", Input).value = "0:04.7"
        await pilot.press("enter")
        await until(pilot, lambda: live(console).held is not None)
        held = live(console).held
        assert held is not None
        assert held.line.start == wanted.start


async def test_a_chosen_line_of_the_log_is_held(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        console.query_one("#events", Listing).focus()
        await pilot.press("up", "up", "up")
        held = live(console).held
        assert held is not None
        assert str(held.line.start) == console.query_one("#events", Listing).key


async def test_a_cut_stream_goes_on_at_its_byte_and_says_so(
    console: ConsoleApp, script: Script
) -> None:
    script.cut_after = [10_000]
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        await until(pilot, lambda: "resumed at byte 10 000" in head(console))
        assert live(console).snapshot.n_chunks == 48
        offsets = [
            query["offset"][0]
            for query in script.asked("GET", f"/v1/video/tasks/{script.log_task}/stream")
        ]
        assert offsets == ["0", "10000"]


async def test_a_stream_that_never_opens_is_asked_for_again(
    console: ConsoleApp, script: Script
) -> None:
    script.status = 500
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        live(console).task_id = script.log_task
        await until(pilot, lambda: "rejected" in head(console))
        assert "made up for a test" in head(console)
        assert "again in" in head(console)
        script.status = None
        await until(pilot, lambda: live(console).snapshot.offset == len(script.log))
        assert "rejected" not in head(console)


async def test_an_open_log_is_live_and_pausing_counts_what_comes(
    console: ConsoleApp, script: Script
) -> None:
    whole = script.log
    script.open_log = True
    script.log = whole[: list(parse_events(whole))[30].end]
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        assert "● LIVE" in head(console)
        await pilot.press("space")
        assert "bytes behind" in head(console)


async def test_a_held_stream_goes_on_behind_and_is_returned_to(
    console: ConsoleApp, script: Script
) -> None:
    whole, part = script.log, list(parse_events(script.log))[20].end
    more = threading.Event()

    def feed() -> Iterator[bytes]:
        yield whole[:part]
        more.wait(60)
        yield whole[part:]

    script.feed = feed
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        live(console).task_id = script.log_task
        await until(pilot, lambda: live(console).snapshot.offset == part)
        await pilot.press("space", "comma")
        held = live(console).held
        assert held is not None
        before = text_of(console.query_one("#events"))
        more.set()
        await until(pilot, lambda: live(console).snapshot.offset == len(whole))
        assert live(console).held == held
        assert text_of(console.query_one("#events")) == before
        behind = f"{len(whole) - held.line.end:,}".replace(",", " ")
        await until(pilot, lambda: f"{behind} bytes behind" in head(console))
        await pilot.press("l")
        assert live(console).held is None
        assert "■ END" in head(console)
        await until(pilot, lambda: "[DONE]" in text_of(console.query_one("#events")))


async def test_event_and_curl_are_copied(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        await pilot.press("space", "y")
        held = live(console).held
        assert held is not None
        assert console.clipboard == held.line.data.decode()
        await pilot.press("Y")
        assert f"offset={held.line.start}" in console.clipboard
        assert console.clipboard.startswith("curl -sSN")


async def test_a_task_is_opened_by_its_id_and_cancelled(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("2", "o")
        console.screen.query_one("#answer", Input).value = script.log_task
        await pilot.press("enter")
        assert live(console).task_id == script.log_task
        path = f"/v1/video/tasks/{script.log_task}/cancel"
        await pilot.press("c")
        assert not script.asked("POST", path)
        await pilot.press("y")
        await until(pilot, lambda: script.asked("POST", path))


async def test_an_unknown_task_is_said_plainly(console: ConsoleApp) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        live(console).task_id = "vt_nobody"
        await until(pilot, lambda: "There is no such task." in head(console))


async def test_targets_light_up_their_box(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        preview, _ = await pictured(pilot, console)
        console.query_one("#targets", Listing).focus()
        await pilot.press("down")
        await until(pilot, lambda: preview._chosen is not None)
        assert str(preview._chosen) == console.query_one("#targets", Listing).key


async def test_panes_are_resized_both_ways(console: ConsoleApp, script: Script) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        preview = console.query_one("#preview")
        before = preview.outer_size
        await pilot.press("right_square_bracket", "right_curly_bracket")
        await pilot.pause()
        assert preview.outer_size.width > before.width
        assert preview.outer_size.height > before.height


async def test_no_task_says_what_to_do(url: str) -> None:
    console = make_console(url)
    async with console.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "press o" in text_of(console.query_one("#preview Lines")))


async def test_the_timeline_seeks_by_click_and_by_key_and_zooms(
    console: ConsoleApp, script: Script
) -> None:
    frames = [line.frame for line in map(read_line, parse_events(script.log)) if line.frame]
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        timeline = console.query_one(Timeline)
        await typed(pilot, console, "left", "left", "left")
        columns = timeline.size.width - LABEL_CELLS
        step = max(1, timeline.window.scale(columns).span // columns)
        held = live(console).held
        assert held is not None
        wanted = 118
        for _ in range(3):  # a column, or an event where that is more
            before = [f for f in frames if f < wanted]
            wanted = min([f for f in before if f >= wanted - step], default=before[-1])
        assert held.line.frame == wanted
        await pilot.press("l", "plus", "plus")
        assert "frame x4" in text_of(timeline)
        scale = timeline.window.scale(columns)
        assert scale.span == timeline.window.n_frames // 4
        assert scale.right == timeline.window.last  # the newest frame is followed
        await typed(pilot, console, "shift+left", "shift+left")
        scale = timeline.window.scale(columns)
        assert scale.right < timeline.window.last
        column = columns // 2
        await pilot.click(timeline, offset=(1 + LABEL_CELLS + column, 0))
        held = live(console).held
        assert held is not None
        assert held.line.frame == min(f for f in frames if f >= scale.frame_at(column))
        assert timeline.window.scale(columns) == scale  # what was in sight stays
        *_, axis, times, clock = text_of(timeline).splitlines()
        assert clock.startswith("clock")
        assert str(held.line.frame) in axis
        assert media_time(held.line.time_ms or 0, tenths=True) in times
        await typed(pilot, console, "minus", "minus", "minus")
        assert timeline.window.span is None


async def test_the_log_is_searched_forwards_and_back(console: ConsoleApp, script: Script) -> None:
    lines = [read_line(event) for event in parse_events(script.log)]
    wanted = '"FRAME_INDEX":4'
    places = [i for i, line in enumerate(lines) if wanted.lower().encode() in line.data]
    assert len(places) > 2
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        await typed(pilot, console, "slash", *wanted, "enter")
        for keys, number in ((), 1), (("n",), 2), (("N", "N"), len(places)), (("n",) * 3, 3):
            await typed(pilot, console, *keys) if keys else await pilot.pause()
            held = live(console).held
            assert held is not None
            assert held.line == lines[places[number - 1]]
            assert f"{number} of {len(places)} matches in the {len(lines)} events" in head(console)
        await typed(pilot, console, "slash", *["backspace"] * 20, *"no such", "enter")
        await until(pilot, lambda: "has 'no such'" in notes(console))


async def test_an_event_is_shown_as_formatted_json_and_copied(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        await typed(pilot, console, "comma", "v")
        held = live(console).held
        assert held is not None
        shown = text_of(console.screen.query_one("#event-lines"))
        assert json.loads(shown) == json.loads(held.line.data)
        assert f"frame {held.line.frame}, 0:11." in str(
            console.screen.query_one(".dialog-title").render()
        )
        await typed(pilot, console, "y", "escape")
        assert console.clipboard == shown
        await typed(pilot, console, "G", "v")
        assert text_of(console.screen.query_one("#event-lines")) == "[DONE]"


async def test_a_click_on_a_box_chooses_its_target_and_enter_opens_its_track(
    console: ConsoleApp, script: Script
) -> None:
    async with console.run_test(size=SIZE) as pilot:
        await follow(pilot, console, script)
        preview, shown = await pictured(pilot, console)
        picture = preview.query_one(BlockPicture)
        width, height = fitting(shown.width_px, shown.height_px, *picture.size)
        left, top = (picture.size.width - width) // 2, (picture.size.height - height) // 2
        listing = console.query_one("#targets", Listing)
        for target in shown.targets:
            x_px = target.roi.left + target.roi.width / 2
            y_px = target.roi.top + target.roi.height / 2
            around = [
                one
                for one in shown.targets
                if one.roi.left <= x_px < one.roi.left + one.roi.width
                and one.roi.top <= y_px < one.roi.top + one.roi.height
            ]
            if len(around) > 1:  # the smallest is met
                continue
            cell = (
                left + int(x_px * width / shown.width_px),
                top + int(y_px * height / shown.height_px),
            )
            await pilot.click(picture, offset=cell)
            assert listing.key == str(target.track_id)
            assert listing.has_focus
        chosen = listing.key
        await typed(pilot, console, "enter")
        assert console.active == "tracks"
        tracks = console.query_one(TracksTab)
        assert tracks.place().text == f"task:{script.log_task}"
        wanted = f"{script.log_task}:{chosen}"
        await until(pilot, lambda: tracks.query_one("#track-list", Listing).key == wanted)
