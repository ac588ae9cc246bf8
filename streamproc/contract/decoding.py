"""JSON and msgpack decoders that raise the same error on every invalid input.

msgspec raises `DecodeError` on input that does not match the type, but `UnicodeDecodeError` on text
that is not UTF-8, `RecursionError` on input nested too deeply and `OverflowError` on some numbers.
A reader that handles only the first would crash on the others, so all decoders of foreign input are
made here.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
Data = bytes | bytearray | memoryview | str


def json_decoder(into: type[T]) -> Callable[[Data], T]:
    """Return a decoder from JSON to `into`; it raises only `msgspec.DecodeError`."""
    return _foreseen(msgspec.json.Decoder(into).decode)


def msgpack_decoder(into: Any) -> Callable[[Data], Any]:
    """Return a decoder from msgpack to `into` (a type or a union of types).

    It raises only `msgspec.DecodeError`.
    """
    return _foreseen(msgspec.msgpack.Decoder(into).decode)


def _foreseen(decode: Callable[[Any], T]) -> Callable[[Data], T]:
    def decoded(data: Data) -> T:
        try:
            return decode(data)
        except msgspec.DecodeError:
            raise
        except (ValueError, RecursionError, OverflowError, MemoryError) as exc:
            raise msgspec.DecodeError(f"{type(exc).__name__}: {exc}") from exc

    return decoded
