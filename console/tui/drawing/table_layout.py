"""Table layout: column widths, header line and row lines. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, overload

from console.tui.drawing.styled_text import Line, Span, fitted

GAP = 2


class Row(NamedTuple):
    """One row; `cells` in the order of the table's columns."""

    key: str
    cells: tuple[Line, ...]
    is_marked: bool = False


class MadeRows(Sequence[Row], ABC):
    """Rows that are made when they are looked at, so that a long list costs what is seen."""

    @abstractmethod
    def make(self, at: int) -> Row:
        """Return the row at an index from 0 on; `IndexError` beyond the end."""

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        if isinstance(at, slice):
            return [self.make(i) for i in range(*at.indices(len(self)))]
        return self.make(at)


class LazyRows(MadeRows):
    """Rows by their keys; a row is made once.

    `keys` are the rows' keys in order; `make_row` returns the row of a key.
    """

    def __init__(self, keys: Sequence[str], make_row: Callable[[str], Row]) -> None:
        self.keys = keys
        self._make_row = make_row
        self._made: dict[str, Row] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def make(self, at: int) -> Row:
        key = self.keys[at]
        row = self._made.get(key)
        if row is None:
            row = self._made[key] = self._make_row(key)
        return row


def row_keys(rows: Sequence[Row]) -> Sequence[str]:
    """Return the keys of all rows, without making any."""
    return rows.keys if isinstance(rows, LazyRows) else [row.key for row in rows]


class Column(NamedTuple):
    """A column. `flex`: share of spare width. In a narrow table, high `rank` is hidden first."""

    key: str
    title: str
    width: int
    flex: int = 0
    right: bool = False
    rank: int = 0


def fit(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """Return (index in `columns`, cells) of the visible columns, which fit `width` with gaps.

    Columns of rank 0, and the last column, are never hidden, even if they do not fit.
    """
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


def title_line(columns: Sequence[Column], width: int, sorted_by: tuple[str, bool] | None) -> Line:
    """Return the header line; `sorted_by` (column, descending) adds a sort mark."""
    spans: list[Span] = []
    for place, cell_width in fit(columns, width):
        column = columns[place]
        mark = ""
        if sorted_by and sorted_by[0] == column.key:
            mark = "▲" if sorted_by[1] else "▼"
        if spans:
            spans.append((" " * GAP, ""))
        tone = "accent!" if mark else "dim!"
        spans += fitted(((f"{column.title}{mark}", tone),), cell_width, right=column.right)
    return tuple(spans)


def row_line(columns: Sequence[Column], width: int, row: Row) -> Line:
    """Return the row's line, each cell truncated or padded to its column."""
    spans: list[Span] = []
    for place, cell_width in fit(columns, width):
        if spans:
            spans.append((" " * GAP, ""))
        spans += fitted(row.cells[place], cell_width, right=columns[place].right)
    return tuple(spans)


def column_at(columns: Sequence[Column], width: int, x: int) -> str | None:
    """Return the key of the column that is drawn at cell `x`; None if there is none."""
    left = 0
    for place, cell_width in fit(columns, width):
        if left <= x < left + cell_width + GAP:
            return columns[place].key
        left += cell_width + GAP
    return None


def _needed(columns: Sequence[Column], shown: Sequence[int]) -> int:
    return sum(columns[i].width for i in shown) + GAP * (len(shown) - 1)
