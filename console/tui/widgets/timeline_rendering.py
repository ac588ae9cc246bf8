"""Rendering of the timeline of tracks: pure functions from a snapshot to lines."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from itertools import groupby

from console.tui.drawing.formatting import cut, grouped, media_time, time_of_day
from console.tui.drawing.styled_text import Line, Span, track_tone
from console.tui.view_models.live_stream import LiveSnapshot, TrackLife
from console.tui.view_models.timeline import TimelineWindow, TimeScale

LABEL_CELLS = 15
_TALL = 5
"""Lines from which on the axis has a second line, with times."""
_TALLER = 7
"""Lines from which on it has a third one, with the times of day."""
_TENTHS_MS = 20_000
"""A window that is shorter has tenths of seconds."""


def timeline_lines(
    snapshot: LiveSnapshot,
    window: TimelineWindow,
    marked_frame: int | None,
    width: int,
    height: int,
    time_of: Callable[[int], int],
    wall_of: Callable[[int], datetime | None] = lambda _: None,
) -> list[Line]:
    """Return a timeline of the tracks, oldest on top, with an axis of frames and times.

    If not all have room: those in the shown frame, then those that were seen nearest to it.
    `marked_frame` is the held frame; it is marked with a vertical line. `time_of` returns a frame's
    time in the video in milliseconds; of a live source, its time of capture. Gaps of that are
    marked at the frame after them. `wall_of` returns when a frame's chunk was made, if it is known.
    """
    has_clock = height >= _TALLER and wall_of(snapshot.last_frame) is not None
    n_axes = 3 if has_clock else 2 if height >= _TALL else 1
    rows, cells = height - n_axes, width - LABEL_CELLS
    if not snapshot.tracks or rows < 1 or cells < 4:
        text = "No track yet." if not snapshot.ended else "No track in this video."
        return [((text, "dim"),)]
    scale = window.scale(cells)
    shown_frame = snapshot.last_frame if marked_frame is None else marked_frame
    centre = min(max(shown_frame, scale.left), scale.right)
    tracks = [track for track in snapshot.tracks if _is_in(track, scale)]
    nearest = sorted(tracks, key=lambda track: _distance(track, centre))[:rows]
    marked = None if marked_frame is None else scale.column_of(marked_frame)
    holes = {scale.column_of(hole.frame) for hole in snapshot.capture.holes}
    lines: list[Line] = []
    for track in sorted(nearest, key=lambda track: (track.first_frame, track.track_id)):
        tone = track_tone(track.track_id)
        here = any(start <= shown_frame <= end for start, end in track.spans)
        label = f"#{track.track_id} {track.text or track.class_name}"
        lines.append(
            (
                (f"{cut(label, LABEL_CELLS - 1):<{LABEL_CELLS}}", f"{tone}!" if here else tone),
                *_bar_spans(track, scale, marked, holes, tone),
            )
        )
    lines += [()] * (rows - len(lines))
    zoom = f" x{window.zoom:.0f}" if window.span is not None else ""
    text_of = time_of_day if snapshot.capture.is_live else media_time
    widest = max(
        text_of(time_of(scale.right), tenths=True), "00:00:00.0" if has_clock else "", key=len
    )
    columns = _label_columns(scale, marked_frame, widest)
    lines.append(_axis(f"frame{zoom}", columns, cells, [grouped(f) for _, f, _ in columns]))
    tenths = time_of(scale.right) - time_of(scale.left) < _TENTHS_MS
    if n_axes > 1:
        times = [text_of(time_of(frame), tenths=tenths) for _, frame, _ in columns]
        n_hidden = len(tracks) - len(nearest)
        hidden = f"+{n_hidden} track{'s' * (n_hidden > 1)}"
        lines.append(_axis(hidden if n_hidden else "time", columns, cells, times))
    if has_clock:
        clock = [_time_of_day(wall_of(frame), tenths=tenths) for _, frame, _ in columns]
        lines.append(_axis("clock", columns, cells, clock))
    return lines


def _time_of_day(at: datetime | None, *, tenths: bool) -> str:
    if at is None:
        return ""
    text = f"{at:%H:%M:%S}"
    return f"{text}.{at.microsecond // 100_000}" if tenths else text


def _is_in(track: TrackLife, scale: TimeScale) -> bool:
    return track.first_frame <= scale.right and track.last_frame >= scale.left


def _distance(track: TrackLife, frame: int) -> tuple[int, int, int]:
    """Return the order of a track in the choice: frames to its next sighting, then its newness."""
    away = min(max(start - frame, frame - end, 0) for start, end in track.spans)
    return away, -track.last_frame, -track.n_seen


def _bar_spans(
    track: TrackLife, scale: TimeScale, marked: int | None, holes: Collection[int], tone: str
) -> list[Span]:
    row = ["·" if at % 8 == 0 else " " for at in range(scale.cells)]
    tones = ["faint"] * scale.cells
    for start, end in track.spans:
        first = max(0, scale.column_of(start))
        for at in range(first, min(scale.cells - 1, scale.last_column_of(end)) + 1):
            row[at], tones[at] = "━", tone
    for at in holes:
        if 0 <= at < scale.cells:
            row[at], tones[at] = "╪" if row[at] == "━" else "╎", "bad"
    if marked is not None and 0 <= marked < scale.cells:
        row[marked] = "╋" if row[marked] == "━" else "┃"
        tones[marked] = "warn!"
    return [
        ("".join(mark for mark, _ in cells), name)
        for name, cells in groupby(zip(row, tones, strict=True), key=lambda cell: cell[1])
    ]


def _label_columns(
    scale: TimeScale, marked_frame: int | None, widest: str
) -> list[tuple[int, int, str]]:
    """Return (column, frame, tone) of the axis's labels: the held frame, the ends, and between."""
    most = max(len(grouped(scale.right)), len(widest))
    room = most + most // 2 + 2
    wanted = [(0, scale.left, "dim"), (scale.cells - 1, scale.right, "dim")]
    columns = range(room, scale.cells - room, room)
    wanted += [(column, scale.frame_at(column), "dim") for column in columns]
    if marked_frame is not None and scale.left <= marked_frame <= scale.right:
        wanted.insert(0, (scale.column_of(marked_frame), marked_frame, "warn!"))
    taken: list[tuple[int, int, str]] = []
    for label in wanted:
        if all(abs(label[0] - column) >= room for column, _, _ in taken):
            taken.append(label)
    return sorted(taken)


def _axis(
    name: str, columns: Sequence[tuple[int, int, str]], cells: int, texts: Sequence[str]
) -> Line:
    """Return a line with each text around its column, within the `cells` columns."""
    spans: list[Span] = [(f"{name:<{LABEL_CELLS}}", "dim")]
    end = 0
    for (column, _, tone), text in zip(columns, texts, strict=True):
        start = max(end, min(cells - len(text), column - len(text) // 2))
        spans += [(" " * (start - end), ""), (text, tone)]
        end = start + len(text)
    return tuple(spans)
