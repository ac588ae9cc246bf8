"""Finds segments of long logs in S3 by few listings: their end, one byte's, one moment's."""

from collections.abc import Awaitable, Callable

from api.store.object_store import Objects, SegmentPage
from api.store.segment import Segment
from streamproc.contract import object_keys
from streamproc.contract.object_keys import MAX_SEGMENT_BYTES, SegmentInfo

_NEAR_BYTES = 512 * 1024
_LISTED_BYTES = 64 * 1024 * 1024


class SegmentSearch:
    """The segments of one task. Each method costs few requests, however many segments there are."""

    def __init__(self, store: Objects, project: str, task: str) -> None:
        self._store = store
        self._project = project
        self._task = task

    async def first(self) -> SegmentPage:
        """Return the log's first segments, as many as one request lists."""
        return await self._page(None)

    async def ending(self, near: int) -> list[Segment]:
        """Return the log's last segments: those from just before byte `near` to the end.

        An empty list if it ends far before `near`.
        """
        return await self._all(near - MAX_SEGMENT_BYTES)

    async def ending_after(self, known: Segment) -> list[Segment]:
        """Return the log's last segments; `known` is one of the log. By bisection."""
        step = max(known.end, MAX_SEGMENT_BYTES)
        while following := await self._following(known.start + step):
            known = following
            step *= 2
        high = known.start + step
        while high - known.start > MAX_SEGMENT_BYTES:
            middle = (known.start + high) // 2
            following = await self._following(middle)
            known, high = (known, middle) if following is None else (following, high)
        return [known, *await self._all(known.start)]

    async def around(self, offset: int) -> tuple[list[Segment], int]:
        """Return segments from just before the byte at `offset` on, and the log's first kept byte.

        That byte is 0 if it was not looked for: then one of the segments holds `offset`.
        """
        found: list[Segment] = []
        for reach in (_NEAR_BYTES, MAX_SEGMENT_BYTES):
            begin = offset - reach
            found = await self._until(begin if begin >= 0 else None, offset)
            if any(segment.start <= offset < segment.end for segment in found):
                return found, 0
        first = await self._page(None, limit=1)
        return found, first.segments[0].start if first.segments else offset + 1

    async def at(self, time_ms: int, last: Segment) -> Segment:
        """Return the first segment with a frame of `time_ms` or later; `last` is one."""
        low, high, best = -1, last.start, last  # it starts within (low, high], or is `best`
        while high - low > _LISTED_BYTES:
            middle = (low + high) // 2
            found = await self._following(middle)
            if found is None or found.start > high:
                high = middle
            elif await self._reaches(found, time_ms):
                best, high = found, middle
            else:
                low = found.start
        listed = await self._until(low if low >= 0 else None, high)
        candidates = [segment for segment in listed if segment.start <= high]
        at = await _bisect(candidates, lambda one: self._reaches(one, time_ms))
        return candidates[at] if at < len(candidates) else best

    async def _reaches(self, segment: Segment, time_ms: int) -> bool:
        key = object_keys.segment_key(self._project, self._task, segment.start)
        metadata = await self._store.metadata(key)
        last_ms = None if metadata is None else SegmentInfo.from_metadata(metadata).last_ms
        return last_ms is not None and last_ms >= time_ms

    async def _following(self, start: int) -> Segment | None:
        """Return the first segment that starts after `start`."""
        page = await self._page(start, limit=1)
        return page.segments[0] if page.segments else None

    async def _until(self, after: int | None, offset: int) -> list[Segment]:
        """Return the segments that start after `after`, by pages up to one beyond `offset`."""
        found: list[Segment] = []
        while True:
            page = await self._page(after)
            found += page.segments
            if not page.is_cut or page.segments[-1].end > offset:
                return found
            after = page.segments[-1].start

    async def _all(self, after: int) -> list[Segment]:
        return await self._store.list_segments(
            self._project, self._task, after if after >= 0 else None
        )

    async def _page(self, after: int | None, limit: int | None = None) -> SegmentPage:
        return await self._store.list_page(self._project, self._task, after, limit)


async def _bisect(segments: list[Segment], is_late: Callable[[Segment], Awaitable[bool]]) -> int:
    """Return the index of the first segment that is late; all after it are."""
    low, high = 0, len(segments)
    while low < high:
        middle = (low + high) // 2
        if await is_late(segments[middle]):
            high = middle
        else:
            low = middle + 1
    return low
