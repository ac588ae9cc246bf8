"""The fold of a stream and the held view, without Textual."""

import json
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.tui.view_models.frame_index import FrameIndex
from console.tui.view_models.live_stream import LiveFold
from console.tui.view_models.log_line import LogLine, read_line
from console.tui.view_models.seek_window import SeekWindow, hold_last, parse_place
from streamproc.contract.chunk import (
    CHUNK_OBJECT,
    Chunk,
    Delta,
    FinishReason,
    Result,
    Roi,
    StreamInfo,
    Target,
    Usage,
    decode_chunk,
    encode_chunk,
)
from streamproc.contract.framing import DONE, Event, frame_event, parse_events
from tests.console.tui.recorded_api import RECORDED
from tests.id_first import frame_id_first
from tests.terminals import usage_of

LOG = (RECORDED / "stream.txt").read_bytes()


def target(track: int, name: str = "pedestrian", confidence: float = 0.5) -> Target:
    return Target(track, name, confidence, Roi(10, 20, 30, 40))


def chunk(frame: int, *targets: Target, reason: FinishReason | None = None) -> bytes:
    info = StreamInfo(frame, 100, frame + 1, 0, 25.0, 40 * frame)
    usage = Usage(frame, 40 * frame) if reason else msgspec.UNSET
    return encode_chunk(
        Chunk("mm-pipe-x", CHUNK_OBJECT, info, Delta((Result(0, targets),)), reason, usage=usage)
    )


def events(*datas: bytes) -> Iterator[Event]:
    log = b""
    for data in datas:
        log += frame_event(data, len(log))
    return parse_events(log)


def test_a_recorded_stream_is_summed_up_as_its_chunks_say() -> None:
    fold = LiveFold()
    fold.apply(parse_events(LOG), 10.0)
    shown = fold.snapshot(11.0)
    chunks = [decode_chunk(event.data) for event in parse_events(LOG) if event.data != DONE]
    ids = {t.track_id for c in chunks for r in c.delta.results for t in r.targets}
    assert shown.offset == len(LOG)
    assert shown.n_chunks == len(chunks) - 1
    assert {life.track_id for life in shown.tracks} == ids
    assert shown.finish == "stop"
    assert shown.processing_ms == usage_of(chunks[-1]).processing_time_ms
    assert shown.provider == "local"
    assert b"".join(frame_id_first(line.data, line.start) for line in shown.lines) == LOG


@given(st.lists(st.integers(1, len(LOG) - 1), max_size=8))
def test_any_cuts_of_the_stream_fold_to_the_same(cuts: list[int]) -> None:
    whole, pieces = LiveFold(), LiveFold()
    all_events = list(parse_events(LOG))
    whole.apply(all_events, 5.0)
    bounds = sorted({0, *(cut % len(all_events) for cut in cuts), len(all_events)})
    for start, end in pairwise(bounds):
        pieces.apply(all_events[start:end], 5.0)
    assert pieces.snapshot(6.0) == whole.snapshot(6.0)


def test_tracks_have_gaps_where_they_were_not_seen() -> None:
    fold = LiveFold()
    frames = [chunk(i, *([target(1)] if i < 3 or i > 7 else [])) for i in range(10)]
    fold.apply(events(*frames), 0.0)
    (life,) = fold.snapshot(1.0).tracks
    assert life.spans == ((0, 2), (8, 9))
    assert (life.n_seen, life.first_frame, life.last_frame) == (5, 0, 9)


def test_targets_without_a_track_are_counted_now_and_never_as_tracks() -> None:
    fold = LiveFold()
    fold.apply(events(chunk(0, target(0, "text"), target(1))), 0.0)
    shown = fold.snapshot(1.0)
    assert shown.classes_now == {"text": 1, "pedestrian": 1}
    assert shown.classes_ever == {"pedestrian": 1}


def test_rates_leave_the_running_second_out_and_show_silence() -> None:
    fold = LiveFold()
    # 40 ms apart: frames 0 to 24 in second 0 of the task, then two chunks in second 3
    datas = list(events(*(chunk(i) for i in (*range(25), 75, 99))))
    fold.apply(datas, 100.0)  # the last chunk is from 3.96 s
    assert fold.snapshot(100.03).rates == (25.0, 0.0, 0.0)
    assert fold.snapshot(100.05).rates == (25.0, 0.0, 0.0, 2.0)
    assert fold.snapshot(102.05).rates == (25.0, 0.0, 0.0, 2.0, 0.0, 0.0)


