"""What holds for every live log, whatever happened to its camera and its workers."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from msgspec import UNSET

from streamproc.contract.chunk import Chunk, StreamInfo

GAPS = {"source_lost", "worker_lost", "discontinuity", "overload"}


def frames_of(chunks: Sequence[Chunk]) -> list[StreamInfo]:
    """Return what the frames' chunks say, without notices and the terminal."""
    infos = (chunk.stream_info for chunk in chunks if chunk.finish_reason is None)
    return [info for info in infos if not info.is_notice]


def check_live_chunks(chunks: Sequence[Chunk]) -> None:
    """Check order, times and counters; that each time without frames is explained; the ids."""
    frames = frames_of(chunks)
    assert all(a.frame_index < b.frame_index for a, b in pairwise(frames))
    assert {frame.total_frames for frame in frames} <= {None}
    captured = [datetime.fromisoformat(str(frame.captured_at)) for frame in frames]
    assert all(a <= b for a, b in pairwise(captured))
    times = [frame.time_s for frame in frames]
    assert all(a < b for a, b in pairwise(times))  # type: ignore[operator] # each has one
    for before, frame in pairwise(frames):
        assert before.decoded_frames <= frame.decoded_frames <= frame.frame_index + 1
        assert before.dropped_frames <= frame.dropped_frames
    assert {frame.gap.reason for frame in frames if frame.gap is not UNSET} <= GAPS
    last = -1
    for chunk in chunks:  # a notice repeats the last frame's number
        assert chunk.stream_info.frame_index >= last
        last = chunk.stream_info.frame_index
    check_ids(chunks)


def check_ids(chunks: Sequence[Chunk]) -> None:
    """Check that ids are given in rising order: none is given to another object later."""
    highest = 0
    known: set[int] = set()
    for chunk in chunks:
        ids = {target.track_id for result in chunk.delta.results for target in result.targets}
        assert all(one > highest for one in ids - known)
        known |= ids
        highest = max(known, default=0)
