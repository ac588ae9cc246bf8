"""One reader's place in a log, and the one decision that joins S3 and the ring."""

import asyncio
import enum
from typing import Protocol

from api.errors import UnavailableError
from api.log.archive import Archive, LogRef
from api.log.broadcast import Broadcast, Member, Wire
from api.log.hub import Hub
from api.log.segments import SegmentMap
from api.log.tail import TailView
from api.log.wakes import Wakes

PIECE_BYTES = 1024 * 1024
_MAX_LOCATES = 8


class Next(enum.Enum):
    """The next thing to do for a reader.

    `TAIL`: read the ring. `BLOCK`: read S3. `LOCATE`: list the segments again and, while the log
    is open, seed the hub. `WAIT`: the log ends here for now. `END`: the log ends here for ever.
    """

    TAIL = "tail"
    BLOCK = "block"
    LOCATE = "locate"
    WAIT = "wait"
    END = "end"


def next_step(offset: int, tail: TailView | None, segments: SegmentMap) -> Next:
    """Return how a reader whose next byte is `offset` goes on.

    The ring first: it costs nothing. S3 for what lies before the ring. What neither has is
    archived but not listed yet, or its task is not seeded: both are healed by another listing.
    """
    if tail is not None and tail.start <= offset:
        if offset < tail.end:
            return Next.TAIL
        return Next.END if tail.closed else Next.WAIT
    if offset < segments.end:
        return Next.BLOCK
    return Next.END if segments.closed else Next.LOCATE


class Seam(Protocol):
    """Where a cursor reads: `api.log.reader.LogReader`."""

    @property
    def hub(self) -> Hub: ...
    @property
    def archive(self) -> Archive: ...
    @property
    def wakes(self) -> Wakes: ...
    @property
    def broadcast(self) -> Broadcast: ...

    async def locate(self, ref: LogRef) -> None: ...


class LogCursor:
    """`offset` is the next byte this reader gets. It holds nothing that must be given back."""

    def __init__(self, seam: Seam, ref: LogRef, offset: int) -> None:
        self.offset = offset
        self._seam = seam
        self._ref = ref

    async def read(self, end: int | None = None) -> bytes | memoryview | None:
        """Return the next bytes, before log offset `end` when it is given.

        b"" at the end of an open log, or at `end`: see `wait`. None at the end of a closed one.
        The bytes are shared with other readers, at most a MiB or one record. Raises
        `UnavailableError`; the same cursor may be read again later.
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
                await self._seam.locate(self._ref)
                continue
            piece: bytes | memoryview
            if step is Next.TAIL:
                piece = self._seam.hub.read(self._ref.task, self.offset, PIECE_BYTES)
            else:
                piece = await self._seam.archive.read(self._ref, self.offset)
            if end is not None and len(piece) > end - self.offset:
                piece = memoryview(piece)[: end - self.offset]
            self.offset += len(piece)
            return piece
        raise UnavailableError("The archive of this task does not hold what it should.")

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until there may be more to read; False when `timeout_s` passed first.

        Raises `StoppingError` when the process stops.
        """
        if self._next() is not Next.WAIT:
            return True
        hub, task = self._seam.hub, self._ref.task
        hub.watch(task, self._ref.partition)
        try:
            return await self._seam.wakes.wait(task, timeout_s)
        finally:
            hub.unwatch(task)

    async def follow(self, wire: Wire, silence_s: float | None = None) -> bool:
        """Let `wire` have what comes at the log's live end, until this reader has to go on itself.

        True: see `read`. False when nothing came for `silence_s`. Raises `StoppingError` when the
        process stops. Nobody else may write to `wire` meanwhile.
        """
        if self._next() is not Next.WAIT:
            return True
        released = asyncio.Event()
        member = self._seam.broadcast.join(self._ref.task, self.offset, wire, released.set)
        if member is None:
            return await self.wait(silence_s)
        hub = self._seam.hub
        hub.watch(self._ref.task, self._ref.partition)
        try:
            if silence_s is None:
                await released.wait()
            elif not await self._released(member, released, silence_s):
                return False
        finally:
            self.offset = self._seam.broadcast.leave(member)
            hub.unwatch(self._ref.task)
        self._seam.wakes.check()
        return True

    async def _released(self, member: Member, released: asyncio.Event, silence_s: float) -> bool:
        """Wait for the release; False after a silence. One timer per silence, none per event."""
        clock = asyncio.get_running_loop().time
        heard_s = clock()
        while (left_s := heard_s + silence_s - clock()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await released.wait()
            except TimeoutError:
                heard_s = max(heard_s, self._seam.broadcast.pushed_s(member))
            else:
                return True
        return False

    def _next(self) -> Next:
        seam, ref = self._seam, self._ref
        return next_step(self.offset, seam.hub.view(ref.task), seam.archive.segments(ref))
