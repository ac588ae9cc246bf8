"""Trajectories of tracks from a task's log: positions per frame, and the best target. Pure."""

from collections.abc import Iterable

import msgspec

from console.tui.drawing.styled_text import Line
from console.tui.view_models.live_stream import targets_of
from streamproc.contract.chunk import Target, decode_chunk
from streamproc.contract.framing import DONE, Event

MAX_POINTS = 1024
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # braille, by column and row


class TrackPath(msgspec.Struct, frozen=True):
    """Trajectory of one track.

    `points` are (frame, x, y) of the middle of the box's bottom edge in source pixels, in frame
    order. `best` is the first target with the highest confidence, at `best_frame`.
    """

    track_id: int
    points: tuple[tuple[int, int, int], ...]
    best: Target
    best_frame: int


class TrackPaths:
    """Collects the trajectories of one task; long ones keep every 2nd, 4th … point."""

    def __init__(self) -> None:
        self._points: dict[int, list[tuple[int, int, int]]] = {}
        self._every: dict[int, int] = {}
        self._n_seen: dict[int, int] = {}
        self._best: dict[int, tuple[Target, int]] = {}

    def apply(self, events: Iterable[Event]) -> None:
        """Apply events in log order; raises `msgspec.DecodeError` for data that is no chunk."""
        for event in events:
            if event.data == DONE:
                continue
            chunk = decode_chunk(event.data)
            for target in targets_of(chunk):
                if target.track_id:
                    self._see(target, chunk.stream_info.frame_index)

    def trail(self, track_id: int) -> TrackPath | None:
        if track_id not in self._best:
            return None
        best, frame = self._best[track_id]
        return TrackPath(track_id, tuple(self._points[track_id]), best, frame)

    def _see(self, target: Target, frame: int) -> None:
        number, roi = target.track_id, target.roi
        points = self._points.setdefault(number, [])
        every = self._every.setdefault(number, 1)
        n_seen = self._n_seen.get(number, 0)
        self._n_seen[number] = n_seen + 1
        if n_seen % every == 0:
            points.append((frame, roi.left + roi.width // 2, roi.top + roi.height))
            if len(points) > MAX_POINTS:
                del points[1::2]
                self._every[number] = 2 * every
        known = self._best.get(number)
        if known is None or target.confidence > known[0].confidence:
            self._best[number] = (target, frame)


def trajectory_lines(
    trail: TrackPath, width_px: int, height_px: int, cells: int, rows: int, tone: str
) -> list[Line]:
    """Draw the trajectory in braille dots, in a border with the video's aspect ratio.

    `○` is the start, `●` the end. Too little space gives no lines.
    """
    cells, rows = cells - 2, rows - 2
    if cells < 4 or rows < 2:
        return []
    ratio = min(2 * cells / width_px, 4 * rows / height_px)
    dots_x, dots_y = max(2, int(width_px * ratio)), max(4, int(height_px * ratio))
    columns, lines = -(-dots_x // 2), -(-dots_y // 4)
    grid = [[0] * columns for _ in range(lines)]

    def place(x: int, y: int) -> tuple[int, int]:
        return (
            max(0, min(dots_x - 1, int(x * ratio))),
            max(0, min(dots_y - 1, int(y * ratio))),
        )

    path = [place(x, y) for _, x, y in trail.points]
    for start, end in zip(path, path[1:] or path, strict=False):
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for i in range(steps + 1):
            x = start[0] + (end[0] - start[0]) * i // steps
            y = start[1] + (end[1] - start[1]) * i // steps
            grid[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
    marks = {(path[0][0] // 2, path[0][1] // 4): "○", (path[-1][0] // 2, path[-1][1] // 4): "●"}
    left = " " * ((cells - columns) // 2)
    drawn: list[Line] = [((f"{left}╭{'─' * columns}╮", "faint"),)]
    for y, row in enumerate(grid):
        spans: list[tuple[str, str]] = [(f"{left}│", "faint")]
        for x, dots in enumerate(row):
            mark = marks.get((x, y))
            spans.append(
                (mark, f"{tone}!") if mark else (chr(0x2800 + dots) if dots else " ", tone)
            )
        drawn.append((*spans, ("│", "faint")))
    drawn.append(((f"{left}╰{'─' * columns}╯", "faint"),))
    return drawn
