"""Who goes on with a task: a model of messages, workers, crashes and zombies, run at random."""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.contract.chunk import (
    CHUNK_OBJECT,
    Chunk,
    Delta,
    Result,
    StreamInfo,
    encode_chunk,
)
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.framing import frame_event
from streamproc.contract.records import (
    Attempt,
    ChunkRecord,
    Claim,
    Continue,
    FoldPoint,
    Kind,
    Submitted,
    TaskMessage,
    WorkerBeat,
)
from streamproc.contract.task_spec import SourceRef, TaskSpec
from streamproc.worker.task_state import (
    Incarnation,
    Suspect,
    TaskState,
    crashed,
    parent_of,
    slice_of,
)

N_CHUNKS = 6
SUBMITTED = Submitted("vt_1", "p", 0, 1, TaskSpec(SourceRef(url="file:///clip"), ()), FoldPoint(0))


@dataclass(eq=False)
class Queued:
    """A message of video.tasks: it comes again until its latest delivery acknowledges it.

    Kafka takes no commit of an evicted worker, and `OrderedAcks` none of a former delivery.
    """

    message: TaskMessage
    acked: bool = False
    holder: "Worker | None" = None


@dataclass(eq=False)
class Worker:
    """A slice in work: what it believes comes next, under its own epoch.

    It may die between any two of its steps, and each may come arbitrarily late: `checked` has
    looked at the log and may go on, its claim is on its way; `over` has written all it had to
    write and not yet looked who takes the task on; `leaving` has still to acknowledge.
    """

    queued: Queued
    task_state: TaskState
    left: int
    phase: Literal["checked", "working", "over", "leaving"] = "checked"
    claim: Claim | None = None
    point: FoldPoint = field(default_factory=lambda: FoldPoint(0))
    off: int = 0


@dataclass
class World:
    """Kafka and the workers. Chunk `n` is the text `n`, one byte long."""

    log: list[ChunkRecord] = field(default_factory=list)
    queue: list[Queued] = field(default_factory=lambda: [Queued(SUBMITTED)])
    workers: list[Worker] = field(default_factory=list)

    def append(self, kind: Kind, epoch: int, off: int, value: bytes) -> int:
        position = len(self.log)
        self.log.append(
            ChunkRecord(
                task="vt_1",
                project="p",
                kind=kind,
                epoch=position if kind == "claim" else epoch,
                seq=off,
                off=off,
                frame=off,
                pts=off,
                value=value,
                position=position,
            )
        )
        return position

    def read(self, task_state: TaskState) -> TaskState:
        for record in self.log[task_state.fold.position :]:
            task_state.take(record)
        return task_state

    def deliver(self, queued: Queued, slice_length: int) -> None:
        """Give the message to some worker; who had it before goes on without knowing."""
        queued.holder = None
        task_state = self.read(TaskState.at(queued.message))
        if not task_state.accepts(queued.message):
            queued.acked = True
            return
        queued.holder = Worker(queued, task_state, slice_length)
        self.workers.append(queued.holder)

    def work(self, worker: Worker) -> None:
        """One step."""
        if worker.phase == "checked":
            self._claim(worker)
        elif worker.phase == "over":
            self._hand_over(worker)
        elif worker.phase == "leaving":
            if worker.queued.holder is worker:
                worker.queued.acked = True
            self.workers.remove(worker)
        elif worker.off == N_CHUNKS:
            self.append("terminal", worker.point.epoch, worker.off, b"$")
            worker.phase = "over"
        elif worker.left > 0:
            self.append("chunk", worker.point.epoch, worker.off, b"%d" % worker.off)
            worker.off += 1
            worker.left -= 1
        else:
            worker.phase = "over"

    def _claim(self, worker: Worker) -> None:
        message = worker.queued.message
        worker.claim = Claim("w", slice_of(message), "local", "f32", "CPU", parent_of(message))
        self.append("claim", -1, 0, msgspec.msgpack.encode(worker.claim))
        fold = self.read(worker.task_state).fold
        if fold.closed:
            worker.phase = "leaving"
            return
        worker.point, worker.off = fold.point(), fold.next_off
        worker.phase = "working"

    def _hand_over(self, worker: Worker) -> None:
        """What `handover.schedule_continuation` does."""
        assert worker.claim is not None
        if self.read(worker.task_state).continues_after(worker.claim):
            following = Continue(
                SUBMITTED,
                slice_of(worker.queued.message) + 1,
                worker.point,
                worker.point.epoch,
                worker.claim,
                1,
            )
            self.queue.append(Queued(following))
        worker.phase = "leaving"

    def settle(self, *, together: bool) -> None:
        """Nobody dies any more: deliver what is not acknowledged until nothing is left."""
        for _ in range(2000):
            waiting = [q for q in self.queue if not q.acked and q.holder not in self.workers]
            for queued in waiting if together else waiting[:1]:
                self.deliver(queued, 2)
            if not waiting and not self.workers:
                return
            for worker in list(self.workers) if together else self.workers[:1]:
                self.work(worker)
        raise AssertionError("they shut each other out for ever")

    def result(self) -> tuple[bytes, bool]:
        fold, out = Fold(), b""
        for record in self.log:
            fold, verdict = step(fold, record)
            assert verdict is not Verdict.GAP
            if verdict is Verdict.ACCEPTED:
                out += record.value
        return out, fold.closed


