"""Log cursor: a reader's position, and the decision whether to read S3 or the tail cache."""

import asyncio
import enum
from typing import Protocol

from api.errors import UnavailableError
from api.log.archive_reader import Archive, LogRef
from api.log.fanout import Broadcast, Subscriber, WriteTransport
from api.log.notifier import Notifier
from api.log.segments import SegmentMap
from api.log.tail_cache import TailCache
from api.log.task_tail import TailView

PIECE_BYTES = 1024 * 1024
_MAX_LOCATES = 8


class Next(enum.Enum):
    """The next step of a reader.

    `TAIL`: read the tail cache. `BLOCK`: read S3. `LIST`: list the segments around the byte, which
    is archived. `LOCATE`: list the newest segments and, while the log is open, seed the tail cache.
    `WAIT`: the log ends here for now. `END`: the log is closed
    and ends here.
    """

    TAIL = "tail"
    BLOCK = "block"
    LIST = "list"
    LOCATE = "locate"
    WAIT = "wait"
    END = "end"


def next_step(offset: int, tail: TailView | None, segments: SegmentMap) -> Next:
    """Return the next step of a reader whose next byte is at `offset`.

    The tail cache comes first: it costs nothing. S3 has the bytes before the cached ones. Bytes
    that neither has are archived but not listed yet, or their task is not seeded: another listing
    resolves both.
    """
    if tail is not None and tail.start <= offset:
        if offset < tail.end:
            return Next.TAIL
        return Next.END if tail.closed else Next.WAIT
    if offset < segments.end:
        return Next.BLOCK if segments.has(offset) else Next.LIST
    return Next.END if segments.closed else Next.LOCATE


class LogBackends(Protocol):
    """The sources that a cursor reads: `api.log.reader.LogReader`."""

    @property
    def tail_cache(self) -> TailCache: ...
    @property
    def archive(self) -> Archive: ...
    @property
    def notifier(self) -> Notifier: ...
    @property
    def broadcast(self) -> Broadcast: ...

    async def locate(self, ref: LogRef) -> None: ...


class LogCursor:
    """A reader's position in a log: `offset` is its next byte. It needs no closing."""

    def __init__(self, backends: LogBackends, ref: LogRef, offset: int) -> None:
        self.offset = offset
        self._backends = backends
        self._ref = ref

    async def read(self, end: int | None = None) -> bytes | memoryview | None:
        """Return the next bytes; if `end` is given, only those before log offset `end`.

        b"" at the end of an open log, or at `end`: see `wait`. None at the end of a closed log.
        The bytes are shared with other readers; they are at most a MiB or one record. Raises
        `UnavailableError`, after which the same cursor may be read again later, and
        `OffsetExpiredError`.
        """
        if end is not None and self.offset >= end:
            return b""
        for _ in range(_MAX_LOCATES):
            step = self._next()
            if step is Next.WAIT:
                return b""
            if step is Next.END:
                return None
            if step is Next.LOCATE:
                await self._backends.locate(self._ref)
                continue
            if step is Next.LIST:
                await self._backends.archive.find(self._ref, self.offset)
                continue
            piece: bytes | memoryview
            if step is Next.TAIL:
                piece = self._backends.tail_cache.read(self._ref.task, self.offset, PIECE_BYTES)
            else:
                piece = await self._backends.archive.read(self._ref, self.offset)
            if end is not None and len(piece) > end - self.offset:
                piece = memoryview(piece)[: end - self.offset]
            self.offset += len(piece)
            return piece
        raise UnavailableError("The archive of this task is incomplete.")

    async def prepare(self, *, reads: bool = False) -> None:
        """List what the first read needs, if it is far from the log's end.

        `reads`: read it from S3, too, as it may have expired since it was listed. Raises
        `OffsetExpiredError`, `UnavailableError`.
        """
        if self._next() is Next.LIST:
            await self._backends.archive.find(self._ref, self.offset)
        if reads and self._next() is Next.BLOCK:
            await self._backends.archive.read(self._ref, self.offset)

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until there may be more to read; return False after `timeout_s`.

        Raises `StoppingError` when the process stops.
        """
        if self._next() is not Next.WAIT:
            return True
        tail_cache, task = self._backends.tail_cache, self._ref.task
        tail_cache.watch(task, self._ref.partition)
        try:
            return await self._backends.notifier.wait(task, timeout_s)
        finally:
            tail_cache.unwatch(task)

    async def follow(self, wire: WriteTransport, silence_s: float | None = None) -> bool:
        """Let the fan-out write new log bytes to `wire`, until this reader has to read by itself.

        True: call `read`. False: no byte arrived for `silence_s`. Raises `StoppingError` when the
        process stops. Nothing else may write to `wire` meanwhile.
        """
        if self._next() is not Next.WAIT:
            return True
        released = asyncio.Event()
        member = self._backends.broadcast.join(self._ref.task, self.offset, wire, released.set)
        if member is None:
            return await self.wait(silence_s)
        tail_cache = self._backends.tail_cache
        tail_cache.watch(self._ref.task, self._ref.partition)
        try:
            if silence_s is None:
                await released.wait()
            elif not await self._released(member, released, silence_s):
                return False
        finally:
            self.offset = self._backends.broadcast.leave(member)
            tail_cache.unwatch(self._ref.task)
        self._backends.notifier.check()
        return True

    async def _released(
        self, member: Subscriber, released: asyncio.Event, silence_s: float
    ) -> bool:
        """Wait for the release; return False after `silence_s` without bytes.

        It sets one timer per silence, none per event.
        """
        clock = asyncio.get_running_loop().time
        heard_s = clock()
        while (left_s := heard_s + silence_s - clock()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await released.wait()
            except TimeoutError:
                heard_s = max(heard_s, self._backends.broadcast.pushed_s(member))
            else:
                return True
        return False

    def _next(self) -> Next:
        backends, ref = self._backends, self._ref
        return next_step(
            self.offset, backends.tail_cache.view(ref.task), backends.archive.segments(ref)
        )
