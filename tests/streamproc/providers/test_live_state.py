"""The state of a live task after a part of its log, whatever another version wrote there."""

import time

import pytest

from streamproc.contract.chunk import Chunk, decode_chunk
from streamproc.contract.framing import parse_events
from streamproc.providers.engine import LiveMark
from streamproc.providers.live_state import continued, decode_state
from streamproc.stages.tracking.parameters import TrackParameters
from streamproc.worker.live_fields import LiveFields
from tests.streamproc.sinks.logs import LogBuilder, target

UNUSABLE = [
    "",
    "yesterday",
    "2026-02-31T00:00:00.000Z",
    "2026-11-22T12:00:00.000",
    "9999-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00+23:59",
]


def chunks(*captured: str) -> list[Chunk]:
    log = LogBuilder("vt_1")
    for number, at in enumerate(captured):
        log.chunk(target(1), frame=number, captured_at=at, time_s=float(number), total_frames=None)
    return [decode_chunk(event.data) for event in parse_events(log.log)]


@pytest.mark.parametrize("unusable", UNUSABLE)
def test_a_time_that_cannot_be_used_is_left_out(unusable: str) -> None:
    found = chunks(unusable, "2026-11-22T12:00:01.500Z", unusable)
    state = continued(None, found, TrackParameters(), ["pedestrian"])
    assert state is not None
    read = decode_state(state)
    assert (read.processed, read.time_s) == (3, 2.0)
    assert read.first_wall_s == 1795348800.5  # a second before 12:00:01.500, by `date -u`


@pytest.mark.parametrize("unusable", UNUSABLE)
def test_a_log_goes_on_after_a_time_that_cannot_be_used(unusable: str) -> None:
    (last,) = chunks(unusable)
    now_s = time.time()
    mark = LiveMark(captured_wall_s=now_s, is_source_clock=False, size=(640, 480))
    info = LiveFields(last.stream_info).of_frame(last.stream_info, mark, round(1000 * now_s))
    assert info.captured_ms == round(1000 * now_s)
