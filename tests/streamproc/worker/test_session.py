"""Where a slice ends: on a checkpoint, if it has done anything."""

import time
from collections.abc import Sequence

from streamproc.providers.engine import EndOfStream, FrameResult
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
