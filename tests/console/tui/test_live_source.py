"""The Live tab on a camera: the time of day, lag, gaps and losses."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest
from textual.widgets import Input

from api.contract.tasks import TaskResource
from api.contract.tracks import TrackResource
from console.tui.app import ConsoleApp
from console.tui.drawing.formatting import time_of_day
from console.tui.drawing.styled_text import Line
from console.tui.screens import live_preview
from console.tui.screens.live import LiveTab
from console.tui.view_models.capture import MAX_HOLES, Hole, last_time_of_day_ms
from console.tui.view_models.connection import ConnectionState
from console.tui.view_models.health import Health
from console.tui.view_models.live_stream import LiveFold
from console.tui.view_models.log_line import LogLine, read_line
from console.tui.view_models.seek_window import SeekWindow
from console.tui.view_models.stream_stall import stream_stall
from console.tui.view_models.task_list import TaskView
from console.tui.view_models.timeline import TimelineWindow
from console.tui.view_models.track_search import track_facts, track_row
from console.tui.widgets.live_head_rendering import head_lines
from console.tui.widgets.live_rendering import event_row, figure_lines
from console.tui.widgets.preview import Preview
from console.tui.widgets.task_rendering import details_lines
from console.tui.widgets.timeline_rendering import timeline_lines
from streamproc.contract.chunk import Gap
from streamproc.contract.framing import parse_events
from streamproc.contract.timestamps import rfc3339
from tests.console.live_log import live_log
from tests.console.tui.conftest import text_of, until
from tests.console.tui.recorded_api import NOW, Script
from tests.streamproc.sinks.logs import LogBuilder, target

TASK = "vt_01KAN7W0000000000000000001"
LOG = live_log(TASK)


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def folded(log: bytes, n_events: int | None = None) -> LiveFold:
    fold = LiveFold()
    fold.apply(list(parse_events(log))[:n_events], 5.0)
    return fold


def words(lines: list[Line]) -> str:
    return "\n".join("".join(text for text, _ in line) for line in lines)


def head(fold: LiveFold, held: SeekWindow | None = None) -> str:
    return words(head_lines(None, TASK, fold.snapshot(5.0), held, ("", "dim"), 140, NOW))


def test_notices_are_no_frames_and_frames_have_their_time_of_day_and_lag() -> None:
    snapshot = folded(LOG.log).snapshot(5.0)
    assert (snapshot.n_chunks, snapshot.last_frame, snapshot.capture.is_live) == (3, 30, True)
    assert snapshot.capture.holes == (Hole(30, 22.3, "source_lost"),)
    assert "● LIVE" in head(folded(LOG.log))
    assert "frame 30 12:00:23.5 lag 150 ms  1 gap, 22s" in head(folded(LOG.log))


def test_a_source_that_is_away_is_lost_until_its_next_frame() -> None:
    fold = folded(LOG.log, 4)
    loss = fold.snapshot(5.0).capture.loss
    assert loss is not None
    assert (loss.code, loss.attempts) == ("source_unreachable", 3)
    assert "✖ LOST" in head(fold)
    assert "said at 12:00:11" in head(fold)
    assert folded(LOG.log).snapshot(5.0).capture.loss is None


def test_a_lost_source_is_said_at_once_and_not_called_stalled() -> None:
    task = msgspec.convert(Script().tasks()[0] | {"status": "running"}, TaskResource)
    view, link = TaskView(task), ConnectionState().answered(0.01)
    lost = folded(LOG.log, 4).snapshot(5.0)
    note = ("lost: source_unreachable, 3 attempts", "bad")
    assert stream_stall(lost, view, 0.0, Health(), link) == note
    back = folded(LOG.log).snapshot(5.0)
    assert stream_stall(back, view, 0.0, Health(), link) is None
    stalled = stream_stall(back, view, 300.0, Health(), link)
    assert stalled is not None
    assert stalled[0].startswith("stalled 300 s")
    over = TaskView(msgspec.structs.replace(task, status="cancelled"))
    assert stream_stall(lost, over, 0.0, Health(), link) is None


def test_a_live_tasks_details_and_tracks_have_the_time_of_day() -> None:
    script = Script()
    task = script.answers["full"][script.log_task]
    task |= {"live": {"state": "live", "since": "2026-11-22T12:00:00.250Z", "code": None}}
    task["live"] |= {"reconnects": 1, "last_frame_at": None, "fps": 4.9, "lag_ms": 150}
    task["live"]["keyframe_interval_s"] = 2.0
    view = TaskView(msgspec.convert(task, TaskResource))
    shown = words(details_lines(view, None, NOW, 90))
    assert "live since 2026-11-22T12:00:00.250Z, 1 reconnect, 4.9 frames/s, lag 150 ms" in shown
    track = script.answers["tracks"]["data"][0]
    track["first_seen_at"] = "2026-11-22T12:00:00.250Z"
    track["last_seen_at"] = "2026-11-22T12:00:31.500Z"
    found = msgspec.convert(track, TrackResource)
    assert "2026-11-22 12:00:00 to 2026-11-22 12:00:31" in words(track_facts(found))
    assert track_row(found, NOW).cells[5] == (("11-22 12:00", "dim"),)


def test_a_held_event_says_when_it_was_captured_and_what_came_before() -> None:
    lines = tuple(read_line(event) for event in parse_events(LOG.log))
    assert "frame 30 12:00:23.5 after 22.3 s: source_lost" in head(
        folded(LOG.log), SeekWindow(lines, 4)
    )
    assert "lost: source_timeout, 3 attempts" in head(folded(LOG.log), SeekWindow(lines, 2))


def test_notices_and_gaps_stand_out_among_the_events() -> None:
    rows = [event_row(read_line(event)).cells for event in parse_events(LOG.log)]
    assert [row[1][0] for row in rows] == [
        ("0", ""),
        ("29", ""),
        ("lost", "bad"),
        ("lost", "bad"),
        ("30", "warn"),
    ]
    assert rows[3][4] == (("lost: source_unreachable, 3 attempts", "bad"),)
    assert rows[4][4][0] == ("after 22.3 s: source_lost ", "warn")


def test_the_timeline_has_gaps_and_times_of_day() -> None:
    fold = folded(LOG.log)
    snapshot = fold.snapshot(5.0)
    window = TimelineWindow().grown(0, 30)
    shown = words(timeline_lines(snapshot, window, None, 100, 8, fold.time_ms))
    assert "╪" in shown
    assert "╎" in shown  # the other track was not seen after it
    assert "12:00:00" in shown
    assert "12:00:23" in shown
    file = LogBuilder(TASK)
    for _ in range(31):
        file.chunk(target(1))
    plain = folded(file.log)
    shown = words(timeline_lines(plain.snapshot(5.0), window, None, 100, 8, plain.time_ms))
    assert "╪" not in shown
    assert "0:00" in shown


def test_the_lag_is_a_curve_of_its_own() -> None:
    assert "lag, ms     150" in words(figure_lines(folded(LOG.log).snapshot(5.0), {}, 60, 8))
    file = LogBuilder(TASK)
    file.chunk(target(1))
    assert "lag" not in words(figure_lines(folded(file.log).snapshot(5.0), {}, 60, 8))


def test_gaps_are_counted_and_only_the_last_ones_kept() -> None:
    log = LogBuilder(TASK)
    for _ in range(MAX_HOLES + 10):
        log.chunk(captured_at="2026-11-22T12:00:00.000Z", gap=Gap("overload", 2.0))
    capture = folded(log.log).snapshot(5.0).capture
    assert (len(capture.holes), capture.n_holes) == (MAX_HOLES, MAX_HOLES + 10)
    assert capture.away_s == 2.0 * (MAX_HOLES + 10)
    assert capture.holes[0].frame == 10


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("typed", "newest", "found"),
    [
        ("01:02:03", "2026-11-22T12:00:00Z", "2026-11-22T01:02:03Z"),
        ("12:00:00", "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z"),
        ("23:59:59", "2026-11-22T00:00:05Z", "2026-11-21T23:59:59Z"),
    ],
)
def test_a_time_of_day_is_the_last_one(typed: str, newest: str, found: str) -> None:
    hours, minutes, seconds = map(int, typed.split(":"))
    of_day_ms = ((hours * 60 + minutes) * 60 + seconds) * 1000
    assert last_time_of_day_ms(of_day_ms, ms(newest)) == ms(found)


def test_a_time_of_day_is_that_of_this_machines_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    assert time_of_day(ms("2026-11-22T12:00:07.250Z"), tenths=True) == "21:00:07.2"


async def test_a_camera_is_followed_and_sought_by_the_time_of_day(
    console: ConsoleApp, script: Script
) -> None:
    script.log, script.open_log = LOG.log, True
    tab = console.query_one
    async with console.run_test(size=(140, 44)) as pilot:
        await pilot.press("2")
        tab(LiveTab).task_id = script.log_task
        await until(pilot, lambda: tab(LiveTab).snapshot.offset == len(LOG.log))
        await until(pilot, lambda: "12:00:23.5 lag 150 ms" in text_of(tab("#live-head")))
        assert "lost" in text_of(tab("#events"))
        await pilot.press("b")
        console.screen.query_one("#answer", Input).value = "12:00:01"
        await pilot.press("enter")
        await until(pilot, lambda: "‖ HELD" in text_of(tab("#live-head")))
        held = tab(LiveTab).held
        assert held is not None
        assert held.line.frame == 29


@pytest.fixture
def day(script: Script) -> LogBuilder:
    """A log of an hour before `NOW`, a frame each second, of a live task that goes on."""
    log = LogBuilder(script.log_task)
    for second in range(3600):
        at = rfc3339(round(1000 * (NOW.timestamp() - 3600 + second)))
        log.chunk(
            *(target(k) for k in range(1, 9)), frame=second, captured_at=at, total_frames=None
        )
    script.log, script.open_log = log.log, True
    script.unlisted[script.log_task] = {
        "status": "running",
        "created_at": "2020-01-01T00:00:00.000Z",
        "started_at": "2020-01-01T00:00:00.000Z",
        "finished_at": None,
        "live": None,
    }
    return log


async def sought(pilot: Any, console: ConsoleApp, place: str) -> LogLine:
    """Seek to a place in Live, and return the event that is held then."""
    await pilot.press("b")
    console.screen.query_one("#answer", Input).value = place
    await pilot.press("enter")
    tab = console.query_one(LiveTab)

    def is_over() -> bool:
        seeks = [one for one in tab.workers if one.group == "seek" and not one.is_finished]
        return tab.held is not None and not seeks

    await until(pilot, is_over)
    assert tab.held is not None
    return tab.held.line


async def test_of_a_long_live_log_the_last_minutes_are_read_and_the_rest_is_found(
    console: ConsoleApp, script: Script, day: LogBuilder
) -> None:
    async with console.run_test(size=(140, 44)) as pilot:
        await pilot.press("2")
        tab = console.query_one(LiveTab)
        tab.task_id = script.log_task
        await until(pilot, lambda: tab.snapshot.offset == len(day.log))
        assert tab.snapshot.first_frame == 3000
        assert tab.snapshot.n_chunks == 600
        assert "the log from 11:55:32 on" in tab.note[0]
        (asked,) = [
            q
            for q in script.asked("GET", f"/v1/video/tasks/{script.log_task}/stream")
            if "live" not in q
        ]
        assert asked == {"from": ["2026-11-22T11:55:32.000Z"]}
        for frame in (5, 1234, 2999):
            assert (await sought(pilot, console, f"f{frame}")).frame == frame
        assert (await sought(pilot, console, "11:10:00")).frame == 268


async def test_a_place_that_has_expired_is_the_first_one_that_is_kept(
    console: ConsoleApp, script: Script, day: LogBuilder
) -> None:
    kept = [event.start for event in parse_events(day.log)][2000]
    script.first_kept = kept
    async with console.run_test(size=(140, 44)) as pilot:
        await pilot.press("2")
        tab = console.query_one(LiveTab)
        tab.task_id = script.log_task
        await until(pilot, lambda: tab.snapshot.offset == len(day.log))
        assert (await sought(pilot, console, "f5")).frame == 2000
        assert (await sought(pilot, console, "f2001")).frame == 2001
        assert (await sought(pilot, console, f"b{kept + 1}")).frame == 2000


async def test_a_live_task_that_ended_is_read_from_before_its_end(
    console: ConsoleApp, script: Script, day: LogBuilder
) -> None:
    script.open_log = False
    script.unlisted[script.log_task] |= {
        "status": "cancelled",
        "finished_at": rfc3339(round(1000 * NOW.timestamp()) - 1_800_000),
    }
    async with console.run_test(size=(140, 44)) as pilot:
        await pilot.press("2")
        tab = console.query_one(LiveTab)
        tab.task_id = script.log_task
        await until(pilot, lambda: tab.snapshot.offset == len(day.log))
        assert tab.snapshot.first_frame == 1200


async def test_the_picture_of_a_camera_is_the_last_one_that_was_kept(
    console: ConsoleApp, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_preview, "_LATEST_PAUSE_S", 0.05)
    script.log, script.open_log = LOG.log, True
    task = script.log_task
    async with console.run_test(size=(140, 44)) as pilot:
        await pilot.press("2")
        console.query_one(LiveTab).task_id = task
        preview = console.query_one(Preview)
        note, caption = preview.query_one(".preview-note"), preview.query_one(".preview-caption")
        await until(pilot, lambda: "no picture of this live source" in text_of(note))
        script.latest[task] = (29, "2026-11-22T12:05:12.250Z")
        await until(pilot, lambda: preview.shown is not None)
        assert preview.shown is not None
        assert (preview.shown.frame, len(preview.shown.targets)) == (29, 2)  # its own targets
        assert "last picture: frame 29, 12:05:12, 20s old" in text_of(caption)
        assert await console.backend.read_latest(task, '"29"') is None
        script.latest[task] = (30, "2026-11-22T12:05:30.250Z")
        await until(pilot, lambda: "frame 30, 12:05:30, 2.0s old" in text_of(caption))
    paths = {path for _, path, _ in script.requests if "/frames/" in path}
    assert paths == {f"/v1/video/tasks/{task}/frames/latest.jpg"}
