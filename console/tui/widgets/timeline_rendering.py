"""Rendering of the timeline of tracks: pure functions from a snapshot to lines."""

from console.tui.drawing.formatting import cut, grouped
from console.tui.drawing.styled_text import Line, Span, track_tone
from console.tui.view_models.live_stream import LiveSnapshot, TrackLife

_LABEL_CELLS = 15


def timeline_lines(
    snapshot: LiveSnapshot, marked_frame: int | None, width: int, height: int
) -> list[Line]:
    """Return a timeline of the tracks, oldest on top, with an axis of frames.

    If not all have room: those in the shown frame, then those that were seen nearest to it.
    `marked_frame` is the held frame; it is marked with a vertical line.
    """
    rows = height - 1
    cells = width - _LABEL_CELLS
    if not snapshot.tracks or rows < 1 or cells < 4:
        text = "No track yet." if not snapshot.ended else "No track in this video."
        return [((text, "dim"),)]
    last = max(snapshot.last_frame, snapshot.first_frame + 1)
    first = snapshot.first_frame
    marked = None if marked_frame is None else _cell(marked_frame, first, last, cells)
    shown_frame = snapshot.last_frame if marked_frame is None else marked_frame
    nearest = sorted(snapshot.tracks, key=lambda track: _distance(track, shown_frame))[:rows]
    lines: list[Line] = []
    for track in sorted(nearest, key=lambda track: (track.first_frame, track.track_id)):
        tone = track_tone(track.track_id)
        here = any(start <= shown_frame <= end for start, end in track.spans)
        label = f"#{track.track_id} {track.text or track.class_name}"
        label_tone = f"{tone}!" if here else tone
        lines.append(
            (
                (f"{cut(label, _LABEL_CELLS - 1):<{_LABEL_CELLS}}", label_tone),
                *_bar_spans(track, first, last, cells, marked, tone),
            )
        )
    lines += [()] * (rows - len(lines))
    lines.append(_axis(first, last, cells, marked, marked_frame))
    return lines


def _distance(track: TrackLife, frame: int) -> tuple[int, int, int]:
    """Return the order of a track in the choice: frames to its next sighting, then its newness."""
    away = min(max(start - frame, frame - end, 0) for start, end in track.spans)
    return away, -track.last_frame, -track.n_seen


def _bar_spans(
    track: TrackLife, first: int, last: int, cells: int, marked: int | None, tone: str
) -> list[Span]:
    row = [" "] * cells
    for start, end in track.spans:
        for at in range(_cell(start, first, last, cells), _cell(end, first, last, cells) + 1):
            row[at] = "━"
    spans: list[Span] = []
    for at, mark in enumerate(row):
        if at == marked:
            spans.append(("┃" if mark == " " else "╋", "warn!"))
        elif spans and spans[-1][1] == (tone if mark == "━" else "faint"):
            spans[-1] = (
                spans[-1][0] + (mark if mark == "━" else "·" if at % 8 == 0 else " "),
                spans[-1][1],
            )
        else:
            spans.append(
                (
                    mark if mark == "━" else "·" if at % 8 == 0 else " ",
                    tone if mark == "━" else "faint",
                )
            )
    return spans


def _axis(first: int, last: int, cells: int, marked: int | None, marked_frame: int | None) -> Line:
    left, right = grouped(first), grouped(last)
    middle = cells - len(left) - len(right)
    if marked is None or marked_frame is None or middle < 12:
        return (
            (f"{'frame':<{_LABEL_CELLS}}", "dim"),
            (left, "dim"),
            (" " * max(1, middle), ""),
            (right, "dim"),
        )
    text = grouped(marked_frame)
    at = max(1, min(middle - len(text) - 1, marked - len(left) - len(text) // 2))
    return (
        (f"{'frame':<{_LABEL_CELLS}}", "dim"),
        (left, "dim"),
        (" " * at, ""),
        (text, "warn!"),
        (" " * (middle - at - len(text)), ""),
        (right, "dim"),
    )


def _cell(frame: int, first: int, last: int, cells: int) -> int:
    return max(0, min(cells - 1, (frame - first) * cells // (last - first + 1)))
