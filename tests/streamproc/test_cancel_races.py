"""Cancel at every moment of a task's life, deaths among them: one terminal, and it counts right."""

import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.contract.chunk import Chunk, decode_chunk
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.framing import DONE, parse_events
from streamproc.providers.engine import EndOfStream, FrameResult
from streamproc.source.types import FrameCounts
from streamproc.worker.checkpoint import decode_checkpoint
from streamproc.worker.session import Session
from tests.streamproc.memory_log import SUBMITTED, MemoryLog, task_state_of
from tests.terminals import usage_of

N_FRAMES = 12


class Died(Exception):  # noqa: N818 - what happens to a worker here, not an error of ours
    """The worker is gone between two of its steps."""


class Counter:
    """An engine over frames 0, 1, 2, …; it dies with its worker after so many steps."""

    pin = "pin"
    checkpoints_every_chunk = False

    def __init__(self, start: int, steps: int | None) -> None:
        self._next, self._steps = start, steps
        self.abandoned = False

    def next(self, timeout_s: float) -> FrameResult | EndOfStream | None:
        if self._steps is not None:
            self._steps -= 1
            if self._steps < 0:
                raise Died
        if self._next == N_FRAMES:
            return EndOfStream("stop", FrameCounts(N_FRAMES))
        frame, self._next = self._next, self._next + 1
        return FrameResult(frame, frame, N_FRAMES, FrameCounts(frame + 1), 10.0, ())

    def state(self) -> bytes:
        return b"%d" % self._next

    def abandon(self) -> None:
        self.abandoned = True

    def close(self) -> None:
        """Nothing is held."""


class Run(msgspec.Struct, frozen=True):
    """One worker's turn: a slice of so many frames, its death, and when it hears of the cancel."""

    slice_frames: int
    dies_after: int | None
    hears_after: int | None


RUNS = st.lists(
    st.builds(
        Run,
        slice_frames=st.integers(1, N_FRAMES),
        dies_after=st.none() | st.integers(0, N_FRAMES),
        hears_after=st.none() | st.integers(0, N_FRAMES + 1),
    ),
    max_size=6,
)


def work(log: MemoryLog, run: Run) -> None:
    """Claim, open at the last checkpoint, and run one slice, as a worker does that takes over."""
    claim = log.claim(task_state_of(log).fold)
    task_state = task_state_of(log)
    checkpoint = None if task_state.ckpt is None else decode_checkpoint(task_state.ckpt)
    start = 0 if checkpoint is None else int(checkpoint.engine)
    session = Session(
        SUBMITTED,
        task_state,
        claim,
        Counter(start, run.dies_after),
        processed=0 if checkpoint is None else checkpoint.processed,
        now_ms=lambda: 1,
    )
    looks, frames = iter(range(10**6)), iter(range(1, 10**6))
    session.run(
        log,
        deadline_s=time.monotonic() + 3600,
        cancelled=lambda: run.hears_after is not None and next(looks) >= run.hears_after,
        stopping=lambda: next(frames) >= run.slice_frames,
    )


def chunks_and_terminals(log: MemoryLog) -> tuple[list[Chunk], int]:
    """Return all chunks of the log and how many of its records were accepted as its terminal."""
    fold, value, n_terminals = Fold(), b"", 0
    for record in log.records:
        fold, verdict = step(fold, record)
        assert verdict is not Verdict.GAP
        if verdict is Verdict.ACCEPTED:
            value += record.value
            n_terminals += record.kind == "terminal"
    events = list(parse_events(value))
    assert events[-1].data == DONE
    return [decode_chunk(event.data) for event in events[:-1]], n_terminals


@settings(max_examples=300, deadline=None)
@given(RUNS)
def test_whoever_dies_and_whenever_the_cancel_is_heard_the_log_ends_once_and_counts_right(
    runs: list[Run],
) -> None:
    log = MemoryLog()
    heard = False
    for run in [*runs, Run(N_FRAMES + 1, None, 0 if runs else None)]:
        if task_state_of(log).fold.closed:
            break
        # Whoever heard of it once, everybody hears of it: the request is in Kafka.
        late = run.hears_after if run.hears_after is not None else N_FRAMES if heard else None
        heard = late is not None
        try:
            work(log, msgspec.structs.replace(run, hears_after=late))
        except Died:
            continue
    (*frames, terminal), n_terminals = chunks_and_terminals(log)
    assert n_terminals == 1
    assert [chunk.stream_info.frame_index for chunk in frames] == list(range(len(frames)))
    assert terminal.finish_reason == (
        "cancelled" if len(frames) < N_FRAMES else terminal.finish_reason
    )
    assert usage_of(terminal).processed_frames == len(frames)
    if frames:
        assert terminal.stream_info.frame_index == frames[-1].stream_info.frame_index
        assert terminal.stream_info.decoded_frames >= frames[-1].stream_info.decoded_frames


def test_a_cancel_that_is_heard_on_the_way_from_a_checkpoint_counts_the_whole_log() -> None:
    log = MemoryLog()
    work(log, Run(slice_frames=2, dies_after=None, hears_after=None))
    with pytest.raises(Died):
        work(log, Run(slice_frames=N_FRAMES, dies_after=5, hears_after=None))
    work(log, Run(slice_frames=N_FRAMES, dies_after=None, hears_after=1))
    (*frames, terminal), _ = chunks_and_terminals(log)
    assert len(frames) == 7
    assert terminal.finish_reason == "cancelled"
    assert usage_of(terminal).processed_frames == 7
    assert terminal.stream_info.frame_index == 6
    assert terminal.stream_info.decoded_frames == 7
