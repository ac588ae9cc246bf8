"""A temporary SQLite database: where `reindex` and `verify` keep what memory should not hold."""

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from streamproc.sinks.errors import ScratchFileError

_NOT_DURABLE = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF")


class ScratchFile:
    """A private database, in memory while it is small, else in `TMPDIR`; deleted when closed.

    Every failure becomes `ScratchFileError`.
    """

    def __init__(self, *statements: str) -> None:
        try:
            self._db = sqlite3.connect("", isolation_level=None)
            for statement in (*_NOT_DURABLE, *statements):
                self._db.execute(statement)
        except sqlite3.Error as exc:
            raise ScratchFileError(str(exc)) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def write(self, sql: str, rows: Iterable[tuple[object, ...]]) -> int:
        """Run the statement for each of the rows; return how many rows of the file it changed."""
        try:
            return self._db.executemany(sql, rows).rowcount
        except sqlite3.Error as exc:
            raise ScratchFileError(str(exc)) from exc

    def pages(
        self, sql: str, values: Iterable[object] = (), *, n_at_once: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the result in lists of so many rows."""
        try:
            cursor = self._db.execute(sql, tuple(values))
            while found := cursor.fetchmany(n_at_once):
                yield found
        except sqlite3.Error as exc:
            raise ScratchFileError(str(exc)) from exc
