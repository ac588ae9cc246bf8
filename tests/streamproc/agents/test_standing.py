"""Who goes on with a task: a model of messages, workers, crashes and zombies, run at random."""

from dataclasses import dataclass, field

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.agents.standing import Standing, slice_of
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.records import (
    ChunkRecord,
    Claim,
    Continue,
    FoldPoint,
    Kind,
    Submitted,
    TaskMessage,
)
from streamproc.contract.spec import SourceRef, TaskSpec

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
    """A slice in work: what it believes comes next, under its own epoch."""

    queued: Queued
    claim: Claim
    point: FoldPoint
    off: int
    left: int


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

    def deliver(self, queued: Queued, slice_length: int) -> None:
        """Give the message to some worker: what `SliceRunner` does up to its claim."""
        queued.holder = None
        standing = Standing.at(queued.message)
        for record in self.log[standing.fold.position :]:
            standing.take(record)
        if not standing.may_go_on(queued.message):
            queued.acked = True
            return
        parent = -1 if isinstance(queued.message, Submitted) else queued.message.parent
        claim = Claim("w", slice_of(queued.message), "local", "f32", "CPU", parent)
        self.append("claim", -1, 0, msgspec.msgpack.encode(claim))
        for record in self.log[standing.fold.position :]:
            standing.take(record)
        if standing.fold.closed:
            queued.acked = True
            return
        point = standing.fold.point()
        queued.holder = Worker(queued, claim, point, point.next_off, slice_length)
        self.workers.append(queued.holder)

    def work(self, worker: Worker) -> None:
        """One chunk, or the slice's end."""
        if worker.off == N_CHUNKS:
            self.append("terminal", worker.point.epoch, worker.off, b"$")
            self._done(worker)
        elif worker.left > 0:
            self.append("chunk", worker.point.epoch, worker.off, b"%d" % worker.off)
            worker.off += 1
            worker.left -= 1
        else:
            self.queue.append(
                Queued(
                    Continue(
                        SUBMITTED,
                        slice_of(worker.queued.message) + 1,
                        worker.off,
                        worker.point,
                        worker.point.epoch,
                        worker.claim,
                        1,
                    )
                )
            )
            self._done(worker)

    def _done(self, worker: Worker) -> None:
        if worker.queued.holder is worker:
            worker.queued.acked = True
        self.workers.remove(worker)

    def result(self) -> tuple[bytes, bool]:
        fold, out = Fold(), b""
        for record in self.log:
            fold, verdict = step(fold, record)
            assert verdict is not Verdict.GAP
            if verdict is Verdict.ACCEPTED:
                out += record.value
        return out, fold.closed


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_whoever_dies_or_wakes_up_late_the_task_ends_once_with_every_chunk(
    data: st.DataObject,
) -> None:
    world = World()
    for _ in range(data.draw(st.integers(0, 60))):
        waiting = [q for q in world.queue if not q.acked]
        action = data.draw(st.sampled_from(["deliver", "work", "die", "copy"]))
        if action == "deliver" and waiting:
            # A message that a worker holds may be delivered again: that worker becomes a zombie.
            world.deliver(data.draw(st.sampled_from(waiting)), data.draw(st.integers(0, 3)))
        elif action == "work" and world.workers:
            world.work(data.draw(st.sampled_from(world.workers)))
        elif action == "die" and world.workers:
            world.workers.remove(data.draw(st.sampled_from(world.workers)))
        elif action == "copy" and len(world.queue) < 12:
            world.queue.append(Queued(SUBMITTED))
    # From here on nobody dies any more: everything that is not acknowledged is delivered.
    world.workers.clear()
    for _ in range(400):
        waiting = [q for q in world.queue if not q.acked]
        if not waiting:
            break
        world.deliver(waiting[0], 2)
        while world.workers:
            world.work(world.workers[0])
    log, closed = world.result()
    assert closed
    assert log == b"012345$"
    assert all(q.acked for q in world.queue)


def test_a_slice_claimed_three_times_without_end_counts_its_crashes() -> None:
    world = World()
    for crashes in range(4):
        standing = Standing.at(SUBMITTED)
        for record in world.log:
            standing.take(record)
        assert standing.crashes(SUBMITTED) == crashes
        world.deliver(world.queue[0], 2)
        world.workers.clear()
