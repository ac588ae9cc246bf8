"""How wide a table's columns are. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

GAP = 2


class Column(NamedTuple):
    """`flex` shares out what is left over; columns of a high `rank` go first when it is narrow."""

    key: str
    title: str
    width: int
    flex: int = 0
    right: bool = False
    rank: int = 0


def fit(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """Return (place in `columns`, cells) of the shown ones; they and their gaps fit `width`."""
    shown = list(range(len(columns)))
    while len(shown) > 1 and _needed(columns, shown) > width:
        worst = max(shown, key=lambda i: (columns[i].rank, i))
        if columns[worst].rank == 0:
            break
        shown.remove(worst)
    left = width - _needed(columns, shown)
    total_flex = sum(columns[i].flex for i in shown)
    widths: list[tuple[int, int]] = []
    for i in shown:
        extra = left * columns[i].flex // total_flex if total_flex and left > 0 else 0
        widths.append((i, columns[i].width + extra))
    return widths


def _needed(columns: Sequence[Column], shown: Sequence[int]) -> int:
    return sum(columns[i].width for i in shown) + GAP * (len(shown) - 1)
