"""Decoders that say of every wrong input the same thing.

msgspec raises `DecodeError` on what does not fit, but `UnicodeDecodeError` on text that is not
UTF-8, `RecursionError` on what is nested too deep and `OverflowError` on some numbers. A reader
that foresees the first alone dies of the others, so decoders of what others wrote are made here.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
Data = bytes | bytearray | memoryview | str


def json_decoder(into: type[T]) -> Callable[[Data], T]:
    """Return a function from JSON to `into`; it raises `msgspec.DecodeError`, and nothing else."""
    return _foreseen(msgspec.json.Decoder(into).decode)


def msgpack_decoder(into: Any) -> Callable[[Data], Any]:
    """Return a function from msgpack to `into` (a type or a union of types).

    It raises `msgspec.DecodeError`, and nothing else.
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
