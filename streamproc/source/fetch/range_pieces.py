"""Sequential read of a byte range that a server may split into several responses."""

from collections.abc import Callable
from typing import Final

from streamproc.source.errors import SourceUnreachableError
from streamproc.source.fetch.http_client import Answer

_LEAST_PIECE_BYTES: Final = 16 * 1024
"""Least number of bytes of an answer before another one is requested; a shorter one fails."""


class Pieces:
    """Reads the bytes of a range in order, over as many answers as needed.

    Some servers limit the size of one answer; the next request asks for the rest.
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
            raise SourceUnreachableError(f"{self._answer.host} ended its response early")
        self._at += len(part)
        self._of_this += len(part)
        return part

    def close(self) -> None:
        self._answer.close()