# An action, who of those there are takes part, and how many chunks a slice may write. All are drawn
# at once: a draw for each step took most of the time.
_MOVE = st.tuples(
    st.sampled_from(["work"] * 8 + ["deliver"] * 4 + ["die", "copy"]),
    st.integers(0, 2**16),
    st.integers(0, 2),
)
_MOVES = st.integers(0, 60).flatmap(lambda n: st.lists(_MOVE, min_size=n, max_size=n))


@settings(max_examples=600, deadline=None)
@given(_MOVES, st.booleans(), st.booleans())
def test_whoever_dies_or_wakes_up_late_the_task_ends_once_with_every_chunk(
    moves: list[tuple[str, int, int]], all_die: bool, together: bool
) -> None:
    world = World()
    for action, who, slice_length in moves:
        waiting = [q for q in world.queue if not q.acked]
        if action == "deliver" and waiting:
            # A message that a worker holds may be delivered again: that worker becomes a zombie.
            world.deliver(waiting[who % len(waiting)], slice_length)
        elif action == "work" and world.workers:
            world.work(world.workers[who % len(world.workers)])
        elif action == "die" and world.workers:
            del world.workers[who % len(world.workers)]
        elif action == "copy" and len(world.queue) < 12:
            world.queue.append(Queued(SUBMITTED))
    if all_die:
        world.workers.clear()
    world.settle(together=together)
    log, closed = world.result()
    assert closed
    assert log == b"012345$"
    assert all(q.acked for q in world.queue)


@pytest.mark.parametrize("n_chunks", [0, 2, N_CHUNKS], ids=["nothing", "a slice", "all"])
def test_a_claim_that_comes_late_and_whose_worker_dies_costs_nothing(n_chunks: int) -> None:
    """The message was delivered twice; the first claim lands last, the second run acknowledges."""
    world = World()
    (queued,) = world.queue
    world.deliver(queued, 9)
    world.deliver(queued, n_chunks)
    late, other = world.workers
    world.work(other)
    for _ in range(n_chunks):
        world.work(other)
    world.work(late)
    while other in world.workers:
        world.work(other)
    world.workers.remove(late)
    assert queued.acked
    world.settle(together=False)
    assert world.result() == (b"012345$", True)


CLAIM = Claim("one", 0, "local", "f32", "CPU", life=1)
ME = Incarnation("me", 1)


def _task_state(*claims: Claim | str) -> TaskState:
    """Return the standing after claims at 0, 1000, 2000 … ms; a text in between is a chunk."""
    world, task_state = World(), TaskState.at(SUBMITTED)
    off = epoch = 0
    for i, item in enumerate(claims):
        if isinstance(item, Claim):
            epoch = world.append("claim", -1, off, msgspec.msgpack.encode(item))
        else:
            world.append("chunk", epoch, off, item.encode())
            off += len(item)
        task_state.take(msgspec.structs.replace(world.log[-1], time_ms=1000 * i))
    return task_state


def _by(worker: str, life: int = 1, **changes: Any) -> Claim:
    return msgspec.structs.replace(CLAIM, worker=worker, life=life, **changes)


def test_a_slice_is_followed_unless_the_log_is_closed_or_a_higher_claim_has_come() -> None:
    mine = _by("a", slice=1, parent=5)
    assert _task_state(mine, "0").continues_after(mine)
    assert _task_state(mine, _by("late")).continues_after(mine)
    assert not _task_state(mine, _by("b", slice=1, parent=6)).continues_after(mine)
    assert not _task_state(mine, _by("b", slice=2, parent=0)).continues_after(mine)
    world = World()
    epoch = world.append("claim", -1, 0, msgspec.msgpack.encode(mine))
    world.append("terminal", epoch, 0, b"$")
    assert not world.read(TaskState.at(SUBMITTED)).continues_after(mine)


def test_each_life_that_claimed_a_slice_and_wrote_nothing_is_suspected_once() -> None:
    task_state = _task_state(_by("a"), _by("b"), _by("a"), _by("a", 2))
    assert task_state.suspects(SUBMITTED, ME) == [
        Suspect(Incarnation("b", 1), 1000, 2000),
        Suspect(Incarnation("a", 1), 2000, 3000),
        Suspect(Incarnation("a", 2), 3000, None),
    ]


def test_a_suspect_was_alone_in_its_worker_when_its_claim_says_so() -> None:
    task_state = _task_state(_by("a"), _by("b", alone=True), _by("a", 2, alone=True))
    alone = [s.life for s in task_state.suspects(SUBMITTED, ME) if s.alone]
    assert alone == [Incarnation("b", 1), Incarnation("a", 2)]


