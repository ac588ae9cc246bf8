"""Backpressure for the tail cache: pause the consumer, and list S3 for records to evict."""

import asyncio
from collections.abc import Callable

import structlog

from api.errors import ProblemError
from api.log.archive_reader import Archive, LogRef
from api.log.tail_cache import TailCache

_LISTED_AT_ONCE = 16
_LIST_AGAIN_S = (0.1, 2.0)

_log = structlog.get_logger("framewire.api.log")


class Backpressure:
    """Calls `hold(True)` to pause the consumer and `hold(False)` to resume it.

    It is called whenever the state may have changed; the same value may come several times.
    """

    def __init__(
        self, tail_cache: TailCache, archive: Archive, hold: Callable[[bool], None]
    ) -> None:
        self._tail_cache = tail_cache
        self._archive = archive
        self._hold = hold
        self._asking: asyncio.Task[None] | None = None

    def make(self) -> None:
        """Pause or resume the consumer, and start to list S3 if the tail cache cannot evict.

        Call it after the tail cache received records or new positions of the archive.
        """
        self._hold(self._tail_cache.saturated)
        if self._tail_cache.eviction_blocked and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask())

    async def close(self) -> None:
        """Stop listing S3."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        """List the tasks that fill the tail cache, until the records known as archived suffice.

        The pause between two rounds without an eviction grows exponentially, from 0.1 s to 2 s.
        """
        pause_s, longest_s = _LIST_AGAIN_S
        while places := self._tail_cache.eviction_candidates(_LISTED_AT_ONCE):
            before_bytes = self._tail_cache.size_bytes
            await asyncio.gather(*(self._confirm_archived(LogRef(*place)) for place in places))
            self._hold(self._tail_cache.saturated)
            if self._tail_cache.size_bytes < before_bytes:
                pause_s = _LIST_AGAIN_S[0]
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_s)

    async def _confirm_archived(self, ref: LogRef) -> None:
        try:
            near = self._tail_cache.oldest_offset(ref.task)
            segments = await self._archive.extend(ref, near)
        except ProblemError as exc:
            _log.warning(
                "cannot list the segments of a task that fills the tail cache",
                task=ref.task,
                why=str(exc),
            )
        else:
            self._tail_cache.stored(ref.task, segments.fold())
