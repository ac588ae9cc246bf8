"""Read an HTTP source at any position by ranged requests, through a small block cache.

One long response is kept open and read in order: a demuxer mostly goes forward. A jump asks for a
short range, since who jumps may jump again, and what a server has sent by then is for nothing; each
range that is read to its end is followed by one four times as long, and at last by all the rest.
The end of the file, where indexes and the fingerprint are, is asked for separately.
"""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from streamproc.source.errors import (
    SourceChangedError,
    SourceError,
    SourceTooLargeError,
    SourceUnreachableError,
)
from streamproc.source.http import Answer, Fetcher
from streamproc.source.policy import FetchPolicy

_BLOCK_BYTES: Final = 128 * 1024
_MAX_BLOCKS: Final = 128
_READ_THROUGH_BYTES: Final = 1 << 20
_FIRST_RANGE_BYTES: Final = 2 * _BLOCK_BYTES
_RANGES_GROW: Final = 4
_LONGEST_RANGE_BYTES: Final = 16 << 20
"""Behind a range of this length everything is asked for."""
_MAX_ATTEMPTS: Final = 3
_LEAST_PIECE_BYTES: Final = 16 * 1024
"""What one answer has to give before another is asked for: no crumbs."""


class RangedReader:
    """A source on a server that honours `Range`; made from its first answer (206)."""

    def __init__(self, fetcher: Fetcher, first: Answer, policy: FetchPolicy) -> None:
        self._fetcher = fetcher
        self._stream: _Pieces | None = _Pieces(self._ask, 0, None, first)
        self._stream_at = 0
        self._range_bytes: int | None = None
        self._stream_end: int | None = None
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        told = first.content_range()
        self._size = told.size or 0
        if told.start != 0:
            raise SourceUnreachableError(f"{first.host} answered with another range")
        if self._size > policy.max_bytes:
            raise SourceTooLargeError(f"the source is over the limit of {policy.max_bytes} bytes")
        self._etag = strong_etag(first)
        self._modified = first.header("last-modified")
        self._closed = False
        self._reading = threading.Lock()

    @property
    def size_bytes(self) -> int | None:
        return self._size

    @property
    def seekable(self) -> bool:
        return True

    @property
    def etag(self) -> str | None:
        return self._etag

    def fileno(self) -> int | None:
        return None

    def find_size(self) -> int:
        return self._size

    def read_at(self, position: int, length: int) -> bytes:
        """Read within one block: 1 to `length` bytes, none at the end."""
        if not 0 <= position < self._size:
            return b""
        start = position - position % _BLOCK_BYTES
        with self._reading:
            block = self._blocks.get(start)
            if block is None:
                block = self._fetch(start)
            else:
                self._blocks.move_to_end(start)
        offset = position - start
        return block[offset : offset + length]

    def check_unchanged(self) -> None:
        """Ask once more for the first byte; an origin that no longer answers is not a change."""
        if self._closed:
            return
        try:
            answer = self._ask(0, 0)
        except SourceChangedError:
            raise
        except SourceError:
            return
        answer.close()

    def open_spool(self) -> None:
        """Nothing is spooled: the source itself can be read again."""

    def close(self) -> None:
        self._closed = True
        self._fetcher.interrupt.set()
        with self._reading:
            self._drop_stream()

    def _fetch(self, start: int) -> bytes:
        failure: SourceError | None = None
        for _ in range(_MAX_ATTEMPTS):
            try:
                if self._is_tail(start):
                    return self._tail_block(start)
                return self._stream_block(start)
            except SourceUnreachableError as exc:
                failure = exc
                self._drop_stream()
                if self._closed:
                    break
        raise failure or SourceUnreachableError("the source could not be read")

    def _is_tail(self, start: int) -> bool:
        ahead = start - self._stream_at
        return start + 2 * _BLOCK_BYTES >= self._size and not 0 <= ahead <= _READ_THROUGH_BYTES

    def _tail_block(self, start: int) -> bytes:
        last = min(start + _BLOCK_BYTES, self._size) - 1
        with contextlib.closing(_Pieces(self._ask, start, last)) as pieces:
            return self._keep(start, self._read_block(pieces, start))

    def _stream_block(self, start: int) -> bytes:
        ahead = start - self._stream_at
        stream = self._stream
        if stream is None or not 0 <= ahead <= _READ_THROUGH_BYTES:
            stream = self._begin_range(start, _FIRST_RANGE_BYTES)
        while True:
            if self._stream_at == self._stream_end:
                stream = self._begin_range(self._stream_at, self._longer_range())
            at = self._stream_at
            block = self._read_block(stream, at)
            self._stream_at += len(block)
            self._keep(at, block)
            if at >= start:
                return block

    def _begin_range(self, start: int, n_bytes: int | None) -> "_Pieces":
        self._drop_stream()
        end = self._size if n_bytes is None else min(start + n_bytes, self._size)
        is_all = end == self._size
        self._stream = stream = _Pieces(self._ask, start, None if is_all else end - 1)
        self._stream_at = start
        self._stream_end = None if is_all else end
        self._range_bytes = None if is_all else n_bytes
        return stream

    def _longer_range(self) -> int | None:
        n_bytes = self._range_bytes
        if n_bytes is None or n_bytes >= _LONGEST_RANGE_BYTES:
            return None
        return n_bytes * _RANGES_GROW

    def _read_block(self, pieces: "_Pieces", start: int) -> bytes:
        missing = min(_BLOCK_BYTES, self._size - start)
        parts = []
        while missing > 0:
            part = pieces.read(missing)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _keep(self, start: int, block: bytes) -> bytes:
        self._blocks[start] = block
        while len(self._blocks) > _MAX_BLOCKS:
            self._blocks.popitem(last=False)
        return block

    def _ask(self, start: int, last: int | None) -> Answer:
        """Send a ranged request; raises `SourceChangedError` unless it is still the same file."""
        headers = {"Range": f"bytes={start}-{'' if last is None else last}"}
        if self._etag is not None:
            headers["If-Range"] = self._etag
        answer = self._fetcher.get(headers)
        try:
            if answer.status != 206:
                raise SourceChangedError(f"{answer.host} has other bytes than at the start")
            told = answer.content_range()
            same = told.size == self._size and strong_etag(answer) == self._etag
            if not same or answer.header("last-modified") != self._modified:
                raise SourceChangedError(f"{answer.host} has other bytes than at the start")
            if told.start != start:
                raise SourceUnreachableError(f"{answer.host} answered with another range")
        except SourceError:
            answer.close()
            raise
        return answer

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class _Pieces:
    """A range's bytes in order, over as many answers as the server gives it in.

    Some servers cap what they give to one request; the next one asks for what follows.
    """

    def __init__(
        self,
        ask: Callable[[int, int | None], Answer],
        start: int,
        last: int | None,
        first: Answer | None = None,
    ) -> None:
        self._ask, self._at, self._last = ask, start, last
        self._answer = first or ask(start, last)
        self._of_this = 0

    def read(self, n_bytes: int) -> bytes:
        """Return 1 to `n_bytes` bytes; raises `SourceUnreachableError` when there are none."""
        part = self._answer.read(n_bytes)
        if not part and self._of_this >= _LEAST_PIECE_BYTES:
            self._answer.close()
            self._answer, self._of_this = self._ask(self._at, self._last), 0
            part = self._answer.read(n_bytes)
        if not part:
            raise SourceUnreachableError(f"{self._answer.host} ended its answer early")
        self._at += len(part)
        self._of_this += len(part)
        return part

    def close(self) -> None:
        self._answer.close()


def strong_etag(answer: Answer) -> str | None:
    etag = answer.header("etag")
    return etag if etag and etag.startswith('"') else None
