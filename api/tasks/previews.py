"""Previews: one frame of a task's video as JPEG, made by a child process, with an LRU cache.

The api decodes nothing itself. A child (`python -m streamproc frame`) opens the source behind the
same guard as a worker. It is reused for the next order and ended after `IDLE_S` without one. A
child that takes longer than `TIMEOUT_S` is killed.
"""

import asyncio
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
import structlog
from cachetools import LRUCache

from api.errors import NotFoundError, ProblemError, UnavailableError
from api.settings import MIB
from api.store.clickhouse import Rows
from api.store.object_store import Objects, StoreUnavailableError
from api.store.track_queries import boxes_of_frame
from api.tasks.fair_queue import FairQueue
from api.tasks.preview_process import FrameChild
from api.tasks.recorded_frames import not_kept, recorded_piece
from api.tasks.source_secrets import SourceSecrets
from streamproc.contract.preview import (
    NO_SUCH_FRAME,
    PASSING_ERRORS,
    STORE_UNAVAILABLE,
    Box,
    FrameAnswer,
    FrameOrder,
)
from streamproc.contract.stored_request import StoredRequest

MAX_CHILDREN = 3
MAX_WAITING = 32
MAX_WAITING_PER_PROJECT = 8
TIMEOUT_S = 20.0
IDLE_S = 30.0
CACHE_BYTES = 32 * MIB
_SOURCE_TTL_S = 300
_log = structlog.get_logger("framewire.api.frames")


class FrameGoneError(ProblemError):
    """The source of the task cannot be read any more."""

    status = 410
    code = "source_gone"
    title = "Gone"


class Picture(NamedTuple):
    """A preview: JPEG bytes; width and height of the source's frame in pixels.

    `captured_ms`: when a frame of a recording was captured, Unix ms.
    """

    jpeg: bytes
    width_px: int
    height_px: int
    captured_ms: int | None = None


class _Key(NamedTuple):
    project: str
    task: str
    frame: int
    width_px: int | None
    boxes: tuple[Box, ...]
    piece: str | None


class Frames:
    """Makes and caches previews, at most `MAX_CHILDREN` at once. Use from one event loop."""

    def __init__(self, objects: Objects, rows: Rows, secrets: SourceSecrets) -> None:
        self._objects = objects
        self._secrets = secrets
        self._rows = rows
        self._turns = FairQueue(
            MAX_CHILDREN,
            MAX_WAITING,
            MAX_WAITING_PER_PROJECT,
            what="frames",
            busy_code="frames_busy",
        )
        self._idle: list[FrameChild] = []
        self._kept: LRUCache[_Key, Picture] = LRUCache(CACHE_BYTES, getsizeof=_size_bytes)

    async def get(
        self, stored: StoredRequest, index: int, *, width_px: int | None, with_boxes: bool
    ) -> Picture:
        """Return the frame; `with_boxes` draws the targets that are indexed.

        Of a live source it is read from the recording. Raises NotFoundError (no such frame),
        FrameGoneError, UnavailableError; and StoreUnavailableError while the store that has the
        video is unavailable.
        """
        piece = None
        if stored.spec.live is not None:
            piece = await recorded_piece(self._objects, stored, index)
        boxes: tuple[Box, ...] = ()
        if with_boxes:
            boxes = await boxes_of_frame(self._rows, stored.project, stored.task, index)
        key = _Key(stored.project, stored.task, index, width_px, boxes, piece)
        known = self._kept.get(key)
        if known is not None:
            return known
        async with self._turns.of(stored.project):
            known = self._kept.get(key)  # another request made it while this one waited
            if known is not None:
                return known
            order = await self._order(stored, key)
            picture = _picture(await self._answered(order), is_recorded=piece is not None)
        if _size_bytes(picture) <= CACHE_BYTES:
            self._kept[key] = picture
        return picture

    async def close(self) -> None:
        """End the idle children."""
        for child in self._idle:
            await child.end()
        self._idle.clear()

    async def _order(self, stored: StoredRequest, key: _Key) -> FrameOrder:
        if key.piece is not None:
            url = self._objects.presign(key.piece, _SOURCE_TTL_S)
            own_host = urlsplit(url).netloc
            return FrameOrder(url, key.frame, key.width_px, own_host, key.boxes, recorded=True)
        source, stream, part = stored.spec.source, stored.spec.stream, stored.spec.range
        start_s = part.start if part.unit == "seconds" and part.start > 0 else None
        if source.object_key is None:
            url = source.url or ""
            if source.sealed:
                url = await self._secrets.open(stored.project, stored.task)
            return FrameOrder(url, key.frame, key.width_px, None, key.boxes, stream, start_s)
        url = self._objects.presign(source.object_key, _SOURCE_TTL_S)
        own_host = urlsplit(url).netloc
        return FrameOrder(url, key.frame, key.width_px, own_host, key.boxes, stream)

    async def _answered(self, order: FrameOrder) -> tuple[FrameAnswer, bytes]:
        child = self._idle.pop() if self._idle else FrameChild()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer, jpeg = await child.answer(order)
        except TimeoutError as exc:
            await child.end()
            raise UnavailableError("The frame took too long.", code="frame_timeout") from exc
        except (OSError, asyncio.IncompleteReadError, msgspec.DecodeError) as exc:
            await child.end()
            _log.warning("the preview process failed", error=type(exc).__name__)
            raise UnavailableError("The frame could not be made.", code="frame_failed") from exc
        except BaseException:
            await child.end()
            raise
        child.rest(IDLE_S, self._drop)
        self._idle.append(child)
        return answer, jpeg

    def _drop(self, child: "FrameChild") -> None:
        if child in self._idle:
            self._idle.remove(child)


def _size_bytes(picture: Picture) -> int:
    return len(picture.jpeg)


def _picture(answered: tuple[FrameAnswer, bytes], *, is_recorded: bool) -> Picture:
    answer, jpeg = answered
    if answer.error_code is None:
        return Picture(jpeg, answer.width_px, answer.height_px, answer.captured_ms)
    if answer.error_code == NO_SUCH_FRAME:
        if is_recorded:
            raise not_kept()
        raise NotFoundError("The video has no such frame.", code="frame_not_found")
    if answer.error_code == STORE_UNAVAILABLE:
        raise StoreUnavailableError("The object store, which has the video, does not answer.")
    if answer.error_code in PASSING_ERRORS:
        raise UnavailableError(answer.error or "The frame could not be made.", code="frame_failed")
    if is_recorded:
        _log.warning("a recording cannot be read", reason=answer.error)
        raise not_kept()
    raise FrameGoneError(
        f"The video cannot be read any more: {answer.error}.",
        extra={"source_error": answer.error_code},
    )
