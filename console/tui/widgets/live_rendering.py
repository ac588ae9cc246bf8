"""Rendering of the Live tab: pure functions from a snapshot to lines and rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from api.contract.resources import TaskResource
from console.tui.drawing.formatting import (
    STATUS_MARKS,
    bar,
    cut,
    duration,
    grouped,
    media_time,
    quantile,
    rate,
    short_id,
    sparkline,
)
from console.tui.drawing.styled_text import Line, Span, track_tone, wrapped
from console.tui.drawing.table_layout import Column, MadeRows, Row
from console.tui.view_models.live_stream import LiveSnapshot, LogLine, TrackLife, time_ms
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
HELD_COLUMNS = tuple(
    column._replace(key="since", title="SINCE") if column.key == "seen" else column
    for column in TARGET_COLUMNS
)
"""With the frame at which a track was first seen: how often it was seen until then is not kept."""
EVENT_COLUMNS = (
    Column("byte", "BYTE", 9, right=True),
    Column("frame", "FRAME", 6, right=True),
    Column("targets", "TGT", 3, right=True),
    Column("size", "SIZE", 6, right=True, rank=4),
    Column("data", "DATA", 8, flex=1, rank=1),
)
_DATA_BYTES = 400


def head_lines(
    view: TaskView | None,
    task_id: str,
    snapshot: LiveSnapshot,
    held: SeekWindow | None,
    note: Span,
    width: int,
    now: datetime,
) -> list[Line]:
    """Return the header: the task with its progress, the position of the view, and the error."""
    task = None if view is None else view.task
    failure = snapshot.error
    if failure is None and task is not None and task.error is not None:
        failure = f"{task.error.message} ({task.error.code})"
    return [
        _task_line(view, task, task_id, snapshot, width, now),
        _place_line(snapshot, held, note),
        *(wrapped(((failure, "bad"),), max(20, width)) if failure else ()),
    ]


def _task_line(
    view: TaskView | None,
    task: TaskResource | None,
    task_id: str,
    snapshot: LiveSnapshot,
    width: int,
    now: datetime,
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
    eta_s = None if view is None else view.eta_s(now)
    if eta_s is not None and not snapshot.ended:
        spans.append((f"  {duration(eta_s)} left", ""))
    if snapshot.processing_ms is not None:
        spans.append((f" in {duration(snapshot.processing_ms / 1000)}", "dim"))
    provider = snapshot.provider or (task.provider if task else None)
    if provider:
        spans.append((f"  {provider}", "dim"))
    return tuple(spans)


def _place_line(snapshot: LiveSnapshot, held: SeekWindow | None, note: Span) -> Line:
    if held is not None:
        behind = snapshot.offset - held.line.end
        where = f" frame {grouped(held.line.frame)}" if held.line.frame is not None else ""
        if held.line.time_ms is not None:
            where += f" {media_time(held.line.time_ms, tenths=True)}"
        spans: list[Span] = [
            ("‖ HELD", "warn!"),
            (f" at byte {grouped(held.line.start)}{where}", "warn"),
            (f"  {grouped(max(0, behind))} bytes behind, l returns", "dim"),
        ]
    elif snapshot.ended:
        tone = "bad" if snapshot.finish == "error" else "good"
        spans = [("■ END", f"{tone}!"), (f" at byte {grouped(snapshot.offset)}", "")]
        spans.append((f"  {snapshot.finish}", "bad" if snapshot.finish == "error" else "dim"))
    elif note[1] != "dim":
        spans = [("▲ LIVE", f"{note[1]}!"), (f" byte {grouped(snapshot.offset)}", "")]
    else:
        spans = [("● LIVE", "good!"), (f" byte {grouped(snapshot.offset)}", "")]
        if snapshot.n_chunks and snapshot.info is not None:
            place = f" frame {grouped(snapshot.last_frame)} {media_time(time_ms(snapshot.info))}"
            spans.append((place, "dim"))
    if note[0]:
        spans += [("  ·  ", "faint"), note]
    return tuple(spans)


def target_rows(
    targets: Sequence[Target], tracks: Iterable[TrackLife], *, is_held: bool
) -> list[Row]:
    """Return the targets' rows, sorted by track, in the order of `TARGET_COLUMNS`.

    `tracks` gives how often each track was seen so far, or, if `is_held`, since which frame.
    """
    seen = {track.track_id: track.first_frame if is_held else track.n_seen for track in tracks}
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
                    ((_number(seen.get(target.track_id)), "dim"),),
                    ((text, "!"),),
                    ((f"{roi.left},{roi.top} {roi.width}x{roi.height}", "dim"),),
                ),
            )
        )
    return rows


def _number(number: int | None) -> str:
    return "" if number is None else grouped(number)


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


class EventRows(MadeRows):
    """Rows of log lines."""

    def __init__(self, lines: Sequence[LogLine]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    def make(self, at: int) -> Row:
        return event_row(self._lines[at])


def figure_lines(
    snapshot: LiveSnapshot, classes_now: dict[str, int], width: int, height: int
) -> list[Line]:
    """Return throughput, gaps between chunks, and counts per class: targets now, all tracks."""
    spark = max(4, width - 26)
    now = snapshot.rates[-1] if snapshot.rates else None
    middle = quantile(snapshot.gaps_ms, 0.5)
    high = quantile(snapshot.gaps_ms, 0.95)
    lines: list[Line] = [
        (
            ("chunks/s ", "dim"),
            (f"{rate(now) if now is not None else '-':>6} ", "!"),
            (f"{sparkline(snapshot.rates, spark):<{spark}}", "info"),
            (f" max {max(snapshot.rates):.0f}" if snapshot.rates else "", "dim"),
        ),
        (
            ("gap, ms  ", "dim"),
            (f"{middle if middle is not None else 0:>6.0f} ", "!"),
            (f"{sparkline(snapshot.gaps_ms, spark):<{spark}}", "accent"),
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
