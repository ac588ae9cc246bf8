"""The wall: many tasks side by side, and figures that agree with the logs."""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from textual.widgets import Label

from console.client.async_client import FramePicture
from console.tui.app import ConsoleApp
from console.tui.drawing.table_layout import Row
from console.tui.screens.live import LiveTab
from console.tui.screens.merged_log import MergedLogScreen
from console.tui.screens.wall import WallScreen
from console.tui.screens.wall_pane import WallPane
from console.tui.view_models.log_line import LogLine
from console.tui.view_models.merged_log import TaskLog, complete_from_ms, merge
from console.tui.view_models.wall import RATE_S, WallPlaces
from console.tui.widgets.preview import Preview
from console.tui.widgets.table import Listing
from streamproc.contract.framing import DONE, frame_event, parse_events
from tests.console.live_log import live_log
from tests.console.tui.conftest import RARELY_S, text_of, until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_bulk import running
from tests.console.tui.test_keys import changing_requests
from tests.console.tui.test_tasks_tab import shown

SIZE = (160, 48)


@pytest.fixture
def poll_s() -> float:
    return RARELY_S


class Truth:
    """What a log says, counted from its JSON."""

    def __init__(self, log: bytes) -> None:
        chunks = [json.loads(one.data) for one in parse_events(log) if one.data != DONE]
        self.frames = [one for one in chunks if one.get("finish_reason") is None]
        of_frame = [
            [target for result in one["delta"]["results"] for target in result["targets"]]
            for one in self.frames
        ]
        self.now = Counter(target["class"] for target in of_frame[-1])
        first: dict[int, str] = {}
        for targets in of_frame:
            for target in targets:
                if target["track_id"] > 0:
                    first.setdefault(target["track_id"], target["class"])
        self.ever = Counter(first.values())
        self.last_frame = self.frames[-1]["stream_info"]["frame_index"]
        times_ms = [one["stream_info"]["elapsed_ms"] for one in self.frames]
        self.duration_s = times_ms[-1] / 1000
        seconds = Counter(time_ms // 1000 for time_ms in times_ms)
        now = times_ms[-1] // 1000  # this second is not over
        whole = [seconds[at] for at in range(times_ms[0] // 1000, now)][-10:]
        self.fps = sum(whole) / len(whole) if whole else float(seconds[now])

    @property
    def counts(self) -> str:
        names = sorted(self.ever, key=lambda name: (-self.ever[name], name))
        return "  ".join(f"{name} {self.now[name]}/{self.ever[name]}" for name in names)


def without_end(log: bytes, n_events: int) -> bytes:
    """Return the log of a task that still runs: its first events."""
    return log[: list(parse_events(log))[n_events - 1].end]


def slowing(log: bytes) -> bytes:
    """Return the log as that of a task which becomes slower: over 20 s, at another rate in each."""
    out = b""
    for place, event in enumerate(parse_events(log)):
        chunk = json.loads(event.data)
        chunk["stream_info"]["elapsed_ms"] = 12 * place * place
        out += frame_event(json.dumps(chunk).encode(), len(out))
    return out


def many_running(script: Script, n_tasks: int) -> list[str]:
    """Make running tasks with logs of different lengths that do not end yet."""
    ids = running(script, n_tasks)
    n_events = len(list(parse_events(script.log)))
    for place, one in enumerate(ids):
        script.logs[one] = without_end(script.log, n_events - 3 - place)
    script.open_log = True
    return ids


async def wall(pilot: Any, console: ConsoleApp, script: Script, *keys: str) -> WallScreen:
    await shown(pilot, console, script)
    await typed(pilot, console, *keys, "w")
    screen = console.screen
    assert isinstance(screen, WallScreen)
    return screen


def tasks_of(screen: WallScreen) -> list[str | None]:
    return [pane.task_id for pane in screen.panes if pane.display]


def foot(pane: WallPane) -> str:
    return text_of(pane.query_one(".pane-foot"))


def says(pane: WallPane, text: str) -> bool:
    return text in foot(pane)


def shows(pane: WallPane, frame: int) -> bool:
    picture = pane.query_one(Preview).shown
    return picture is not None and picture.frame == frame


def test_a_task_keeps_its_place_and_one_that_has_ended_makes_room_last() -> None:
    places = WallPlaces()
    places.want(["a", "b"])
    assert list(places.places) == ["a", "b", None, None]
    places.want(["c", "b"])  # a has ended; there is a free place
    assert list(places.places) == ["a", "b", "c", None]
    places.want(["e", "d", "c", "b"])
    assert list(places.places) == ["d", "b", "c", "e"]
    places.want(["f", "e", "d", "c", "b"])
    assert list(places.places) == ["d", "b", "c", "e"]
    assert places.n_without == 1


def test_a_larger_grid_takes_what_had_no_pane_and_a_smaller_one_keeps_what_runs() -> None:
    places = WallPlaces()
    assert not places.resize(-1)
    places.want([str(number) for number in range(20)])
    assert (places.n_without, len(places.places)) == (16, 4)
    assert places.resize(1)
    assert places.resize(1)
    assert not places.resize(1)
    assert places.places == tuple(str(number) for number in range(16))
    places.want([str(number) for number in range(6, 20)])
    places.resize(-1)
    assert places.places == tuple(str(number) for number in (*range(16, 20), *range(6, 11)))


async def test_what_runs_is_on_the_wall_and_its_figures_are_those_of_the_logs(
    console: ConsoleApp, script: Script
) -> None:
    ids = many_running(script, 3)
    script.logs |= {one: slowing(log) for one, log in script.logs.items()}
    async with console.run_test(size=SIZE) as pilot:
        screen = await wall(pilot, console, script)
        await until(pilot, lambda: tasks_of(screen) == [*ids, None])
        for pane, one in zip(screen.panes, ids, strict=False):
            truth = Truth(script.logs[one])
            assert truth.duration_s > 2 * RATE_S
            await until(pilot, partial(says, pane, truth.counts))
            assert f"{truth.fps:.1f} fps" in foot(pane)
            await until(pilot, partial(shows, pane, truth.last_frame))
            await until(pilot, partial(says, pane, "picture 0s old"))
            assert one[-6:] in text_of(pane.query_one(".pane-head"))
        assert "3 running tasks" in text_of(screen.query_one("#wall-head"))
        assert not changing_requests(script)


async def test_marked_tasks_are_on_the_wall_and_a_digit_opens_one_in_live(
    console: ConsoleApp, script: Script
) -> None:
    ids = many_running(script, 8)
    async with console.run_test(size=SIZE) as pilot:
        screen = await wall(pilot, console, script, "space", "down", "space")
        assert tasks_of(screen) == [ids[0], ids[2], None, None]
        assert "2 marked tasks" in text_of(screen.query_one("#wall-head"))
        await typed(pilot, console, "4")  # a free pane
        assert console.screen is screen
        await typed(pilot, console, "escape", "w", "2")  # back to back
        assert console.screen is console.screen_stack[0]
        assert (console.active, console.query_one(LiveTab).task_id) == ("live", ids[2])


async def test_arrows_enter_and_a_click_open_a_pane(console: ConsoleApp, script: Script) -> None:
    ids = many_running(script, 4)
    async with console.run_test(size=SIZE) as pilot:
        screen = await wall(pilot, console, script, "asterisk", "u", "space", "space", "space")
        assert tasks_of(screen) == [*ids[:3], None]
        await typed(pilot, console, "right", "right", "down", "left", "enter")
        assert console.query_one(LiveTab).task_id == ids[2]
        await typed(pilot, console, "1", "w")
        await pilot.click("#pane-2")
        await until(pilot, lambda: console.query_one(LiveTab).task_id == ids[1])
        assert console.active == "live"


async def test_the_grid_grows_and_shrinks_with_one_stream_for_each_pane(
    console: ConsoleApp, script: Script
) -> None:
    ids = many_running(script, 12)
    async with console.run_test(size=SIZE) as pilot:
        screen = await wall(pilot, console, script)
        await until(pilot, lambda: tasks_of(screen) == [*ids, *[None] * 4])  # as many as it takes
        await until(pilot, lambda: all(pane.snapshot.n_chunks for pane in screen.panes[:12]))
        await typed(pilot, console, "plus", "minus")
        assert tasks_of(screen) == ids[:9]
        assert "3 more without a pane" in text_of(screen.query_one("#wall-head"))
        await typed(pilot, console, "minus", "minus")
        assert tasks_of(screen) == ids[:4]
        await typed(pilot, console, "plus")
        assert tasks_of(screen) == ids[:9]
        await typed(pilot, console, "minus")
        following = [
            pane.task_id
            for pane in screen.panes
            for worker in pane.workers
            if worker.node is pane and worker.group == "follow" and worker.is_running
        ]
        assert following == ids[:4]


async def test_a_task_that_starts_gets_a_free_pane_and_then_that_of_an_ended_one(
    polling_console: ConsoleApp, script: Script
) -> None:
    console = polling_console
    ids = many_running(script, 5)
    waiting = script.tasks()[4:]
    del script.tasks()[4:]
    async with console.run_test(size=SIZE) as pilot:
        screen = await wall(pilot, console, script)
        await until(pilot, lambda: tasks_of(screen) == ids[:4])
        script.tasks()[1]["status"] = "succeeded"
        await until(pilot, lambda: "✔" in text_of(screen.panes[1].query_one(".pane-head")))
        assert tasks_of(screen) == ids[:4]  # nobody needs its place
        script.tasks().extend(waiting)
        await until(pilot, lambda: tasks_of(screen) == [ids[0], ids[4], ids[2], ids[3]])


async def test_a_pane_says_why_its_stream_stands_still(
    console: ConsoleApp, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_running(script, 1)
    script.answers["system"]["workers"] = []
    async with console.run_test(size=SIZE) as pilot:
        screen = await wall(pilot, console, script, "space")
        pane = screen.panes[0]
        await until(pilot, lambda: "fps" in foot(pane))
        monkeypatch.setattr(console.backend.clock, "monotonic_s", lambda: 1020.0)
        await until(pilot, lambda: "stalled 20 s: no worker alive" in foot(pane))


async def test_the_picture_of_a_camera_is_the_last_one_that_was_kept(
    console: ConsoleApp, script: Script
) -> None:
    (task,) = many_running(script, 1)
    script.logs[task] = live_log(task).log
    script.latest[task] = (29, "2026-11-22T12:05:12.250Z")
    async with console.run_test(size=SIZE) as pilot:
        screen = await wall(pilot, console, script, "space")
        pane = screen.panes[0]
        await until(pilot, lambda: shows(pane, 29))
        await until(pilot, lambda: "picture 20s old" in foot(pane))
    paths = {path for _, path, _ in script.requests if "/frames/" in path}
    assert paths == {f"/v1/video/tasks/{task}/frames/latest.jpg"}


async def test_few_pictures_are_asked_for_at_a_time(
    console: ConsoleApp, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_running(script, 9)
    read: Callable[..., Any] = console.backend.read_frame
    under_way: list[str] = []
    most: list[int] = []

    async def counted(task_id: str, index: int, width_px: int) -> FramePicture:
        assert width_px <= 640
        under_way.append(task_id)
        most.append(len(under_way))
        try:
            found: FramePicture = await read(task_id, index, width_px)
            return found
        finally:
            under_way.remove(task_id)

    monkeypatch.setattr(console.backend, "read_frame", counted)
    async with console.run_test(size=SIZE) as pilot:
        screen = await wall(pilot, console, script, *["space"] * 9)
        previews = [pane.query_one(Preview) for pane in screen.panes[:9]]
        await until(pilot, lambda: all(one.shown is not None for one in previews))
        assert max(most) <= 2
        assert len(most) == 9  # each picture once: no frame came since


def line(elapsed_ms: int, frame: int | None = 1, captured_ms: int | None = None) -> LogLine:
    is_wall = captured_ms is not None
    time_ms = captured_ms if is_wall else elapsed_ms
    return LogLine(
        elapsed_ms, elapsed_ms + 1, frame, 0, elapsed_ms, None, b"{}", time_ms, is_wall=is_wall
    )


def test_events_of_tasks_are_merged_by_time_and_each_log_keeps_its_order() -> None:
    first = TaskLog("vt_a", 1, 1000, [line(0), line(500), line(0, None)], 0)
    second = TaskLog("vt_b", 2, 1200, [line(100), line(400)], 3)
    live = TaskLog("vt_c", 3, 0, [line(5, captured_ms=1350), line(6, captured_ms=1340)], 0)
    events = merge([first, second, live])
    assert [(event.at_ms, event.number) for event in events] == [
        (1000, 1), (1300, 2), (1350, 3), (1350, 3), (1500, 1), (1500, 1), (1600, 2),
    ]  # fmt: skip
    assert [event.line for event in events if event.number == 1] == list(first.lines)
    assert complete_from_ms([first, live]) is None
    assert complete_from_ms([first, second, live]) == 1300


async def test_the_events_of_the_shown_tasks_are_one_list_by_time_and_lead_to_live(
    console: ConsoleApp, script: Script
) -> None:
    first, second = many_running(script, 2)
    async with console.run_test(size=SIZE) as pilot:
        screen = await wall(pilot, console, script)
        logs = {one: list(parse_events(script.logs[one])) for one in (first, second)}
        n_events = sum(map(len, logs.values()))
        await until(
            pilot, lambda: sum(len(pane.snapshot.lines) for pane in screen.panes) == n_events
        )
        await typed(pilot, console, "m")
        merged = console.screen
        assert isinstance(merged, MergedLogScreen)
        listing = merged.query_one(Listing)
        await until(pilot, lambda: len(listing.rows) == n_events)
        assert f"{n_events} events of 2 tasks, by time" in str(merged.query_one(Label).content)
        times = [text_of_cell(row, 0) for row in listing.rows]
        assert times == sorted(times)
        assert listing.cursor == n_events - 1  # the newest is followed
        await typed(pilot, console, "up", "up")
        held = listing.key or ""
        await typed(pilot, console, "v", "escape", "enter")
        await until(pilot, lambda: console.active == "live")
        live = console.query_one(LiveTab)
        await until(pilot, lambda: live.held is not None)
        assert live.held is not None
        assert f"{live.task_id}:{live.held.line.start}" == held
        assert console.screen is console.screen_stack[0]


@pytest.mark.parametrize("move", ["up", "k", "pageup", "home", "g", "end", "G"])
async def test_an_event_that_the_cursor_moved_to_is_the_one_that_is_held(
    console: ConsoleApp, script: Script, move: str
) -> None:
    many_running(script, 2)
    async with console.run_test(size=SIZE) as pilot:
        screen = await wall(pilot, console, script)
        n_events = sum(len(list(parse_events(log))) for log in script.logs.values())
        await until(
            pilot, lambda: sum(len(pane.snapshot.lines) for pane in screen.panes) == n_events
        )
        await typed(pilot, console, "m")
        listing = console.screen.query_one(Listing)
        await until(pilot, lambda: len(listing.rows) == n_events)
        await typed(pilot, console, "up", "up")  # away from the newest
        page = listing.size.height - 2
        at = {"up": n_events - 4, "k": n_events - 4, "pageup": n_events - 3 - page}
        place = {"home": 0, "g": 0, "end": n_events - 1, "G": n_events - 1}.get(move, at.get(move))
        wanted = listing.rows[place or 0].key
        await typed(pilot, console, move, "enter")
        live = console.query_one(LiveTab)
        await until(pilot, lambda: live.held is not None)
        assert live.held is not None
        assert f"{live.task_id}:{live.held.line.start}" == wanted


def text_of_cell(row: Row, at: int) -> str:
    return "".join(text for text, _ in row.cells[at])
