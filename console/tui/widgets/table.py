"""Virtualised table: draws only visible rows, and fits its columns to the width."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.tui.drawing.styled_text import Line
from console.tui.drawing.table_layout import Column, Row, column_at, row_keys, row_line, title_line
from console.tui.keys import LISTS, bindings
from console.tui.widgets.canvas import ink_of

MARK = "▌"


class _ListingMessage(Message):
    """A message of a list, which is its `control`: handlers may name the list."""

    def __init__(self, listing: "Listing") -> None:
        super().__init__()
        self.listing = listing

    @property
    def control(self) -> "Listing":
        return self.listing


class Listing(ScrollView, can_focus=True):
    """Table with a cursor. `show` replaces the rows; the cursor stays at its row's key."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "listing--header",
        "listing--cursor",
        "listing--cursor-blurred",
        "listing--hover",
        "listing--marked",
    }
    DEFAULT_CSS = """
    Listing {
        height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; overflow-x: hidden;
        &.-marks { padding: 0 1 0 0; }
        & > .listing--header { background: $panel; text-style: bold; }
        & > .listing--cursor { background: $primary 30%; }
        & > .listing--cursor-blurred { background: $primary 13%; }
        & > .listing--hover { background: $foreground 5%; }
        & > .listing--marked { background: $accent 14%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = list(bindings(LISTS))

    cursor: reactive[int] = reactive(0, repaint=False)
    hovered: reactive[int] = reactive(-1, repaint=False)

    class Moved(_ListingMessage):
        """The key at the cursor has changed: the cursor or the rows moved.

        `by_person`: the user moved the cursor.
        """

        def __init__(self, listing: "Listing", key: str | None, *, by_person: bool) -> None:
            super().__init__(listing)
            self.key = key
            self.by_person = by_person

    class Chosen(_ListingMessage):
        """A row was chosen, by Enter or a double click."""

        def __init__(self, listing: "Listing", key: str) -> None:
            super().__init__(listing)
            self.key = key

    class MarkClicked(_ListingMessage):
        """A row was clicked where its mark is, or with ctrl."""

        def __init__(self, listing: "Listing", key: str) -> None:
            super().__init__(listing)
            self.key = key

    class NearEnd(_ListingMessage):
        """The last rows are visible, or the cursor is near them."""

    class EndWanted(_ListingMessage):
        """The user went to the last row with a key; there may be more rows than are loaded."""

    class TitleClicked(_ListingMessage):
        """A column's title was clicked."""

        def __init__(self, listing: "Listing", column: str) -> None:
            super().__init__(listing)
            self.column = column

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        empty: str = "",
        with_marks: bool = False,
        id: str | None = None,  # noqa: A002 - Textual's name
        classes: str | None = None,
    ) -> None:
        """`with_marks`: rows can be marked, and the first cell of each is for that."""
        super().__init__(id=id, classes=classes)
        self._gutter = 1 if with_marks else 0
        self.set_class(with_marks, "-marks")
        self._columns = tuple(columns)
        self.empty = empty
        self._rows: Sequence[Row] = ()
        self._by_person = False
        self._placed_by_person = False
        self._sorted_by: tuple[str, bool] | None = None
        self._told: str | None = None
        self._base: Style | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        return self._columns

    @columns.setter
    def columns(self, columns: Sequence[Column]) -> None:
        if tuple(columns) != self._columns:
            self._columns = tuple(columns)
            self.refresh()

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows

    @property
    def key(self) -> str | None:
        """The key of the cursor's row; None without rows."""
        return self._rows[self.cursor].key if self._rows else None

    @property
    def in_sight(self) -> Sequence[str]:
        """The keys of the visible rows."""
        top = self.scroll_offset.y
        return row_keys(self._rows)[top : top + max(0, self.size.height - 1)]

    @property
    def key_of_person(self) -> str | None:
        """The key of the cursor's row if the user moved the cursor there, and not `show`."""
        return self.key if self._placed_by_person else None

    def show(
        self,
        rows: Sequence[Row],
        *,
        sorted_by: tuple[str, bool] | None = None,
        at: int | None = None,
    ) -> None:
        """Replace the rows; the sequence may be lazy.

        `sorted_by` is (column, descending), for the mark in the header. The cursor stays at its
        row's key; with `at`, it moves to that index (-1: the last).
        """
        held, old, before = self.key, self._rows, (self.cursor, self._sorted_by, self.scroll_y)
        self._rows = rows
        self._sorted_by = sorted_by
        self._measure()
        place = self._place(held) if at is None else at % max(1, len(rows))
        moved = place != self.cursor
        self.set_reactive(Listing.cursor, place)
        if at is not None:
            self._placed_by_person = False
            if moved:
                self._reveal()
        if old and rows and before == (self.cursor, sorted_by, self.scroll_y):
            self._refresh_changed(old)
        else:
            self.refresh()
        self._tell()

    def move_to(self, key: str) -> bool:
        """Move the cursor to the row with `key` on behalf of the user; False if there is none."""
        keys = row_keys(self._rows)
        if key not in keys:
            return False
        self._go(keys.index(key))
        return True

    def say_empty(self, text: str) -> None:
        """Set the text that is shown while there are no rows."""
        if text != self.empty:
            self.empty = text
            self.refresh()

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self._rows) - 1))

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """Place the scrollbar: Textual does not when the rows were scrolled before it appeared."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def watch_cursor(self, old: int, new: int) -> None:
        if not self.is_mounted:
            return
        self.scroll_to_region(Region(0, self.cursor, 1, 2), animate=False, force=True, x_axis=False)
        self._repaint((old, new))
        self._tell()

    def watch_hovered(self, old: int, new: int) -> None:
        self._repaint((old, new))

    def action_move(self, n: int) -> None:
        self._go(self.cursor + n)

    def action_page(self, n: int) -> None:
        self._go(self.cursor + n * max(1, self.size.height - 2))

    def action_edge(self, n: int) -> None:
        if n > 0:
            self.post_message(self.EndWanted(self))
        self._go(0 if n < 0 else len(self._rows) - 1)

    def action_choose(self) -> None:
        if self._rows:
            self.post_message(self.Chosen(self, self._rows[self.cursor].key))

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        if at.y == 0:
            width = self.scrollable_content_region.width - self._gutter
            column = column_at(self.columns, width, at.x - self._gutter)
            if column is not None:
                self.post_message(self.TitleClicked(self, column))
            return
        row = at.y - 1 + self.scroll_offset.y
        if row < len(self._rows):
            same = row == self.cursor
            self._go(row)
            if self._gutter and (at.x < self._gutter or event.ctrl):
                self.post_message(self.MarkClicked(self, self._rows[row].key))
            elif same and event.chain > 1:
                self.action_choose()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self.hovered = event.y - 1 + self.scroll_offset.y if event.y else -1

    def on_leave(self) -> None:
        self.hovered = -1

    def on_resize(self) -> None:
        self._measure()

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        if new + self.size.height >= len(self._rows) - 3 and self._rows:
            self.post_message(self.NearEnd(self))

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        ink = ink_of(self)
        gutter: Line = ((" " * self._gutter, ""),)
        if y == 0:
            titles = gutter + title_line(self.columns, width - self._gutter, self._sorted_by)
            return ink.strip(titles, width, self.get_component_rich_style("listing--header"))
        at = y - 1 + self.scroll_offset.y
        if at >= len(self._rows):
            line: Line = ()
            if not self._rows and y == max(1, self.size.height // 3):
                line = (
                    (" " * max(0, (width - len(self.empty)) // 2), ""),
                    (self.empty, "dim"),
                )
            return ink.strip(line, width, self._base_style())
        base = self._base_style()
        row = self._rows[at]
        if row.is_marked:
            gutter = ((MARK, "accent!"),)
            base += self.get_component_rich_style("listing--marked")
        if at == self.cursor:
            name = "listing--cursor" if self.has_focus else "listing--cursor-blurred"
            base += self.get_component_rich_style(name)
        elif at == self.hovered:
            base += self.get_component_rich_style("listing--hover")
        cells = row_line(self.columns, width - self._gutter, row)
        return ink.strip(gutter + cells, width, base)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._base = None

    def _base_style(self) -> Style:
        """Return the background's style, cached, because Textual computes it at every access."""
        if self._base is None:
            self._base = self.rich_style
        return self._base

    def _measure(self) -> None:
        """Set the virtual height. A change causes a new layout; rows that fit cause none."""
        height = max(len(self._rows) + 1, self.size.height)
        self.virtual_size = Size(self.size.width, height)

    def _refresh_changed(self, old: Sequence[Row]) -> None:
        """Repaint the visible rows that differ from `old`."""
        top = self.scroll_offset.y
        in_sight = range(top, min(max(len(old), len(self._rows)), top + self.size.height - 1))
        self._repaint([at for at in in_sight if old[at : at + 1] != self._rows[at : at + 1]])

    def _repaint(self, rows: Iterable[int]) -> None:
        """Repaint those of the rows that are visible; a scroll repaints all by itself."""
        top, width = self.scroll_offset.y, self.size.width
        lines = [at - top + 1 for at in rows]
        regions = [Region(0, y, width, 1) for y in lines if 0 < y < self.size.height]
        if regions:
            self.refresh(*regions)

    def _go(self, place: int) -> None:
        """Move the cursor on behalf of the user."""
        before, self._by_person = self.cursor, True
        self.cursor = place
        self._placed_by_person |= self.cursor != before
        self._by_person = False

    def _place(self, key: str | None) -> int:
        """Return the index of the row with `key`, else the cursor's index, clamped to the rows."""
        at = min(self.cursor, len(self._rows) - 1)
        if at < 0 or key is None or self._rows[at].key == key:
            return max(0, at)
        return next((i for i, one in enumerate(row_keys(self._rows)) if one == key), at)

    def _reveal(self) -> None:
        """Scroll to the cursor's row, as little as needed; the header covers the first line."""
        self.scroll_to_region(
            Region(0, self.cursor, 1, 2), animate=False, force=True, immediate=True, x_axis=False
        )

    def _tell(self) -> None:
        key = self.key
        if key != self._told:
            self._told = key
            self.post_message(self.Moved(self, key, by_person=self._by_person))
        if self._rows and self.cursor >= len(self._rows) - 3:
            self.post_message(self.NearEnd(self))
