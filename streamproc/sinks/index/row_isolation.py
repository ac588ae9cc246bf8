"""Finding the rows that a store refuses among those that it takes: by halves.

Refused is what the store could not take though it is there: a value that its column cannot hold,
text that cannot be encoded. That a store is away is another error, and passes through.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from streamproc.sinks.errors import RowsRefusedError

MAX_TRIES = 512
"""Inserts for one batch: enough for some thirty bad rows among a hundred thousand."""


class RefusedRow(NamedTuple):
    """A row that is not in its table, and why."""

    row: Any
    reason: str


def insert_isolating(
    rows: Sequence[Any], insert: Callable[[Sequence[Any]], None], max_tries: int = MAX_TRIES
) -> list[RefusedRow]:
    """Insert the rows, and return those that were refused, in order; all others are in.

    `insert` takes all or nothing, and raises `RowsRefusedError`. When `max_tries` inserts were not
    enough, the parts that are left are given up whole.
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
