"""Curves over the last hour, as high as there is room."""

from collections.abc import Callable, Sequence

from api.contract.system import SystemHistory
from console.tui.drawing.styled_text import Line
from console.tui.view_models.worker_history import Curve, curve_lines
from console.tui.widgets.canvas import Canvas

Pick = Callable[[SystemHistory, int], Sequence[Curve]]


class Curves(Canvas):
    """Curves that `pick` chooses of a history, for a height in lines."""

    DEFAULT_CSS = "Curves { height: 1fr; width: 1fr; }"

    def __init__(self, pick: Pick, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._pick = pick
        self._history: SystemHistory | None = None
        self._why = "reading …"

    def show(self, history: SystemHistory | None, why: str = "") -> None:
        """Show a history; None: none was read, for the reason `why`, and an earlier one stays."""
        self._history, self._why = history or self._history, why
        self.redraw()

    def draw(self, width: int, height: int) -> Sequence[Line]:
        if self._history is None:
            return [((self._why, "dim"),)]
        return curve_lines(self._pick(self._history, height), width, height)
