"""The timeline: frames and columns are each other's, whatever is zoomed and scrolled."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from console.tui.drawing.formatting import media_time
from console.tui.drawing.styled_text import length
from console.tui.view_models.frame_index import FrameIndex
from console.tui.view_models.live_stream import LiveFold, LiveSnapshot, TrackLife
from console.tui.view_models.timeline import MIN_SPAN, TimelineWindow, TimeScale
from console.tui.widgets.timeline_rendering import LABEL_CELLS, timeline_lines
from streamproc.contract.framing import Event, parse_events
from tests.console.tui.recorded_api import Script

SCALES = st.builds(TimeScale, st.integers(0, 10**7), st.integers(1, 10**6), st.integers(1, 400))
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("zoom"), st.integers(-3, 3), st.integers(0, 10**5)),
        st.tuples(st.just("scroll"), st.integers(-9, 9), st.just(0)),
        st.tuples(st.just("follow"), st.just(0), st.integers(0, 10**5)),
        st.tuples(st.just("grow"), st.integers(0, 10**5), st.just(0)),
    ),
    max_size=12,
)


def moved(window: TimelineWindow, moves: list[tuple[str, int, int]]) -> TimelineWindow:
    for kind, n, frame in moves:
        match kind:
            case "zoom":
                window = window.zoomed(n, frame)
            case "scroll":
                window = window.scrolled(n)
            case "follow":
                window = window.following(frame)
            case _:
                window = window.grown(window.first, window.last + n)
    return window


@given(SCALES, st.data())
def test_a_column_has_its_frame_and_a_frame_its_column(
    scale: TimeScale, data: st.DataObject
) -> None:
    column = data.draw(st.integers(0, scale.cells - 1))
    frame = data.draw(st.integers(scale.left, scale.right))
    assert scale.left <= scale.frame_at(column) <= scale.right
    assert 0 <= scale.column_of(frame) <= scale.last_column_of(frame) < scale.cells
    if scale.span >= scale.cells:
        assert scale.column_of(scale.frame_at(column)) == column
    if scale.span <= scale.cells:
        assert scale.frame_at(scale.column_of(frame)) == frame
        assert scale.frame_at(scale.last_column_of(frame)) == frame
    # the frame that a click on the frame's column seeks is less than a column away
    assert 0 <= frame - scale.frame_at(scale.column_of(frame)) <= scale.span // scale.cells


@given(SCALES)
def test_later_frames_are_further_right(scale: TimeScale) -> None:
    frames = [scale.frame_at(column) for column in range(scale.cells)]
    assert all(one <= other for one, other in pairwise(frames))
    assert frames[0] == scale.left
    assert scale.column_of(scale.left - 1) < 0
    assert scale.column_of(scale.right + 1) >= scale.cells


@given(st.integers(0, 1000), st.integers(1, 10**5), MOVES)
def test_a_window_stays_within_the_video(
    first: int, n_frames: int, moves: list[tuple[str, int, int]]
) -> None:
    window = moved(TimelineWindow().grown(first, first + n_frames - 1), moves)
    scale = window.scale(40)
    assert window.first <= scale.left <= scale.right <= window.last
    assert scale.span >= min(MIN_SPAN, n_frames)
    assert (window.zoom == 1.0) == (window.span is None)


@given(st.integers(1, 10**5), MOVES, st.integers(0, 10**5))
def test_the_followed_frame_is_in_sight_and_zooming_keeps_it_there(
    n_frames: int, moves: list[tuple[str, int, int]], frame: int
) -> None:
    window = moved(TimelineWindow().grown(0, n_frames - 1), moves)
    frame = min(frame, window.last)
    window = window.following(frame)
    for zoomed in (
        window,
        window.zoomed(1, frame),
        window.zoomed(20, frame),
        window.zoomed(-1, frame),
    ):
        scale = zoomed.scale(40)
        assert scale.left <= frame <= scale.right
    assert window.zoomed(-40, frame).span is None


def test_a_zoomed_window_keeps_its_scale_while_the_stream_grows() -> None:
    window = TimelineWindow().grown(0, 999).zoomed(2, 500)
    assert (window.span, window.left) == (250, 375)
    grown = window.grown(0, 9999)
    assert (grown.span, grown.left) == (250, 375)
    assert grown.scrolled(1).left == 375 + 62
    assert grown.following(9_999).scale(10).right == 9_999


@given(st.lists(st.integers(1, 50), min_size=2, max_size=60), st.integers(10, 100))
def test_a_frames_time_is_read_between_those_that_were_indexed(gaps: list[int], ms: int) -> None:
    index, frame = FrameIndex(most=8), 0
    for gap in gaps:
        index.add(frame, frame * ms + 7)
        frame += gap
    for wanted in range(frame):
        assert abs(index.interpolated(wanted) - (wanted * ms + 7)) <= 1


def test_an_index_without_an_entry_knows_no_time() -> None:
    assert FrameIndex().interpolated(3) == 0


def test_times_are_written_as_a_player_does() -> None:
    assert [media_time(ms) for ms in (0, 999, 61_500, 3_600_000, 36_061_000)] == [
        "0:00",
        "0:00",
        "1:01",
        "1:00:00",
        "10:01:01",
    ]
    assert media_time(61_570, tenths=True) == "1:01.5"


def track(number: int, *spans: tuple[int, int]) -> TrackLife:
    first, last = spans[0][0], spans[-1][1]
    return TrackLife(number, "car", first, last, 9, 0.9, None, spans)


SNAPSHOT = LiveSnapshot(
    n_chunks=6000,
    first_frame=0,
    last_frame=5999,
    tracks=tuple(track(n, (n * 40, n * 40 + 60)) for n in range(1, 146)),
)


def text(window: TimelineWindow, marked: int | None, width: int = 75, height: int = 8) -> list[str]:
    lines = timeline_lines(SNAPSHOT, window, marked, width, height, lambda frame: frame * 40)
    assert len(lines) <= height
    assert all(length(line) <= width for line in lines)
    return ["".join(part for part, _ in line) for line in lines]


def test_the_axis_has_frames_and_times_at_their_columns() -> None:
    window = TimelineWindow().grown(0, 5999).zoomed(3, 3000)
    scale = window.scale(75 - LABEL_CELLS)
    *_, frames, times = text(window, 3000)
    assert frames.startswith("frame x8")
    column = scale.column_of(3000) + LABEL_CELLS
    assert frames.index("3 000") <= column < frames.index("3 000") + len("3 000")
    assert times.index("2:00") <= column <= times.index("2:00") + len("2:00")
    assert f"{scale.left:,}".replace(",", " ") in frames
    assert media_time(scale.right * 40) in times


def test_a_tall_timeline_has_the_time_of_day_below_if_it_is_known() -> None:
    began = datetime(2026, 11, 22, 23, 59, 0, tzinfo=UTC)

    def lines(height: int, wall_of: Callable[[int], datetime | None]) -> list[str]:
        window = TimelineWindow().grown(0, 5999).zoomed(3, 3000)
        found = timeline_lines(SNAPSHOT, window, 3000, 90, height, lambda n: n * 40, wall_of)
        assert len(found) <= height
        return ["".join(part for part, _ in line) for line in found]

    def wall_of(frame: int) -> datetime:
        return began + timedelta(milliseconds=frame * 40)

    *_, frames, times, clock = lines(8, wall_of)
    assert (frames[:5], times[:1], clock[:5]) == ("frame", "+", "clock")
    assert times.split()[-3:] == ["1:51", "2:00", "2:14"]
    assert clock.split()[-3:] == ["00:00:51", "00:01:00", "00:01:14"]
    assert lines(6, wall_of)[-1].startswith("+")
    assert lines(8, lambda _: None)[-1].startswith("+")


def test_the_clock_has_when_a_frames_chunk_was_made_and_a_live_source_its_captures() -> None:
    fold = LiveFold()
    fold.apply(parse_events(Script().log), 0.0)
    lines = [line for line in fold.snapshot(0.0).lines if line.frame is not None]
    assert fold.wall_ms(lines[0].frame or 0, None) is None
    for line in lines[:-1]:
        assert fold.wall_ms(line.frame or 0, 5_000) == 5_000 + line.elapsed_ms
    captured = b'"captured_at":"2026-01-01T00:00:07.250Z","elapsed_ms":'
    live = LiveFold()
    live.apply(
        [
            Event(one.start, one.end, one.data.replace(b'"elapsed_ms":', captured))
            for one in parse_events(Script().log)
        ],
        0.0,
    )
    assert live.wall_ms(3, 5_000) is None
    assert live.time_ms(3) == 1767225607250


def test_zoomed_in_the_tracks_in_sight_are_shown_where_they_are_seen() -> None:
    window = TimelineWindow().grown(0, 5999).zoomed(5, 2000)
    scale = window.scale(75 - LABEL_CELLS)
    *rows, _, _ = text(window, 2000, height=12)
    shown = {row.split()[0]: row for row in rows if row.strip()}
    seen = [
        t for t in SNAPSHOT.tracks if t.first_frame <= scale.right and t.last_frame >= scale.left
    ]
    assert {f"#{t.track_id}" for t in seen} == set(shown)
    assert "#50" in shown
    for one in seen:
        bar = shown[f"#{one.track_id}"][LABEL_CELLS:]
        for column, mark in enumerate(bar.ljust(scale.cells)):
            first, last = scale.frame_at(column), scale.frame_at(column + 1) - 1
            is_seen = one.first_frame <= max(first, last) and one.last_frame >= first
            assert (mark in "━╋") == is_seen, (one, column)


def test_tracks_that_have_no_room_are_counted() -> None:
    *_, times = text(TimelineWindow().grown(0, 5999), None)
    assert times.startswith(f"+{145 - 6} tracks")


@given(st.integers(0, 5999), st.integers(0, 8), st.integers(30, 200))
def test_the_axis_names_the_held_frame_itself_and_no_labels_touch(
    frame: int, zoom: int, width: int
) -> None:
    window = TimelineWindow().grown(0, 5999).zoomed(zoom, frame)
    *_, frames, times = timeline_lines(SNAPSHOT, window, frame, width, 8, lambda n: n * 40)
    assert [text for text, tone in frames if tone == "warn!"] == [f"{frame:,}".replace(",", " ")]
    for line in (frames, times):
        gaps = [text for text, _ in line[3:-1:2]]
        assert all(gaps)
        assert not any(gap.strip() for gap in gaps)
    named = [int(text.replace(" ", "")) for text, _ in frames[2::2]]
    assert named == sorted(named)
