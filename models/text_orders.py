"""Messages between an api process and its text encoder process: one JSON line each."""

from typing import Literal

import msgspec


class TextOrder(msgspec.Struct, frozen=True):
    """A text, and the `name@version` of the text encoder whose vector of it is wanted."""

    encoder: str
    text: str


class TextAnswer(msgspec.Struct, frozen=True):
    """The vector: little-endian float32, of length 1; or why there is none.

    `unusable`: the text has none; `failed`: the encoder cannot be used.
    """

    vector: bytes = b""
    error: Literal["unusable", "failed"] | None = None
    message: str = ""
