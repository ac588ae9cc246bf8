"""Search in the loaded lines of a task's log. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from console.tui.view_models.log_line import LogLine


class Match(NamedTuple):
    """Match `number` (from 1) of `n_found`, at index `at` of the searched lines."""

    at: int
    number: int
    n_found: int


def find_match(lines: Sequence[LogLine], text: str, cursor: int, n: int) -> Match | None:
    """Return the `n`-th match after the line at `cursor`, before it if `n` is negative.

    Case is ignored. After the last match comes the first one. None if no line has the text.
    """
    needle = text.casefold()
    found = [i for i, line in enumerate(lines) if needle in _text(line)]
    if not found:
        return None
    if n > 0:
        first = next((at for at, i in enumerate(found) if i > cursor), len(found))
        place = first + n - 1
    else:
        last = sum(i < cursor for i in found)
        place = last + n
    at = found[place % len(found)]
    return Match(at, place % len(found) + 1, len(found))


def _text(line: LogLine) -> str:
    return line.data.decode("utf-8", "replace").casefold()
