"""A whole Framewire in one thread: writers, Kafka, archivers, S3, api processes and readers.

Everything that decides is the real code; everything that waits is a step that the caller takes
when it likes, so that any interleaving can be played. One partition, several tasks.
"""

from api.log.cursor import Next, next_step
from api.log.fanout import Broadcast
from api.log.segments import SegmentMap
from api.log.tail_cache import TailCache
from api.store.segment import Segment
from streamproc.contract import object_keys
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.object_keys import SegmentInfo
from streamproc.contract.records import ChunkRecord
from streamproc.sinks.archive.actions import perform
from tests.api.log.builders import PROJECT, chunk_value, record, terminal_value
from tests.api.log.inhabitants import (
    IDLE,
    PARTITION,
    TASKS,
    ApiProcess,
    ArchiveProcess,
    Locating,
    MemoryStore,
    Reader,
    Writer,
)

READ_BYTES = 300
RING_BYTES = 3000
MAX_DRAIN_STEPS = 3000
N_BESIDE_IDLE = 8  # records of a task, more than the ring holds twice


class World:
    """All of it. Every method is one step of one process."""

    hub_type: type[TailCache] = TailCache
    store_type: type[MemoryStore] = MemoryStore
    broadcast_type: type[Broadcast] = Broadcast

    def __init__(self) -> None:
        self.kafka: list[ChunkRecord] = []
        self.store = self.store_type()
        self.committed = 0
        self.writers: list[Writer] = []
        self.archives = [ArchiveProcess(0)]
        self.api = self.new_api(0)
        self.readers: list[Reader] = []
        self._truths = {task: (b"", Fold()) for task in (*TASKS, IDLE)}

    # The truth: what a fold of Kafka from the very beginning accepts.

    def truth(self, task: str) -> tuple[bytes, Fold]:
        return self._truths[task]

    def append(self, made: ChunkRecord) -> None:
        """Append to Kafka; a writer never leaves a gap."""
        self.kafka.append(made)
        log, fold = self._truths[made.task]
        fold, verdict = step(fold, made)
        assert verdict is not Verdict.GAP
        if verdict is Verdict.ACCEPTED:
            log += made.value
        self._truths[made.task] = (log, fold)

    # Writers.

    def claim(self, task: str) -> None:
        self.append(record("claim", len(self.kafka), task=task))
        self.writers.append(Writer(task, self.truth(task)[1]))

    def write(self, writer: Writer, *, terminal: bool = False) -> None:
        """Append what comes next for this writer, zombie or not."""
        if writer.done:
            return
        value = (
            terminal_value(writer.seq, writer.off)
            if terminal
            else chunk_value(writer.seq, writer.off, padding=writer.epoch % 7)
        )
        made = record(
            "terminal" if terminal else "chunk",
            len(self.kafka),
            epoch=writer.epoch,
            seq=writer.seq,
            off=writer.off,
            value=value,
            task=writer.task,
        )
        self.append(made)
        writer.sent.append(made)
        writer.seq += 1
        writer.off += len(value)
        writer.done = terminal

    def repeat(self, writer: Writer, at: int) -> None:
        """Append an earlier record of this writer again, as a retried send may do."""
        if writer.sent:
            old = writer.sent[at % len(writer.sent)]
            self.append(
                record(
                    old.kind,
                    len(self.kafka),
                    epoch=old.epoch,
                    seq=old.seq,
                    off=old.off,
                    value=old.value,
                    task=old.task,
                )
            )

    # Archivers. The last one owns the partition: it alone may commit, all may write to S3.

    def archive_read(self, process: ArchiveProcess) -> None:
        if process.next < len(self.kafka):
            found = self.kafka[process.next]
            process.next += 1
            process.take(process.archiver.accept(found, process.now_s))

    def archive_tick(self, process: ArchiveProcess) -> None:
        process.now_s += 1.1
        process.take(process.archiver.tick(process.now_s))

    def archive_store(self, process: ArchiveProcess, at: int) -> None:
        if process.actions:
            action = process.actions.pop(at % len(process.actions))
            process.outcomes.append(perform(self.store, action))

    def archive_learn(self, process: ArchiveProcess, at: int) -> None:
        if process.outcomes:
            outcome = process.outcomes.pop(at % len(process.outcomes))
            process.take(process.archiver.done(outcome, process.now_s))

    def archive_commit(self) -> None:
        self.committed = max(self.committed, self.archives[-1].archiver.committable())

    def archive_replace(self) -> None:
        """A new archiver takes over; the old ones live on as zombies, the oldest dies."""
        self.archives = [*self.archives[-2:], ArchiveProcess(self.committed)]

    # The api.

    def api_read(self, n_records: int) -> None:
        tail_cache = self.api.tail_cache
        if tail_cache.saturated:
            return
        at = tail_cache.position(PARTITION)
        batch = self.kafka[at : at + n_records]
        for task in tail_cache.feed(PARTITION, batch, at + len(batch)):
            self.api.broadcast.push(task, 0.0)
        for reader in self.readers:
            self.check_reader(reader)

    def api_learn_archived(self) -> None:
        self.api.tail_cache.archived({PARTITION: self.committed})

    def api_restart(self) -> None:
        for reader in self.readers:
            reader.member = None  # cut: it comes again
        self.api = self.new_api(self.committed)

    def new_api(self, position: int) -> ApiProcess:
        tail_cache = self.hub_type(RING_BYTES)
        return ApiProcess(tail_cache, self.broadcast_type(tail_cache), position)

    def api_list(self, task: str) -> None:
        """S3 answers a listing."""
        locating = self.api.locating.get(task)
        if locating is not None and locating.listed is None:
            self.api.locating[task] = locating._replace(listed=self.store.segments(task))

    def api_seed(self, task: str) -> None:
        """The listing's answer reaches the api."""
        locating = self.api.locating.get(task)
        if locating is None or locating.listed is None:
            return
        del self.api.locating[task]
        segments = self._extend(task, locating.listed)
        if not segments.closed:
            self.api.tail_cache.seed(task, locating.ticket, segments.fold())

    def api_proves(self) -> None:
        """S3 lists what fills the ring."""
        for place in self.api.tail_cache.eviction_candidates(1):
            self.api.proving[place.task] = self.store.segments(place.task)

    def api_learns_stored(self) -> None:
        """Those answers reach the api."""
        for task, listed in self.api.proving.items():
            self.api.tail_cache.stored(task, self._extend(task, listed).fold())
        self.api.proving.clear()

    def api_catches_up(self) -> None:
        """Read Kafka to its end, a little at a time, as far as the ring's budget allows."""
        tail_cache = self.api.tail_cache
        while (at := tail_cache.position(PARTITION)) < len(self.kafka):
            self.api_learn_archived()
            if tail_cache.saturated:
                for _ in (*TASKS, IDLE):
                    self.api_proves()
                    self.api_learns_stored()
                assert not tail_cache.saturated, "the tail stalls though all of it is archived"
            self.api_read(3)
            assert tail_cache.position(PARTITION) > at

    def _extend(self, task: str, listed: list[tuple[Segment, str]]) -> SegmentMap:
        segments = self.api.maps[task]
        found = segments.missing(segment for segment, _ in listed)
        if found:
            key = dict(listed)[found[-1]]
            segments.extend(found, SegmentInfo.from_metadata(self.store.metadata[key]))
        return segments

    def state_asked(self, task: str) -> None:
        """Somebody asks for the task's status: that seeds it too."""
        if self.api.tail_cache.view(task) is None:
            self._locate(task)

    def api_serves(self, reader: Reader, n_steps: int) -> None:
        """S3 answers quickly and a reader goes on as far as it comes."""
        for _ in range(n_steps):
            if self.read(reader) in {Next.WAIT, Next.END}:
                return
            self.api_list(reader.task)
            self.api_seed(reader.task)

    # Readers.

    def read(self, reader: Reader) -> Next:
        """Take one step of a reader; whatever it gets must be what the log holds there."""
        if reader.member is not None:
            assert self.api.broadcast.leave(reader.member) == reader.offset
            reader.member = None
        tail_cache, segments = self.api.tail_cache, self.api.maps[reader.task]
        todo = next_step(reader.offset, tail_cache.view(reader.task), segments)
        piece = b""
        if todo is Next.TAIL:
            piece = tail_cache.read(reader.task, reader.offset, READ_BYTES)
        elif todo is Next.BLOCK:
            block = next(segments.blocks(reader.offset))
            keys = {segment.start: key for segment, key in self.store.segments(reader.task)}
            body = self.store.bodies[keys[block.segment]]
            piece = body[block.begin : block.end][reader.offset - block.log_start :]
        elif todo is Next.LOCATE:
            self._locate(reader.task)
        elif todo is Next.END:
            reader.ended = True
        assert bool(piece) == (todo in {Next.TAIL, Next.BLOCK})
        reader.got += piece
        self.check_reader(reader)
        return todo

    def follow(self, reader: Reader) -> None:
        """Join the live end, if the reader has come there."""
        if self.read(reader) is Next.WAIT:
            reader.released = False
            task, offset = reader.task, reader.offset
            reader.member = self.api.broadcast.join(task, offset, reader, reader.release)
            tail = self.api.tail_cache.view(task)
            assert tail is not None
            assert reader.member is not None or tail.end < offset, "a reader was not taken"

    def check_reader(self, reader: Reader) -> None:
        log, fold = self.truth(reader.task)
        assert log[reader.start : reader.offset] == reader.got, "a reader got other bytes"
        if reader.ended:
            assert fold.closed, "a reader was sent away from an open log"
            assert reader.offset == len(log), "a reader was sent away too early"

    def check_store(self) -> None:
        for task in (*TASKS, IDLE):
            log, _ = self.truth(task)
            assert log.startswith(self.store.log(task)), "S3 holds other bytes than the log"

    def _locate(self, task: str) -> None:
        if task not in self.api.locating:
            self.api.locating[task] = Locating(self.api.tail_cache.ticket(task, PARTITION))

    # The end: everybody does their work, nobody dies any more.

    def settle(self) -> None:
        """Read the tail as it is, then close and archive every log and read all to the end."""
        for reader in self.readers:
            self.api_serves(reader, MAX_DRAIN_STEPS)
            self.follow(reader)
        self.go_on_beside_an_idle_claim()
        for task in (*TASKS, IDLE):
            if not self.truth(task)[1].closed:
                self.claim(task)
                self.write(self.writers[-1])
                self.write(self.writers[-1], terminal=True)
        self.archive_all()
        assert self.committed == len(self.kafka), "the archive did not come to the end"
        self.api_catches_up()
        for reader in self.readers:
            assert reader.member is None or reader.released, "a live end outlived its log"
            self.api_serves(reader, MAX_DRAIN_STEPS)
            assert reader.ended, "a reader never came to the end"
            log, _ = self.truth(reader.task)
            assert reader.got == log[reader.start :]
        for task in (*TASKS, IDLE):
            log, _ = self.truth(task)
            assert self.store.log(task) == log
            assert object_keys.final_key(PROJECT, task) in self.store.bodies

    def go_on_beside_an_idle_claim(self) -> None:
        """A claim that nothing follows holds the commit: all others are read and served on."""
        self.claim(IDLE)
        held = len(self.kafka) - 1
        for task in TASKS:
            if not self.truth(task)[1].closed:
                self.claim(task)
                for _ in range(N_BESIDE_IDLE):
                    self.write(self.writers[-1])
        self.archive_all()
        assert self.committed <= held, "the archive let go of a claim that nothing follows"
        self.api_catches_up()

    def archive_all(self) -> None:
        """A new archiver stores all there is, and commits."""
        self.archive_replace()
        process = self.archives[-1]
        for _ in range(MAX_DRAIN_STEPS):
            self.archive_read(process)
            self.archive_tick(process)
            self.archive_store(process, 0)
            self.archive_learn(process, 0)
            if process.next == len(self.kafka) and not (process.actions or process.outcomes):
                break
        self.archive_commit()
