"""Filter chips: a row of words that can be on or off."""

from collections.abc import Sequence

from textual import events
from textual.message import Message

from console.tui.drawing.styled_text import Line, Span
from console.tui.widgets.canvas import Canvas


class Chips(Canvas):
    """Row of chips. Posts `Clicked`; `show` sets the chips that are on."""

    DEFAULT_CSS = "Chips { height: 1; width: auto; }"

    class Clicked(Message):
        def __init__(self, chips: "Chips", name: str) -> None:
            super().__init__()
            self.chips = chips
            self.name = name

        @property
        def control(self) -> "Chips":
            return self.chips

    def __init__(self, names: Sequence[str], label: str = "", *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._names = tuple(names)
        self._label = label
        self._on: frozenset[str] = frozenset()

    def show(self, on: frozenset[str]) -> None:
        self._on = on
        self.redraw()

    def rename(self, names: Sequence[str]) -> None:
        """Replace the chips; all of them are on."""
        self._names = tuple(names)
        self._on = frozenset(names)
        self.refresh(layout=True)
        self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:  # noqa: ARG002 - one line
        spans: list[Span] = [(self._label, "dim")] if self._label else []
        spans += [(f" {name} ", "accent!" if name in self._on else "dim") for name in self._names]
        return [tuple(spans)]

    def get_content_width(self, *_: object) -> int:
        return len(self._label) + sum(len(name) + 2 for name in self._names)

    def on_click(self, event: events.Click) -> None:
        left = len(self._label)
        for name in self._names:
            right = left + len(name) + 2
            if left <= event.x < right:
                self.post_message(self.Clicked(self, name))
                return
            left = right
