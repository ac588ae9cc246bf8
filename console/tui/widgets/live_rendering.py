"""Rendering of the Live tab: pure functions from a snapshot to lines and rows."""

from collections.abc import Iterable, Sequence
from typing import overload

from api.contract.resources import TaskResource
from console.tui.drawing.formatting import (
    STATUS_MARKS,
    bar,
    cut,
    duration,
    grouped,
    quantile,
    rate,
    short_id,
    sparkline,
)
from console.tui.drawing.styled_text import Line, Span, track_tone
from console.tui.drawing.table_layout import Column, Row
from console.tui.view_models.live_stream import LiveSnapshot, LogLine, TrackLife
from console.tui.view_models.seek_window import SeekWindow
from console.tui.view_models.task_list import TaskView
from console.tui.widgets.task_rendering import STATUS_TONES
from streamproc.contract.chunk import Target

TARGET_COLUMNS = (
    Column("track", "TRACK", 5),
    Column("class", "CLASS", 10, flex=2),
    Column("confidence", "CONF", 5, right=True),
    Column("seen", "SEEN", 5, right=True, rank=3),
    Column("text", "TEXT", 6, flex=2, rank=4),
    Column("box", "BOX", 15, rank=5),
)
EVENT_COLUMNS = (
    Column("byte", "BYTE", 9, right=True),
    Column("frame", "FRAME", 6, right=True),
    Column("targets", "TGT", 3, right=True),
    Column("size", "SIZE", 6, right=True, rank=4),
    Column("data", "DATA", 8, flex=1, rank=1),
)
_LABEL_CELLS = 15
_DATA_BYTES = 400


def head_lines(
    view: TaskView | None,
    task_id: str,
    snapshot: LiveSnapshot,
    held: SeekWindow | None,
    note: Span,
    width: int,
) -> list[Line]:
    """Return the two header lines: the task with its progress, and the position of the view."""
    task = None if view is None else view.task
    return [
        _task_line(view, task, task_id, snapshot, width),
        _place_line(snapshot, held, note),
    ]


def _task_line(
    view: TaskView | None,
    task: TaskResource | None,
    task_id: str,
    snapshot: LiveSnapshot,
    width: int,
) -> Line:
    status = "pending" if task is None else task.status
    tone = STATUS_TONES[status]
    shown_id = task_id if width >= 110 else short_id(task_id)
    spans: list[Span] = [(f"{STATUS_MARKS[status]} {status}", f"{tone}!"), (f"  {shown_id}", "dim")]
    if view is not None and view.source:
        spans.append((f"  {cut(view.source, 32)}", "!"))
    expected = None if view is None else view.expected_frames
    n_frames = snapshot.n_chunks
    if expected and status in {"running", "cancelling"}:
        done, rest = bar(n_frames / expected, 16)
        spans += [("  ", ""), (done, tone), (rest, "faint"), (f" {n_frames / expected:4.0%}", "")]
    spans.append((f"  {grouped(n_frames)} frames", "dim"))
    if snapshot.processing_ms is not None:
        spans.append((f" in {duration(snapshot.processing_ms / 1000)}", "dim"))
    provider = snapshot.provider or (task.provider if task else None)
    if provider:
        spans.append((f"  {provider}", "dim"))
    if snapshot.error:
        spans.append((f"  {snapshot.error}", "bad"))
    return tuple(spans)


def _place_line(snapshot: LiveSnapshot, held: SeekWindow | None, note: Span) -> Line:
    if held is not None:
        behind = snapshot.offset - held.line.end
        where = f" frame {grouped(held.line.frame)}" if held.line.frame is not None else ""
        spans: list[Span] = [
            ("‖ HELD", "warn!"),
            (f" at byte {grouped(held.line.start)}{where}", "warn"),
            (f"  {grouped(max(0, behind))} bytes behind, l returns", "dim"),
        ]
    elif snapshot.ended:
        spans = [("■ END", "good!"), (f" at byte {grouped(snapshot.offset)}", "")]
        spans.append((f"  {snapshot.finish}", "bad" if snapshot.finish == "error" else "dim"))
    else:
        spans = [("● LIVE", "good!"), (f" byte {grouped(snapshot.offset)}", "")]
    if note[0]:
        spans += [("  ·  ", "faint"), note]
    return tuple(spans)


