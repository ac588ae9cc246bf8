"""AMF 0: the values of RTMP commands (Adobe, "Action Message Format -- AMF 0")."""

import struct
from collections.abc import Mapping, Sequence
from typing import Final

MAX_VALUES: Final = 1000
MAX_DEPTH: Final = 8
_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL = 0, 1, 2, 3, 5
_OBJECT_END: Final = b"\0\0\x09"

Sent = float | bool | str | Mapping[str, float | bool | str] | None
Value = float | bool | str | dict[str, "Value"] | list["Value"] | None


def encode(values: Sequence[Sent]) -> bytes:
    """Return the values one after the other. Strings have at most 65,535 bytes."""
    return b"".join(_encoded(value) for value in values)


def decode(data: bytes) -> list[Value]:
    """Return the values. Raises `ValueError` for what is malformed, too deep or too much."""
    reader = _Reader(data)
    values: list[Value] = []
    while reader.has_more:
        values.append(reader.value(0))
    return values


def _encoded(value: Sent) -> bytes:
    if value is None:
        return bytes([_NULL])
    if isinstance(value, bool):
        return bytes([_BOOLEAN, value])
    if isinstance(value, float | int):
        return bytes([_NUMBER]) + struct.pack(">d", value)
    if isinstance(value, str):
        return bytes([_STRING]) + _text(value)
    fields = b"".join(_text(name) + _encoded(field) for name, field in value.items())
    return bytes([_OBJECT]) + fields + _OBJECT_END


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._n_values = 0

    @property
    def has_more(self) -> bool:
        return self._at < len(self._data)

    def value(self, depth: int) -> Value:  # noqa: C901 - a case for each type
        self._n_values += 1
        if depth > MAX_DEPTH or self._n_values > MAX_VALUES:
            raise ValueError("values that are nested too deeply, or too many")
        kind = self._take(1)[0]
        match kind:
            case 0:
                return self._number()
            case 1:
                return self._take(1) != b"\0"
            case 2:
                return self._string(2)
            case 3:
                return self._fields(depth)
            case 5 | 6:
                return None
            case 8:
                self._take(4)
                return self._fields(depth)
            case 10:
                count = int.from_bytes(self._take(4), "big")
                if count > MAX_VALUES:
                    raise ValueError("a list that is too long")
                return [self.value(depth + 1) for _ in range(count)]
            case 11:
                number = self._number()
                self._take(2)
                return number
            case 12:
                return self._string(4)
            case _:
                raise ValueError("a value of an unknown type")

    def _fields(self, depth: int) -> dict[str, Value]:
        fields: dict[str, Value] = {}
        while self._data[self._at : self._at + 3] != _OBJECT_END:
            name = self._string(2)
            fields[name] = self.value(depth + 1)
        self._at += len(_OBJECT_END)
        return fields

    def _number(self) -> float:
        number: float = struct.unpack(">d", self._take(8))[0]
        return number

    def _string(self, length_bytes: int) -> str:
        length = int.from_bytes(self._take(length_bytes), "big")
        return self._take(length).decode("utf-8", "replace")

    def _take(self, n_bytes: int) -> bytes:
        taken = self._data[self._at : self._at + n_bytes]
        if len(taken) < n_bytes:
            raise ValueError("values that end early")
        self._at += n_bytes
        return taken