def test_a_worker_that_tries_its_slice_again_does_not_suspect_itself() -> None:
    task_state = _task_state(_by("me"), _by("me"), _by("me"), _by("me"))
    assert task_state.suspects(SUBMITTED, ME) == []
    assert len(task_state.suspects(SUBMITTED, Incarnation("me", 2))) == 1


def test_who_wrote_a_byte_or_worked_on_something_else_is_not_suspected() -> None:
    wrote = _task_state(_by("a"), "0", _by("b"))
    assert [s.life.worker for s in wrote.suspects(SUBMITTED, ME)] == ["b"]
    other = _task_state(_by("a", parent=7), _by("b", attempts=(Attempt("x", "c", ""),)), _by("c"))
    assert [s.life.worker for s in other.suspects(SUBMITTED, ME)] == ["c"]


def _beat(worker: str, beat_ms: int, started_ms: int = 1) -> WorkerBeat:
    return WorkerBeat(worker, "h", 1, started_ms, beat_ms, "CPU", "f32", (), 1, 0, 0.0, 0)


def test_a_heartbeat_after_the_next_claim_acquits_and_one_before_does_not() -> None:
    suspects = _task_state(_by("a"), _by("b"), _by("c")).suspects(SUBMITTED, ME)
    assert len(crashed(suspects, [], asked_ms=3000)) == 3
    late = [_beat("a", 1001), _beat("b", 2001), _beat("c", 3001)]
    assert crashed(suspects, late, asked_ms=3000) == []
    early = [_beat("a", 1000), _beat("b", 2000), _beat("c", 3000)]
    assert crashed(suspects, early, asked_ms=3000) == suspects
    next_life = [_beat("a", 9000, started_ms=2)]
    assert crashed(suspects[:1], next_life, asked_ms=3000) == suspects[:1]


def test_the_last_checkpoints_record_tells_the_counters_when_nothing_was_read_since() -> None:
    info = StreamInfo(6, 9, 7, 1, 10.0, 70)
    chunk = Chunk("mm-pipe-1", CHUNK_OBJECT, info, Delta((Result(0, ()),)), None)
    value = frame_event(encode_chunk(chunk), 100)
    record = ChunkRecord(
        task="vt_1",
        project="p",
        kind="chunk",
        epoch=3,
        seq=6,
        off=100,
        frame=6,
        pts=6,
        value=value,
        ckpt=b"state",
        position=9,
    )
    point = FoldPoint(12, 11, 100 + len(value), 7, 6, ckpt_position=9)
    task_state = TaskState(Fold.at(point))
    assert task_state.info() is None
    task_state.restore_checkpoint([record])
    assert (task_state.ckpt, task_state.info()) == (b"state", info)
    further = TaskState(Fold.at(msgspec.structs.replace(point, next_off=point.next_off + 50)))
    further.restore_checkpoint([record])
    assert (further.ckpt, further.info()) == (b"state", None)


def _live_record(kind: Kind, n: int, ckpt: bytes | None = None, epoch: int = 0) -> ChunkRecord:
    """Return a record of one byte, `n`, at the log's offset `n`; a claim is at position `epoch`."""
    value = b"" if kind == "claim" else b"%d" % n
    return ChunkRecord("vt_1", "p", kind, epoch, n, n, n, n, value, ckpt=ckpt)


def test_what_a_live_task_wrote_since_its_checkpoint_is_known_whatever_was_read_of_it() -> None:
    """A zombie's records and those before the checkpoint are not in it."""
    log = [
        _live_record("claim", 0, epoch=0),
        _live_record("chunk", 0),
        _live_record("chunk", 1, b"state"),
        _live_record("chunk", 2),
        _live_record("claim", 3, epoch=4),
        _live_record("chunk", 3),  # of the first claim: fenced
        _live_record("chunk", 3, epoch=4),
        _live_record("chunk", 4, epoch=4),
    ]
    log = [msgspec.structs.replace(record, position=i) for i, record in enumerate(log)]
    folds = [Fold()]
    for record in log:
        folds.append(step(folds[-1], record)[0])
    for start in range(len(log) + 1):
        task_state = TaskState(Fold.at(folds[start].point()), is_live=True)
        for record in log[start:]:
            task_state.take(record)
        assert task_state.fold == folds[-1]
        if task_state.ckpt is None:
            assert task_state.fold.ckpt_position == 2
            task_state.restore_checkpoint(log[2:start])
        found = [one.value for one in task_state.since_ckpt]
        assert (task_state.ckpt, found) == (b"state", [b"2", b"3", b"4"])
        assert task_state.last_chunk == b"4"
        assert task_state.last_pts == 4


def test_what_a_file_wrote_since_its_checkpoint_is_not_kept() -> None:
    task_state = TaskState(Fold())
    for n, kind in enumerate(("claim", "chunk")):
        record = _live_record(kind, 0)  # type: ignore[arg-type] # both are kinds
        task_state.take(msgspec.structs.replace(record, position=n))
    assert task_state.last_chunk == b"0"
    assert not task_state.since_ckpt
