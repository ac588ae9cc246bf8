"""Log reader: reads the logs of all tasks by byte offset, from S3 and Kafka.

There is one `LogReader` per process. It owns and drives the consumer, the tail cache and the block
cache; `cursor.next_step` decides the next step of a reader.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from api.errors import UnavailableError
from api.kafka.producer import kafka_config
from api.log.archive_reader import Archive, LogRef
from api.log.backpressure import Backpressure
from api.log.block_cache import BlockCache
from api.log.consumer import Assigned, Batch, LogConsumer
from api.log.cursor import LogCursor
from api.log.fanout import Broadcast
from api.log.log_state import LogState, first_chunk, last_chunk, read_claim
from api.log.notifier import Notifier
from api.log.open_tasks import OpenTasks
from api.log.segments import SegmentMap
from api.log.send_timeout import SendDeadlines
from api.log.tail_cache import TailCache
from api.settings import Settings
from api.store.object_store import Objects
from streamproc.contract.chunk import Chunk
from streamproc.contract.object_keys import Final
from streamproc.contract.records import Attempt, Claim

_MAX_LISTINGS = 8
_CATCH_UP_S = 10.0


class Readiness(NamedTuple):
    """Whether the tail cache has caught up with Kafka; `detail` says why not."""

    ready: bool
    detail: str | None = None


class LogReader:
    """Reads all logs of the process. Use it between `start` and `close`, on one event loop."""

    def __init__(self, settings: Settings, store: Objects) -> None:
        self.tail_cache = TailCache(settings.ring_bytes)
        self.cache = BlockCache(store, settings.cache_bytes)
        self.archive = Archive(store, self.cache)
        self.open_tasks = OpenTasks()
        self.notifier = Notifier()
        self.broadcast = Broadcast(self.tail_cache)
        self.deadlines = SendDeadlines(settings.send_deadline_s)
        self._consumer = LogConsumer(kafka_config(settings), self, settings.watchdog_s)
        self._room = Backpressure(self.tail_cache, self.archive, self._consumer.hold)
        self._locating: dict[LogRef, asyncio.Task[None]] = {}
        self._ends: dict[int, int] | None = None
        self._caught_up = asyncio.Event()
        self._trouble: str | None = None

    def start(self) -> None:
        """Start to consume Kafka; return at once. `ready` reports when the tail has caught up."""
        self.deadlines.start()
        self._consumer.start()

    async def close(self) -> None:
        """End the waits of all readers, and stop."""
        self.notifier.stop()
        self.broadcast.stop()
        await self._consumer.close()
        await self._room.close()
        locating = list(self._locating.values())
        for task in locating:
            task.cancel()
        await asyncio.gather(*locating, return_exceptions=True)
        await self.cache.close()
        await self.deadlines.close()

    def ready(self) -> Readiness:
        if self._ends is None:
            return Readiness(ready=False, detail=self._trouble or "The log is not read yet.")
        if self._trouble is not None:
            return Readiness(ready=False, detail=self._trouble)
        if not self._caught_up.is_set():
            return Readiness(ready=False, detail="The log consumer is still catching up.")
        return Readiness(ready=True)

    @property
    def n_partitions(self) -> int | None:
        """The partition count of video.chunks; None until Kafka has answered."""
        return None if self._ends is None else len(self._ends)

    def position(self, partition: int) -> int:
        """Return the Kafka offset of the partition before which all records were received here.

        A record that is written from now on has this offset or a higher one. Raises
        `UnavailableError` until Kafka has answered for the first time.
        """
        self._require(partition)
        return self.tail_cache.position(partition)

    async def state(
        self, project: str, task: str, partition: int, *, with_last_chunk: bool = False
    ) -> LogState:
        """Return the current state of the log; `with_last_chunk` may need a read from S3.

        A task without any record has an empty, unclaimed log: only `request.json` shows whether
        the task exists. Raises `UnavailableError`.
        """
        ref = LogRef(project, task, partition)
        length, closed, n_records = await self._extent(ref)
        segments = self.archive.segments(ref)
        facts = self.tail_cache.facts(task)
        claim = read_claim(facts.claim)
        final = await self.archive.final(ref) if closed else None
        provider = final.provider if final else claim.provider if claim else None
        if provider is None and length:
            provider = await self._first_provider(ref, facts.first)
        return LogState(
            length=length,
            closed=closed,
            claimed=claim is not None or length > 0,
            n_chunks=n_records - closed,
            started_ms=segments.started_ms if facts.started_ms is None else facts.started_ms,
            finished_ms=final.finished_ms if final else facts.finished_ms,
            provider=provider,
            attempts=_attempts(final, claim, segments),
            last_chunk=await self._last_chunk(ref, facts.last) if with_last_chunk else None,
            final=final,
        )

    async def extent(self, project: str, task: str, partition: int) -> tuple[int, bool]:
        """Return the log's length and whether it is closed, mostly without any request."""
        length, closed, _ = await self._extent(LogRef(project, task, partition))
        return length, closed

    async def reach(
        self, project: str, task: str, partition: int, length: int, timeout_s: float
    ) -> tuple[int, bool]:
        """Wait until the log has `length` bytes or is closed; return its length and whether closed.

        After `timeout_s` the current values are returned.
        """
        ref = LogRef(project, task, partition)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        while True:
            end, closed, _ = await self._extent(ref)
            left_s = until_s - loop.time()
            if end >= length or closed or left_s <= 0:
                return end, closed
            await LogCursor(self, ref, end).wait(left_s)

    async def offset_at(self, project: str, task: str, partition: int, time_ms: int) -> int:
        """Return where the first event of `time_ms` or later begins, the log's end without one.

        The time of an event is when its frame was captured, or written if it does not say so.
        """
        ref = LogRef(project, task, partition)
        length, _, _ = await self._extent(ref)
        last_ms = self.archive.segments(ref).last_ms
        if last_ms is not None and last_ms >= time_ms:
            return await self.archive.offset_at(ref, time_ms)
        offset = self.tail_cache.offset_at(task, time_ms)
        return length if offset is None else offset

    def cursor(self, project: str, task: str, partition: int, offset: int) -> LogCursor:
        """Return a cursor that reads the log from `offset` on."""
        return LogCursor(self, LogRef(project, task, partition), offset)

    async def open(
        self, project: str, task: str, partition: int, offset: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes | memoryview]:
        """Yield log bytes from `offset` to `end`; without `end`, until the log is closed.

        At the end of an open log it waits for more. Raises `UnavailableError`, `StoppingError`.
        """
        cursor = self.cursor(project, task, partition, offset)
        while (piece := await cursor.read(end)) is not None:
            if piece:
                yield piece
            elif end is not None and cursor.offset >= end:
                return
            else:
                await cursor.wait()

    async def locate(self, ref: LogRef) -> None:
        """List new segments in S3 and seed the tail cache; concurrent callers share one listing."""
        running = self._locating.get(ref)
        if running is None:
            running = self._locating[ref] = asyncio.create_task(self._list_and_seed(ref))
            running.add_done_callback(lambda done: self._located(ref, done))
        await asyncio.shield(running)

    def on_assigned(self, assigned: Assigned) -> None:
        for partition, start in assigned.starts.items():
            self.tail_cache.start(partition, start)
        self._ends = dict(assigned.ends)
        self._note_progress()

    def on_batches(self, batches: list[Batch]) -> None:
        touched: set[str] = set()
        for batch in batches:  # feed all batches first: no reader may run between two of them
            touched |= self.tail_cache.feed(batch.partition, batch.records, batch.position)
            self.open_tasks.read(batch.records)
        now_s = asyncio.get_running_loop().time()
        for task in touched:
            self.broadcast.push(task, now_s)
            self.notifier.wake(task)
        self._note_progress()
        self._room.make()

    def on_archived(self, positions: Mapping[int, int]) -> None:
        self.tail_cache.archived(positions)
        self._room.make()

    def on_trouble(self, detail: str | None) -> None:
        self._trouble = detail

    async def _extent(self, ref: LogRef) -> tuple[int, bool, int]:
        """Return the log's length, whether it is closed, and its number of records."""
        segments = self.archive.segments(ref)
        if self.tail_cache.view(ref.task) is None and not segments.closed:
            await self.locate(ref)
        tail = self.tail_cache.view(ref.task)
        if tail is None:
            return segments.end, segments.closed, segments.n_records
        return tail.end, tail.closed, tail.n_records

    async def _list_and_seed(self, ref: LogRef) -> None:
        await self._catch_up()
        self._require(ref.partition)
        for _ in range(_MAX_LISTINGS):
            ticket = self.tail_cache.ticket(ref.task, ref.partition)
            segments = await self.archive.extend(ref, self.tail_cache.oldest_offset(ref.task))
            if segments.closed or self.tail_cache.seed(
                ref.task, ticket, segments.fold(), segments.started_ms
            ):
                return
        raise UnavailableError("The archive lags too far behind the log.")

    def _located(self, ref: LogRef, done: asyncio.Task[None]) -> None:
        self._locating.pop(ref, None)
        if not done.cancelled():
            done.exception()

    def _note_progress(self) -> None:
        """Set `_caught_up` once all records that Kafka had at the start have been read."""
        if self._ends is not None and not self._caught_up.is_set():
            behind = any(self.tail_cache.position(p) < end for p, end in self._ends.items())
            if not behind:
                self._caught_up.set()

    async def _catch_up(self) -> None:
        """Wait up to `_CATCH_UP_S` after the start until the tail has caught up, to avoid errors.

        Browsers never reconnect to a stream that was answered with an error. A tail that lags would
        report a valid offset as beyond the log's end.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP_S):
                await self._caught_up.wait()

    def _require(self, partition: int) -> None:
        if self._ends is None or partition not in self._ends:
            raise UnavailableError("The log is not read yet.")

    async def _first_provider(self, ref: LogRef, first: bytes | None) -> str | None:
        if (told := self.archive.segments(ref).provider) is not None:
            return told
        if first is None:
            first = bytes(await self.cursor(*ref, offset=0).read() or b"")
        chunk = first_chunk(first)
        return chunk.provider or None if chunk is not None else None

    async def _last_chunk(self, ref: LogRef, last: bytes | None) -> Chunk | None:
        return await self.archive.last_chunk(ref) if last is None else last_chunk(last)


def _attempts(
    final: Final | None, claim: Claim | None, segments: SegmentMap
) -> tuple[Attempt, ...]:
    """Return the failed providers from the best source there is; all sources survive restarts."""
    if final is not None:
        return final.attempts
    return segments.attempts if claim is None else claim.attempts