def test_rates_are_those_of_the_task_however_fast_its_log_is_read() -> None:
    datas = list(events(*(chunk(i) for i in range(500))))  # 20 s at 25 per second
    replayed, followed = LiveFold(), LiveFold()
    replayed.apply(datas, 1000.0)
    for i, event in enumerate(datas):
        followed.apply([event], 980.04 + 0.04 * i)
    assert set(replayed.snapshot(1000.1).rates) == {25.0}
    assert replayed.snapshot(1000.1).rates == followed.snapshot(1000.1).rates
    assert set(replayed.snapshot(1000.1).gaps_ms) == {40.0}


def test_an_ended_task_keeps_its_last_rates() -> None:
    fold = LiveFold()
    fold.apply(events(*(chunk(i) for i in range(100)), chunk(100, reason="stop")), 50.0)
    assert fold.snapshot(5000.0).rates == fold.snapshot(50.0).rates == (25.0, 25.0, 25.0)


def test_memory_is_bounded_whatever_comes() -> None:
    fold = LiveFold(max_lines=50)
    offset = 0
    for i in range(5000):
        data = chunk(i, target(i + 1))
        fold.apply([Event(offset, offset + len(data), data)], 0.0)
        offset += len(data)
    shown = fold.snapshot(1.0)
    assert len(shown.lines) == 50
    assert shown.n_lost_lines == 4950
    assert len(shown.tracks) == 2000
    assert shown.n_tracks == 5000
    assert shown.tracks[-1].track_id == 5000


def test_lines_are_bounded_by_bytes_too() -> None:
    fold = LiveFold(max_line_bytes=3000)
    fold.apply(events(*(chunk(i, *(target(t) for t in range(1, 6))) for i in range(20))), 0.0)
    assert sum(line.size_bytes for line in fold.snapshot(1.0).lines) <= 3000


@given(st.integers(1, 400), st.integers(0, 500))
def test_the_frame_index_leads_at_or_before_the_frame(n_frames: int, wanted: int) -> None:
    index = FrameIndex(most=16)
    for i in range(n_frames):
        index.add(2 * i, 100 * i)
    start = index.start_before(wanted)
    assert start <= 100 * (wanted // 2)
    assert start % 100 == 0
    if n_frames <= 16:
        assert start == 100 * min(wanted // 2, n_frames - 1)


def lines() -> tuple[LogLine, ...]:
    return tuple(read_line(event) for event in parse_events(LOG))


def test_a_view_is_held_at_the_last_frame_and_moves_within_its_lines() -> None:
    held = hold_last(lines())
    assert held is not None
    assert held.line.finish is None
    assert held.moved(1) is not None
    assert held.moved(-held.cursor - 1) is None
    assert hold_last(()) is None


def test_a_byte_and_a_frame_are_found_or_said_to_be_elsewhere() -> None:
    view = SeekWindow(lines(), 0)
    third = view.lines[3]
    assert (view.at_byte(third.start) or view).cursor == 3
    assert (view.at_byte(third.end - 1) or view).cursor == 3
    assert view.at_byte(len(LOG)) is None
    assert (view.at_frame(third.frame or 0) or view).cursor == 3
    assert SeekWindow(view.lines[5:], 0).at_frame(0) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [("48213", ("byte", 48213)), ("b48 213", ("byte", 48213)), ("f120", ("frame", 120)),
     ("frame 7", ("frame", 7)), ("Byte 0", ("byte", 0)), ("12:30", ("time", 750_000)),
     ("1:02:03.5", ("time", 3_723_500)), ("0:00", ("time", 0))],
)  # fmt: skip
def test_places_are_read(text: str, place: tuple[str, int]) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text", ["", "f", "-3", "1.5", "frame x", "٣", "12:", ":30", "1:2:3:4", "9" * 16, "٣:00"]
)
def test_places_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a byte such as"):
        parse_place(text)


def test_a_time_is_found_whatever_the_frames_intervals_are() -> None:
    times_s = [0.0, 0.5, 0.52, 4.0, 4.04, 9.0]
    infos = [StreamInfo(i, 6, i + 1, 0, 25.0, 0, time_s=t) for i, t in enumerate(times_s)]
    datas = [
        encode_chunk(Chunk("mm-pipe-x", CHUNK_OBJECT, info, Delta((Result(0, ()),)), None))
        for info in infos
    ]
    view = SeekWindow(tuple(read_line(event) for event in events(*datas)), 0)
    for wanted_s in (0.0, 0.4, 0.5, 0.51, 3.0, 4.04, 8.9, 9.0):
        found = view.at_time(round(wanted_s * 1000))
        assert found is not None
        assert found.cursor == next(i for i, t in enumerate(times_s) if t >= wanted_s)
    assert view.at_time(9001) is None


def test_a_line_tells_its_chunk() -> None:
    (event,) = events(chunk(4, target(1), target(2)))
    line = read_line(event)
    assert (line.frame, line.n_targets, line.size_bytes) == (4, 2, event.end)
    assert json.loads(line.data)["stream_info"]["frame_index"] == 4
