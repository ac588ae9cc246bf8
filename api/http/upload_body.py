"""Streaming parser for uploads: keeps the JSON of a body and decodes its base64 video on the fly.

A body is small except for one string, the video in base64. So everything but the longest string
has to fit into `MAX_JSON_BYTES`, and that string is decoded piece by piece: neither its text nor
a tree of objects is ever held in memory. No clock and no socket (sans-IO): pieces are passed in.
"""

import binascii
import hashlib
import re
import secrets

import msgspec

from api.errors import TooLargeError

MAX_JSON_BYTES = 1024 * 1024
INLINE_BYTES = 64 * 1024  # a shorter string stays in the JSON

# Longer than any text that a request may hold, so it is refused anywhere but in `input[0].data`.
PLACEHOLDER = "video-" + "0" * 16_384 + secrets.token_hex(16)
# The start of the JSON, with sorted keys, of every request with such a video.
SORTED_HEAD = b'{"input":[{"data":"'

_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_LINE_BREAKS = b"\r\n"
_UNICODE_ESCAPE_BYTES = 6


class Upload:
    """The video of a request: its decoded bytes, or the `fault` of its base64 text."""

    def __init__(self, max_bytes: int) -> None:
        self.video = bytearray()
        self.fault: str | None = None
        self._max_bytes = max_bytes
        self._sha = hashlib.sha256(SORTED_HEAD)
        self._begun = self._padded = False
        self._escape = b""
        self._group = b""

    def feed(self, text: bytes) -> None:
        """Decode the next piece of the JSON string; of escapes, only Unicode ones may be split.

        Raises TooLargeError.
        """
        if self.fault is not None:
            return
        text = self._escape + text
        self._escape = b""
        if b"\\" in text:
            text = self._unescaped(text)
        else:
            self._sha.update(text)
        if not self._begun:
            self._begun = True
            text = self._without_prefix(text)
        self._decode(text)

    def finish(self) -> None:
        """End the string; set `fault` if it is incomplete or empty."""
        if self.fault is None and (self._escape or self._group):
            self._spoil("is not base64")
        elif self.fault is None and not self.video:
            self._spoil("is empty")

    def sha256(self, rest: bytes) -> str:
        """Return the SHA-256 (hex) of the request as sorted JSON; `rest` follows the video text."""
        whole = self._sha.copy()
        whole.update(rest)
        return whole.hexdigest()

    def _unescaped(self, text: bytes) -> bytes:
        at = text.rfind(b"\\", max(0, len(text) - _UNICODE_ESCAPE_BYTES + 1))
        if at >= 0 and text[at + 1 : at + 2] == b"u":
            self._escape = text[at:]
            text = text[:at]
        try:
            plain = msgspec.json.decode(b'"%b"' % text, type=str)
            self._sha.update(msgspec.json.encode(plain)[1:-1])
            return plain.encode("ascii").translate(None, _LINE_BREAKS)
        except (msgspec.DecodeError, UnicodeError):
            self._spoil("is not base64")
            return b""

    def _without_prefix(self, text: bytes) -> bytes:
        if not text.startswith(b"data:"):
            return text
        head, _, rest = text.partition(b",")
        if not head.endswith(b";base64"):
            self._spoil("a data: URL must hold base64")
        return rest

    def _decode(self, text: bytes) -> None:
        if self.fault is not None or not text:
            return
        text = self._group + text
        whole = len(text) // 4 * 4
        self._group = text[whole:]
        if not whole:
            return
        if self._padded:
            self._spoil("is not base64")
            return
        try:
            self.video += binascii.a2b_base64(memoryview(text)[:whole], strict_mode=True)
        except (binascii.Error, ValueError):
            self._spoil("is not base64")
            return
        self._padded = text.endswith(b"=", 0, whole)
        if len(self.video) > self._max_bytes:
            raise video_too_large(self._max_bytes)

    def _spoil(self, fault: str) -> None:
        self.fault = fault
        self.video = bytearray()
        self._group = b""


class BodyReader:
    """Parses a body from its pieces; `json` and `upload` are complete after `finish`."""

    def __init__(self, *, max_body_bytes: int, max_upload_bytes: int) -> None:
        self.json = bytearray()
        self.upload: Upload | None = None
        self.read_bytes = 0
        self._max_body_bytes = max_body_bytes
        self._max_upload_bytes = max_upload_bytes
        self._string_at: int | None = None  # where the unfinished string begins in `json`
        self._in_upload = False
        self._backslash = b""

    @property
    def held_bytes(self) -> int:
        """The bytes that this reader has in memory."""
        return len(self.json) + (len(self.upload.video) if self.upload is not None else 0)

    def feed(self, piece: bytes) -> None:
        """Parse the next piece; raises TooLargeError as soon as a limit is exceeded."""
        self.read_bytes += len(piece)
        if self.read_bytes > self._max_body_bytes:
            raise body_too_large(self._max_body_bytes)
        piece = self._backslash + piece
        self._backslash = b""
        at = 0
        while at < len(piece):
            if self._string_at is None and not self._in_upload:
                quote = piece.find(b'"', at)
                end = len(piece) if quote < 0 else quote + 1
                self.json += piece[at:end]
                if quote >= 0:
                    self._string_at = len(self.json)
                at = end
            else:
                at = self._feed_string(piece, at)
            if len(self.json) - len(PLACEHOLDER) * (self.upload is not None) > MAX_JSON_BYTES:
                raise json_too_large()

    def finish(self) -> None:
        """End the body. Invalid JSON is found later, when `json` is decoded."""
        self.json += self._backslash
        if self.upload is not None:
            self.upload.finish()

    def _feed_string(self, piece: bytes, at: int) -> int:
        """Consume the string's part of `piece` from `at` on; return where it ends."""
        match = _STRING.match(piece, at)
        end = match.end() if match else at
        text = piece[at:end]
        if self._in_upload and self.upload is not None:
            self.upload.feed(text)
        else:
            self.json += text
            self._take_out()
        if end == len(piece):
            return end
        if piece[end : end + 1] == b"\\":  # the piece's last byte: the escaped one is still to come
            self._backslash = b"\\"
            return len(piece)
        self.json += b'"'
        self._string_at, self._in_upload = None, False
        return end + 1

    def _take_out(self) -> None:
        """Move the string from the JSON to `upload` once it is long; only one string is moved."""
        begin = self._string_at
        if begin is None or len(self.json) - begin <= INLINE_BYTES or self.upload is not None:
            return
        self.upload = Upload(self._max_upload_bytes)
        self._in_upload = True
        self.upload.feed(bytes(self.json[begin:]))
        self.json[begin:] = PLACEHOLDER.encode()


def body_too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The body is larger than {limit} bytes.", extra={"limit_bytes": limit})


def json_too_large() -> TooLargeError:
    return TooLargeError(
        f"The body has more than {MAX_JSON_BYTES} bytes besides a video in base64.",
        extra={"limit_bytes": MAX_JSON_BYTES},
    )


def video_too_large(limit: int) -> TooLargeError:
    return TooLargeError(
        f"input[0].data: the video is larger than {limit} bytes, the most that a request may carry;"
        " give its URL instead.",
        extra={
            "limit_bytes": limit,
            "errors": [{"field": "input[0].data", "message": f"larger than {limit} bytes"}],
        },
    )
