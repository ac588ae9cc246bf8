"""Isolates the rows that a store refuses, by bisection of the batch.

A row is refused if an available store cannot accept it: a value that its column cannot hold, or
text that cannot be encoded. An unavailable store raises a different error, which is passed on.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from streamproc.sinks.errors import RowsRefusedError

MAX_TRIES = 512
"""Inserts for one batch: enough for about thirty bad rows in a hundred thousand."""


class RefusedRow(NamedTuple):
    """A row that was not stored, and the reason."""

    row: Any
    reason: str


def insert_isolating(
    rows: Sequence[Any], insert: Callable[[Sequence[Any]], None], max_tries: int = MAX_TRIES
) -> list[RefusedRow]:
    """Insert the rows; return the refused ones, in order. All others are stored.

    `insert` is all or nothing, and raises `RowsRefusedError`. If `max_tries` inserts are not
    enough, the remaining parts are given up as a whole.
    """
    refused: list[RefusedRow] = []
    waiting = [rows]
    n_tries = 0
    while waiting:
        part = waiting.pop()
        n_tries += 1
        try:
            insert(part)
        except RowsRefusedError as exc:
            if len(part) > 1 and n_tries < max_tries:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                refused += [RefusedRow(row, str(exc)) for row in part]
    return refused
