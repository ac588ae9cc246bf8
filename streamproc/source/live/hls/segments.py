"""Segments of HTTP Live Streaming as bytes: ranges, AES-128, and the header of fragmented MP4."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from streamproc.source.errors import (
    SourceEncryptedError,
    SourceStatusError,
    SourceTooLargeError,
    SourceUnreachableError,
)
from streamproc.source.fetch.http_client import Answer
from streamproc.source.live.hls.playlist import MAX_SEGMENT_BYTES, Key, Part, Segment

MAX_HEADER_BYTES: Final = 4 << 20
_KEY_BYTES: Final = 16
_BLOCK_BITS: Final = 128
_READ_BYTES: Final = 256 * 1024
_KEPT: Final = 4

Name = TypeVar("Name", str, Part)
Get = Callable[[str, dict[str, str]], Answer]


class Segments:
    """Fetches parts by `get(url, headers)`; keeps the last keys and headers."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self._keys: OrderedDict[str, bytes] = OrderedDict()
        self._headers: OrderedDict[Part, bytes] = OrderedDict()

    def media(self, segment: Segment) -> bytes:
        """Return the segment's bytes, decrypted. Raises a `SourceError`."""
        data = self._bytes(segment.part, MAX_SEGMENT_BYTES)
        return data if segment.key is None else self._opened(data, segment.key, segment.sequence)

    def header(self, part: Part) -> bytes:
        """Return the header (`EXT-X-MAP`), which is the same for many segments."""
        if part not in self._headers:
            _keep(self._headers, part, self._bytes(part, MAX_HEADER_BYTES))
        return self._headers[part]

    def _bytes(self, part: Part, most: int) -> bytes:
        headers = {}
        if part.byte_range is not None:
            start, length = part.byte_range
            headers["Range"] = f"bytes={start}-{start + length - 1}"
        answer = self._get(part.url, headers)
        try:
            self._check(answer, part)
            pieces, n_bytes = [], 0
            while data := answer.read(_READ_BYTES):
                pieces.append(data)
                n_bytes += len(data)
                if n_bytes > most:
                    raise SourceTooLargeError(f"{answer.host} sent a segment of over {most} bytes")
            announced = answer.length()
            if announced is not None and n_bytes < announced:
                raise SourceUnreachableError(f"{answer.host} cut a segment")
        finally:
            answer.close()
        return b"".join(pieces)

    def _check(self, answer: Answer, part: Part) -> None:
        if answer.status not in {200, 206}:
            raise SourceStatusError(
                f"{answer.host} answered with status {answer.status}", answer.status
            )
        if part.byte_range is None:
            return
        if answer.status != 206 or answer.content_range().start != part.byte_range.start:
            raise SourceStatusError(f"{answer.host} does not answer with the range of a segment")

    def _opened(self, data: bytes, key: Key, sequence: int) -> bytes:
        if key.method != "AES-128" or key.url is None:
            raise SourceEncryptedError("only AES-128 is supported of HLS encryption")
        iv = sequence.to_bytes(16, "big") if key.iv is None else key.iv
        decryptor = Cipher(algorithms.AES(self._key(key.url)), modes.CBC(iv)).decryptor()
        unpadder = padding.PKCS7(_BLOCK_BITS).unpadder()
        try:
            plain = decryptor.update(data) + decryptor.finalize()
            return unpadder.update(plain) + unpadder.finalize()
        except ValueError as exc:
            raise SourceEncryptedError("a segment cannot be decrypted with its key") from exc

    def _key(self, url: str) -> bytes:
        if url not in self._keys:
            key = self._bytes(Part(url, None), _KEY_BYTES)
            if len(key) != _KEY_BYTES:
                raise SourceEncryptedError("the playlist's key has not 16 bytes")
            _keep(self._keys, url, key)
        return self._keys[url]


def _keep(kept: OrderedDict[Name, bytes], name: Name, data: bytes) -> None:
    kept[name] = data
    while len(kept) > _KEPT:
        kept.popitem(last=False)
