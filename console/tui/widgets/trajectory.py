"""Widget with the trajectory of one track."""

from console.tui.drawing.styled_text import Line, track_tone
from console.tui.view_models.trajectories import TrackPath, trajectory_lines
from console.tui.widgets.canvas import Canvas


class Trajectory(Canvas):
    """Draws a trail; `show` sets it, with the source's size in pixels."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._trail: TrackPath | None = None
        self._size_px = (16, 9)

    def show(self, trail: TrackPath | None, size_px: tuple[int, int]) -> None:
        self._trail, self._size_px = trail, size_px
        self.redraw()

    def draw(self, width: int, height: int) -> list[Line]:
        if self._trail is None:
            return []
        return trajectory_lines(
            self._trail, *self._size_px, width, height, track_tone(self._trail.track_id)
        )
