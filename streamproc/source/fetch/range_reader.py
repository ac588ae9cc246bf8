"""Seekable HTTP reader: range requests through an LRU cache of blocks.

One long response is kept open and read in order: a demuxer mostly reads forward. A seek requests a
short range: a second seek may follow, and bytes that the server has sent until then are wasted.
When a range was read to its end, the next one is eight times as long, and finally the rest of the
file. The end of the file, with indexes and bytes of the fingerprint, is requested separately.

Every answer has to be of the same file. Its validators show this. If they differ, as those of
several servers behind one name may, the bytes are compared, and validators are ignored after that.
"""

import contextlib
import hashlib
import threading
from collections import OrderedDict
from typing import Final

from streamproc.source.errors import (
    SourceChangedError,
    SourceError,
    SourceTooLargeError,
    SourceUnreachableError,
)
from streamproc.source.fetch.http_client import Answer, Fetcher
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.fetch.range_pieces import Pieces

_BLOCK_BYTES: Final = 128 * 1024
_MAX_BLOCKS: Final = 128
_READ_THROUGH_BYTES: Final = 1 << 20
_FIRST_RANGE_BYTES: Final = 4 * _BLOCK_BYTES
_RANGES_GROW: Final = 8
_LONGEST_RANGE_BYTES: Final = 16 << 20
"""After a range of this length the rest of the file is requested."""
_MAX_ATTEMPTS: Final = 3


class RangedReader:
    """A source on a server that honours `Range`; created from its first answer (206)."""

    def __init__(self, fetcher: Fetcher, first: Answer, policy: FetchPolicy) -> None:
        self._fetcher = fetcher
        self._stream: Pieces | None = Pieces(self._ask, 0, None, first)
        self._stream_at = 0
        self._range_bytes: int | None = None
        self._stream_end: int | None = None
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        got = first.content_range()
        self._size = got.size or 0
        if got.start != 0:
            raise SourceUnreachableError(
                f"{first.host} answered with a different range than requested"
            )
        if self._size > policy.max_bytes:
            raise SourceTooLargeError(f"the source is over the limit of {policy.max_bytes} bytes")
        self._validators = first.validators()
        self._validators_differ = False
        self._head_digest: bytes | None = None
        self._closed = False
        self._reading = threading.RLock()

    @property
    def size_bytes(self) -> int | None:
        return self._size

    @property
    def seekable(self) -> bool:
        return True

    @property
    def etag(self) -> str | None:
        return self._validators[0]

    @property
    def validators_differ(self) -> bool:
        return self._validators_differ

    def fileno(self) -> int | None:
        return None

    def find_size(self) -> int:
        return self._size

    def read_at(self, position: int, length: int) -> bytes:
        """Read within one block: 1 to `length` bytes, none at the end. Raises a `SourceError`."""
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
        """Request the first byte again; raises `SourceChangedError` if the source has changed.

        An origin that no longer answers does not count as a change. If the validators differ
        anyway, some blocks that were read are requested again.
        """
        if self._closed:
            return
        try:
            if self._validators_differ:
                self._compare_content()
                return
            answer = self._ask(0, 0)
        except SourceChangedError:
            raise
        except SourceError:
            return
        answer.close()

    def open_spool(self) -> None:
        """Return None: the source itself can be read again."""

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
        with contextlib.closing(Pieces(self._ask, start, last)) as pieces:
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

    def _begin_range(self, start: int, n_bytes: int | None) -> Pieces:
        self._drop_stream()
        end = self._size if n_bytes is None else min(start + n_bytes, self._size)
        is_all = end == self._size
        self._stream = stream = Pieces(self._ask, start, None if is_all else end - 1)
        self._stream_at = start
        self._stream_end = None if is_all else end
        self._range_bytes = None if is_all else n_bytes
        return stream

    def _longer_range(self) -> int | None:
        n_bytes = self._range_bytes
        if n_bytes is None or n_bytes >= _LONGEST_RANGE_BYTES:
            return None
        return n_bytes * _RANGES_GROW

    def _read_block(self, pieces: Pieces, start: int) -> bytes:
        missing = min(_BLOCK_BYTES, self._size - start)
        parts = []
        while missing > 0:
            part = pieces.read(missing)
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _keep(self, start: int, block: bytes) -> bytes:
        if start == 0 and self._head_digest is None:
            self._head_digest = _digest(block)
        self._blocks[start] = block
        while len(self._blocks) > _MAX_BLOCKS:
            self._blocks.popitem(last=False)
        return block

    def _ask(self, start: int, last: int | None) -> Answer:
        """Send a range request; raises `SourceChangedError` unless it is still the same file."""
        etag = None if self._validators_differ else self._validators[0]
        answer = self._ask_anyone(start, last, etag)
        if answer.status == 206 and (
            self._validators_differ or answer.validators() == self._validators
        ):
            return answer
        answer.close()
        # Another file, or another of several servers behind one name: compare the bytes.
        self._compare_content()
        self._validators_differ = True
        return self._ask_anyone(start, last, None)

    def _ask_anyone(self, start: int, last: int | None, etag: str | None) -> Answer:
        """Request bytes of a file of this size, with any validators.

        With an ETag the answer may be the whole of another file (200).
        """
        headers = {"Range": f"bytes={start}-{'' if last is None else last}"}
        if etag is not None:
            headers["If-Range"] = etag
        answer = self._fetcher.get(headers)
        try:
            if answer.status == 200 and etag is not None:
                return answer
            if answer.status != 206 or answer.content_range().size != self._size:
                raise SourceChangedError(f"{answer.host} has changed since it was opened")
            if answer.content_range().start != start:
                raise SourceUnreachableError(
                    f"{answer.host} answered with a different range than requested"
                )
        except SourceError:
            answer.close()
            raise
        return answer

    def _compare_content(self) -> None:
        """Read some blocks again; raises `SourceChangedError` if their bytes differ.

        These are the first block of the file, and the oldest, middle and latest of the cached ones.
        """
        with self._reading:
            kept = [*self._blocks]
            places = {kept[0], kept[len(kept) // 2], kept[-1]} if kept else set()
            known = {start: _digest(self._blocks[start]) for start in places}
        if self._head_digest is not None:
            known[0] = self._head_digest
        if not known:
            raise SourceChangedError("the source has changed since it was opened")
        for start, digest in known.items():
            last = min(start + _BLOCK_BYTES, self._size) - 1
            pieces = Pieces(lambda at, end: self._ask_anyone(at, end, None), start, last)
            with contextlib.closing(pieces):
                if _digest(self._read_block(pieces, start)) != digest:
                    raise SourceChangedError("the source has changed since it was opened")

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def _digest(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=16).digest()