def target_rows(targets: Sequence[Target], tracks: Iterable[TrackLife]) -> list[Row]:
    """Return the targets' rows, sorted by track; `tracks` gives how often each track was seen."""
    seen = {track.track_id: track.n_seen for track in tracks}
    rows: list[Row] = []
    for i, target in enumerate(sorted(targets, key=lambda t: (t.track_id == 0, t.track_id))):
        tone = track_tone(target.track_id) if target.track_id else "dim"
        text = target.text if isinstance(target.text, str) else ""
        roi = target.roi
        rows.append(
            Row(
                f"{target.track_id or f'-{i}'}",
                (
                    ((f"#{target.track_id}" if target.track_id else "-", f"{tone}!"),),
                    ((target.class_name, tone),),
                    ((f"{target.confidence:.2f}", ""),),
                    ((str(seen.get(target.track_id, "")), "dim"),),
                    ((text, "!"),),
                    ((f"{roi.left},{roi.top} {roi.width}x{roi.height}", "dim"),),
                ),
            )
        )
    return rows


def event_row(line: LogLine) -> Row:
    """Return the row of one log event; `[DONE]` and the terminal chunk are highlighted."""
    tone = "good" if line.frame is None else "accent" if line.finish else ""
    frame = "end" if line.frame is None else (line.finish and "last") or grouped(line.frame)
    return Row(
        str(line.start),
        (
            ((grouped(line.start), "info"),),
            ((str(frame), tone),),
            ((str(line.n_targets) if line.n_targets else "·", "" if line.n_targets else "faint"),),
            ((f"{line.size_bytes} B", "dim"),),
            _shown_data(line.data),
        ),
    )


def _shown_data(data: bytes) -> Line:
    """Return the event's data from its targets on, the part that differs between events."""
    at = max(0, data.find(b'"targets":'))
    text = data[at : at + _DATA_BYTES].decode("utf-8", "replace")
    return ((("…" if at else ""), "dim"), (text, "dim"))


class EventRows(Sequence[Row]):
    """Lazy sequence of rows: a log line becomes a row when it is accessed."""

    def __init__(self, lines: Sequence[LogLine]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        if isinstance(at, slice):
            return [event_row(line) for line in self._lines[at]]
        return event_row(self._lines[at])


def figure_lines(
    snapshot: LiveSnapshot, classes_now: dict[str, int], width: int, height: int
) -> list[Line]:
    """Return throughput, latency and counts per class: targets now, and all tracks so far."""
    spark = max(4, width - 26)
    now = snapshot.rates[-1] if snapshot.rates else None
    middle = quantile(snapshot.latencies_ms, 0.5)
    high = quantile(snapshot.latencies_ms, 0.95)
    lines: list[Line] = [
        (
            ("chunks/s ", "dim"),
            (f"{rate(now) if now is not None else '-':>6} ", "!"),
            (f"{sparkline(snapshot.rates, spark):<{spark}}", "info"),
            (f" max {max(snapshot.rates):.0f}" if snapshot.rates else "", "dim"),
        ),
        (
            ("ms/frame ", "dim"),
            (f"{middle if middle is not None else 0:>6.0f} ", "!"),
            (f"{sparkline(snapshot.latencies_ms, spark):<{spark}}", "accent"),
            (f" p95 {high:.0f}" if high is not None else "", "dim"),
        ),
    ]
    ever = sorted(snapshot.classes_ever.items(), key=lambda item: (-item[1], item[0]))
    names = [name for name, _ in ever]
    names += [name for name in classes_now if name not in snapshot.classes_ever]
    most = max([*classes_now.values(), 1])
    room = max(0, height - len(lines) - 1)
    if names and room:
        lines.append(())
    for name in names[:room]:
        n_now, n_ever = classes_now.get(name, 0), snapshot.classes_ever.get(name, 0)
        done, _ = bar(n_now / most, max(4, width - 34))
        lines.append(
            (
                (f"{cut(name, 14):<14} ", ""),
                (f"{n_now:>3} ", "!"),
                (f"{done:<{max(4, width - 34)}}", "good"),
                (f" {grouped(n_ever)} tracks", "dim"),
            )
        )
    return lines[:height]


def timeline_lines(
    snapshot: LiveSnapshot, marked_frame: int | None, width: int, height: int
) -> list[Line]:
    """Return a timeline of the tracks seen last, oldest on top, with an axis of frames.

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
    recent = sorted(snapshot.tracks, key=lambda track: (-track.last_frame, -track.n_seen))[:rows]
    lines: list[Line] = []
    for track in sorted(recent, key=lambda track: (track.first_frame, track.track_id)):
        tone = track_tone(track.track_id)
        here = track.last_frame == snapshot.last_frame
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
