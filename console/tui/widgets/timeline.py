"""Timeline of tracks, and throughput figures, of the followed stream."""

from console.tui.drawing.styled_text import Line
from console.tui.view_models.live_stream import LiveSnapshot
from console.tui.widgets.canvas import Canvas
from console.tui.widgets.live_rendering import figure_lines
from console.tui.widgets.timeline_rendering import timeline_lines


class Timeline(Canvas):
    DEFAULT_CSS = "Timeline { padding: 0 1; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._snapshot = LiveSnapshot()
        self._marked: int | None = None

    def show(self, snapshot: LiveSnapshot, marked_frame: int | None) -> None:
        self._snapshot, self._marked = snapshot, marked_frame
        self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:
        return timeline_lines(self._snapshot, self._marked, width, height)


class Figures(Canvas):
    """Widget with throughput, latency and counts per class."""

    DEFAULT_CSS = "Figures { padding: 0 1; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._snapshot = LiveSnapshot()
        self._counts: dict[str, int] = {}

    def show(self, snapshot: LiveSnapshot, classes_now: dict[str, int]) -> None:
        self._snapshot, self._counts = snapshot, classes_now
        self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:
        return figure_lines(self._snapshot, self._counts, width, height)
