"""Where a slice ends: on a checkpoint, if it has done anything."""

import time
from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from streamproc.contract.chunk import Gap, Notice, RecordingLoss, StreamInfo, decode_chunk
from streamproc.contract.framing import parse_events
from streamproc.contract.task_spec import LiveOptions
from streamproc.providers.engine import EndOfStream, FrameResult, LiveMark, SourceNotice
from streamproc.source.types import FrameCounts
from streamproc.worker.session import Session
from tests.streamproc.memory_log import SUBMITTED, MemoryLog, task_state_of

SLICE_S = 0.1


class Script:
    """An engine that gives frames by number and, for None, nothing until it was waited for."""

    pin = "pin"

    def __init__(
        self, *items: int | None, checkpoints_every_chunk: bool = False, index_is_exact: bool = True
    ) -> None:
        self._items = list(items)
        self._index_is_exact = index_is_exact
        self.checkpoints_every_chunk = checkpoints_every_chunk

    def next(self, timeout_s: float) -> FrameResult | EndOfStream | None:
        frame = self._items.pop(0)
        if frame is None:
            time.sleep(timeout_s)
            return None
        exact = self._index_is_exact
        return FrameResult(
            frame, frame, 100, FrameCounts(frame + 1), 10.0, (), index_is_exact=exact
        )

    def state(self) -> bytes:
        return b"state"

    def abandon(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing is held."""


def run(
    log: MemoryLog,
    engine: Script,
    *,
    leaving: Sequence[bool] = (),
    giving_way: Sequence[bool] = (),
    slice_s: float = SLICE_S,
) -> list[bool]:
    """Claim and run one slice; returns for each of its records whether it has a checkpoint.

    `leaving` and `giving_way` are the answers when it asks, before each frame; the last one stays.
    """
    claim = log.claim(task_state_of(log).fold)
    before = len(log.records)
    session = Session(SUBMITTED, task_state_of(log), claim, engine, processed=0, now_ms=lambda: 1)
    signs = iter([*leaving, *[bool(leaving)] * 100])
    asks = iter([*giving_way, *[bool(giving_way)] * 100])
    session.run(
        log,
        deadline_s=time.monotonic() + slice_s,
        cancelled=lambda: False,
        stopping=lambda: next(signs),
        gives_way=lambda: next(asks),
    )
    return [record.ckpt is not None for record in log.records[before:]]


def test_a_slice_waits_for_a_late_frame_to_end_in_a_checkpoint() -> None:
    assert run(MemoryLog(), Script(0, 1, None, None, 2, 3)) == [False, False, True]


def test_a_slice_that_computes_again_goes_on_until_it_reaches_new_frames() -> None:
    log = MemoryLog()
    run(log, Script(0, 1, None, 2))
    assert run(log, Script(0, None, 1, 2, 3, 4)) == [True]
    assert log.records[-1].frame == 3


def test_a_chunk_says_that_its_number_is_an_estimate_and_nothing_when_it_was_counted() -> None:
    log = MemoryLog()
    run(log, Script(0, 1, None, 2, index_is_exact=False))
    assert b'"frame_index_is_estimate":true' in log.records[-1].value
    run(log, Script(3, None, 4, 5))
    assert b"frame_index_is_estimate" not in log.records[-1].value


def test_a_slice_without_a_frame_ends_in_time() -> None:
    assert run(MemoryLog(), Script(None, 0)) == []


def test_a_slice_whose_every_chunk_is_a_checkpoint_waits_for_nothing() -> None:
    assert run(MemoryLog(), Script(0, None, 1, checkpoints_every_chunk=True)) == [True]


def test_a_worker_that_leaves_waits_for_nothing() -> None:
    log = MemoryLog()
    assert run(log, Script(0, None, 1), leaving=[False, True]) == [False]
    assert run(log, Script(0, 1), leaving=[True]) == []


def test_a_slice_that_gives_way_ends_with_its_next_frame_and_a_checkpoint() -> None:
    log = MemoryLog()
    assert run(log, Script(0, 1, 2, 3), giving_way=[False, True], slice_s=60.0) == [False, True]
    assert run(log, Script(2, 3, 4), giving_way=[True], slice_s=60.0) == [True]
    assert run(log, Script(3, None, 4, 5), giving_way=[False, True], slice_s=60.0) == [False, True]
    assert [record.frame for record in log.records if record.kind == "chunk"] == [0, 1, 2, 3, 4]


def live_frame(
    index: int,
    captured_s: float,
    *,
    by_source: bool = False,
    width: int = 640,
    gap: Gap | None = None,
    recording_lost: RecordingLoss | None = None,
) -> FrameResult:
    dropped = {"sampling": index, "overload": 0}
    mark = LiveMark(captured_s, by_source, (width, 480), gap, dropped, recording_lost)
    counts = FrameCounts(index + 1)
    return FrameResult(index, index, None, counts, 5.0, (), time_s=captured_s, live=mark)


class Camera(Script):
    """An engine that gives what it was made of, then nothing."""

    def __init__(self, *results: FrameResult | SourceNotice | EndOfStream) -> None:
        super().__init__()
        self._results = [*results]

    def next(self, timeout_s: float) -> FrameResult | SourceNotice | EndOfStream | None:  # type: ignore[override] # more
        if self._results:
            return self._results.pop(0)
        time.sleep(timeout_s)
        return None


LIVE = msgspec.structs.replace(
    SUBMITTED, spec=msgspec.structs.replace(SUBMITTED.spec, live=LiveOptions(), max_frames=None)
)


def watch(log: MemoryLog, camera: Camera, now_ms: int) -> list[StreamInfo]:
    """Run one slice of a live task; return what its chunks say."""
    claim = log.claim(task_state_of(log).fold)
    before = len(log.records)
    task_state = task_state_of(log)
    session = Session(LIVE, task_state, claim, camera, processed=0, now_ms=lambda: now_ms)
    session.run(
        log,
        deadline_s=time.monotonic() + SLICE_S,
        cancelled=lambda: False,
        stopping=lambda: False,
    )
    events = (parse_events(record.value, record.off) for record in log.records[before:])
    return [decode_chunk(next(found).data).stream_info for found in events]


def test_a_live_chunk_says_when_it_was_captured_by_which_clock_and_how_late_it_is() -> None:
    infos = watch(
        MemoryLog(),
        Camera(
            live_frame(4, 100.0),
            live_frame(5, 100.2),
            live_frame(9, 101.0, by_source=True, width=320),
            live_frame(10, 100.9, by_source=True, width=320, gap=Gap("source_lost", 3.0)),
        ),
        now_ms=101_100,
    )
    assert [info.captured_at for info in infos] == [
        "1970-01-01T00:01:40.000Z",
        "1970-01-01T00:01:40.200Z",
        "1970-01-01T00:01:41.000Z",
        "1970-01-01T00:01:41.000Z",  # never backwards
    ]
    assert [info.lag_ms for info in infos] == [1100, 900, 100, 100]
    assert [info.clock for info in infos] == ["server", UNSET, "source", UNSET]
    assert [info.size for info in infos] == [(640, 480), UNSET, (320, 480), UNSET]
    assert [info.gap for info in infos] == [UNSET, UNSET, UNSET, Gap("source_lost", 3.0)]
    assert [info.total_frames for info in infos] == [None] * 4


def test_a_notice_repeats_the_last_frame_and_is_not_counted_as_one() -> None:
    log = MemoryLog()
    lost = SourceNotice("lost", "source_timeout", 3)
    end = EndOfStream("stop", FrameCounts(9))
    frame, notice, terminal = watch(log, Camera(live_frame(8, 100.0), lost, end), now_ms=102_000)
    assert notice.is_notice
    assert notice.source == Notice("lost", "source_timeout", 3)
    assert (notice.frame_index, notice.captured_at) == (8, frame.captured_at)
    assert (notice.clock, notice.size, notice.lag_ms) == (UNSET, UNSET, UNSET)
    assert not terminal.is_notice
    ended = decode_chunk(next(parse_events(log.records[-1].value, log.records[-1].off)).data)
    assert ended.usage is not UNSET
    assert ended.usage.processed_frames == 1
    assert ended.usage.dropped == {"sampling": 8, "overload": 0}
    assert task_state_of(log).fold.closed


def test_a_chunk_says_what_was_not_recorded_and_no_other_repeats_it() -> None:
    loss = RecordingLoss("no_store", 2, 301, 3, 303)
    infos = watch(
        MemoryLog(),
        Camera(
            live_frame(400, 100.0),
            live_frame(405, 101.0, recording_lost=loss),
            SourceNotice("lost", "source_timeout", 3),
            live_frame(410, 102.0),
        ),
        now_ms=103_000,
    )
    assert [info.recording_lost for info in infos] == [UNSET, loss, UNSET, UNSET]


def test_a_source_that_never_gave_a_frame_has_no_notice() -> None:
    assert watch(MemoryLog(), Camera(SourceNotice("lost", "source_timeout", 3)), 1) == []


def test_the_next_worker_says_how_long_nobody_watched() -> None:
    log = MemoryLog()
    watch(log, Camera(live_frame(8, 100.0), SourceNotice("lost", "source_timeout", 3)), 1)
    first, second = watch(log, Camera(live_frame(9, 107.5), live_frame(10, 107.7)), now_ms=108_000)
    assert first.gap == Gap("worker_lost", 7.5)
    assert (first.clock, first.size) == ("server", (640, 480))
    assert second.gap is UNSET
    assert task_state_of(log).processed == 3


def test_times_go_on_after_a_worker_whose_clock_was_ahead_and_meet_the_true_ones() -> None:
    log = MemoryLog()
    watch(log, Camera(live_frame(8, 7300.0)), now_ms=7_300_000)  # two hours ahead of 100 s
    true_s = [100.0, 101.0, 101.0, 3700.0, 10_900.0, 10_901.0]
    frames = [live_frame(9 + n, at_s) for n, at_s in enumerate(true_s)]
    infos = watch(log, Camera(*frames), now_ms=101_000)
    told_s = [(info.captured_ms or 0) / 1000 for info in infos]
    assert told_s == [7300.0, 7300.5, 7300.5, 9100.0, 10_900.0, 10_901.0]
    assert infos[0].gap == Gap("worker_lost", 0.0)


def test_a_live_slice_ends_in_time_although_its_last_chunk_is_no_checkpoint() -> None:
    log = MemoryLog()
    camera = Camera(live_frame(8, 100.0))
    before_s = time.monotonic()
    watch(log, camera, now_ms=100_000)
    assert time.monotonic() - before_s < 2.0
    assert log.records[-1].ckpt is None
