"""Frames of a log, and the limits of a comparison."""

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from console.comparison import fold as fold_module
from console.comparison.frames import SeenFrame, read_frames
from console.errors import ComparisonError
from streamproc.contract.bounds import MAX_TARGETS
from streamproc.contract.chunk import (
    CHUNK_OBJECT,
    Chunk,
    Delta,
    FinishReason,
    Result,
    Roi,
    StreamInfo,
    Target,
    encode_chunk,
)
from streamproc.contract.framing import DONE, Event, frame_event, parse_events
from tests.console.comparison.scenes import Log, Scene, folded, walk


def events(*chunks: Chunk) -> list[Event]:
    log = b""
    for data in (*map(encode_chunk, chunks), DONE):
        log += frame_event(data, len(log))
    return list(parse_events(log))


def chunk(
    frame: int,
    *targets: Target,
    finish: FinishReason | None = None,
    time_s: float | UnsetType = UNSET,
) -> Chunk:
    info = StreamInfo(frame, 9, 1, 0, 10.0, 0, time_s)
    return Chunk("mm-pipe-1", CHUNK_OBJECT, info, Delta((Result(0, targets),)), finish)


def target(track: int, left: int = 0) -> Target:
    return Target(track, "bus", 0.5, Roi(left, 0, 10, 10))


def test_frames_are_those_of_the_chunks_with_the_places_of_their_events() -> None:
    listed = events(
        chunk(0, time_s=0.0),
        chunk(5, target(3), target(1), time_s=0.5),
        chunk(5, target(1), finish="stop", time_s=0.5),
    )
    assert read_frames(listed) == [
        SeenFrame(0, 0.0, 10.0, False, (), 0),
        SeenFrame(5, 0.5, 10.0, False, (target(1), target(3)), listed[1].start),
    ]


def test_targets_without_a_track_and_a_track_twice_are_left_out() -> None:
    (frame,) = read_frames(events(chunk(0, target(0), target(2, left=1), target(2, left=9))))
    assert frame.targets == (target(2, left=1),)
    assert frame.time_s is None


def test_what_is_no_chunk_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        read_frames([Event(0, 9, b"{}")])


def test_a_frame_with_too_many_targets_is_refused() -> None:
    crowd = chunk(7, *map(target, range(1, MAX_TARGETS + 2)))
    with pytest.raises(ComparisonError, match=f"frame 7 has {MAX_TARGETS + 1} targets"):
        read_frames(events(crowd))


@pytest.mark.parametrize(
    ("limit", "scene", "says"),
    [
        ("MAX_COMMON_FRAMES", {}, "more than 3 common frames"),
        ("MAX_TRACKS", {n: walk(n, range(9)) for n in range(1, 5)}, "more than 3 tracks"),
        ("MAX_RUNS", {1: walk(1, range(0, 9, 2))}, "come and go more than 3 times"),
    ],
)
def test_beyond_a_limit_the_limit_is_named(
    limit: str, scene: Scene, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded(Log(scene, 9), Log(scene, 9))
    monkeypatch.setattr(fold_module, limit, 3)
    with pytest.raises(ComparisonError, match=says):
        folded(Log(scene, 9), Log(scene, 9))


def test_neither_side_waits_for_more_than_one_piece_of_the_other() -> None:
    fold = fold_module.ComparisonFold()
    frames = Log({1: walk(1, range(30))}).frames()
    pieces: list[tuple[fold_module.Side, list[SeenFrame]]] = [
        ("a", frames),
        ("b", frames[:10]),
        ("b", frames[10:]),
    ]
    asked = [fold.wants]
    for side, piece in pieces:
        fold.feed(side, piece)
        asked.append(fold.wants)
    assert asked == ["a", "b", "b", "a"]
    fold.end("a")
    fold.end("b")
    assert (fold.wants, fold.n_common) == (None, 30)
