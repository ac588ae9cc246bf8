"""Timeline of tracks, and throughput figures, of the followed stream."""

from collections.abc import Callable
from datetime import datetime

from textual import events
from textual.message import Message

from console.tui.drawing.styled_text import Line
from console.tui.view_models.live_stream import LiveSnapshot
from console.tui.view_models.timeline import TimelineWindow
from console.tui.widgets.canvas import Canvas
from console.tui.widgets.live_rendering import figure_lines
from console.tui.widgets.timeline_rendering import LABEL_CELLS, timeline_lines


class Timeline(Canvas):
    """Tracks over the video's frames. Click to seek, wheel to scroll, ctrl and wheel to zoom.

    The frames in sight follow the shown one, unless the user scrolled away from the newest.
    """

    DEFAULT_CSS = "Timeline { padding: 0 1; pointer: pointer; }"

    class FrameWanted(Message):
        """The user wants this frame to be held."""

        def __init__(self, frame: int) -> None:
            super().__init__()
            self.frame = frame

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._snapshot = LiveSnapshot()
        self._marked: int | None = None
        self._time_of: Callable[[int], int] = lambda _: 0
        self._wall_of: Callable[[int], datetime | None] = lambda _: None
        self._is_scrolled = False
        self.window = TimelineWindow()

    def start_over(self) -> None:
        """Show the whole of another stream."""
        self.window, self._is_scrolled = TimelineWindow(), False

    def show(
        self,
        snapshot: LiveSnapshot,
        marked_frame: int | None,
        time_of: Callable[[int], int],
        wall_of: Callable[[int], datetime | None],
    ) -> None:
        """Show the stream; `marked_frame` is the held one.

        `time_of` returns a frame's milliseconds in the video, `wall_of` its time of day.
        """
        if marked_frame != self._marked:
            self._is_scrolled = False
        self._snapshot, self._marked = snapshot, marked_frame
        self._time_of, self._wall_of = time_of, wall_of
        window = self.window.grown(snapshot.first_frame, snapshot.last_frame)
        self.window = window if self._is_scrolled else window.following(self._shown_frame)
        self.redraw()

    @property
    def _shown_frame(self) -> int:
        return self._snapshot.last_frame if self._marked is None else self._marked

    def zoom(self, n: int) -> None:
        """Show 2^n times the detail, around the shown frame."""
        around = self._shown_frame
        if self._is_scrolled:
            scale = self.window.scale(1)
            around = scale.left + scale.span // 2
        self.window = self.window.zoomed(n, around)
        self._is_scrolled &= self.window.span is not None
        self.redraw()

    def scroll_parts(self, n: int) -> None:
        """Scroll by `n` quarters of what is in sight."""
        self._is_scrolled = self.window.span is not None
        self.window = self.window.scrolled(n)
        self.redraw()

    def frame_beside(self, frame: int, n_columns: int) -> int:
        """Return the frame that is `n_columns` columns after `frame`, at least that many frames."""
        scale = self.window.scale(self.size.width - LABEL_CELLS)
        step = max(1, scale.span // scale.cells)
        return max(self.window.first, min(self.window.last, frame + n_columns * step))

    def draw(self, width: int, height: int) -> list[Line]:
        return timeline_lines(
            self._snapshot,
            self.window,
            self._marked,
            width,
            height,
            self._time_of,
            self._wall_of,
        )

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None or not self._snapshot.n_chunks:
            return
        scale = self.window.scale(self.size.width - LABEL_CELLS)
        column = at.x - LABEL_CELLS
        if 0 <= column < scale.cells:
            event.stop()
            self.post_message(self.FrameWanted(scale.frame_at(column)))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, -1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, 1)

    def _wheel(self, event: events.MouseEvent, n: int) -> None:
        event.stop()
        if event.ctrl:
            self.zoom(-n)
        else:
            self.scroll_parts(n)


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
