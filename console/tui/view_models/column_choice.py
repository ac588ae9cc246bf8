"""View model of a table's chosen columns: which of them, and in which order. Pure."""

from collections.abc import Sequence

from console.tui.drawing.table_layout import Column, Row


class ColumnChoice:
    """Some of `columns`, by their keys, in the given order; all of them for no names."""

    def __init__(self, columns: Sequence[Column], names: Sequence[str] = ()) -> None:
        """Raises `KeyError` for a name that is no column's key."""
        places = {column.key: at for at, column in enumerate(columns)}
        self.names = tuple(names) or tuple(places)
        self._places = tuple(places[name] for name in self.names)
        self.columns = tuple(columns[at] for at in self._places)

    def of(self, row: Row) -> Row:
        """Return the row with the chosen cells; its cells are those of all columns, or more."""
        return row._replace(cells=tuple(row.cells[at] for at in self._places))
