"""Rendering of the Live tab's header: pure functions from a snapshot to lines."""

from datetime import datetime

from api.contract.tasks import TaskResource
from console.tui.drawing.formatting import (
    STATUS_MARKS,
    bar,
    cut,
    duration,
    grouped,
    media_time,
    short_id,
    time_of_day,
)
from console.tui.drawing.styled_text import Line, Span, wrapped
from console.tui.view_models.live_stream import LiveSnapshot
from console.tui.view_models.log_line import LogLine, time_ms
from console.tui.view_models.seek_window import SeekWindow
from console.tui.view_models.task_list import TaskView
from console.tui.widgets.task_rendering import STATUS_TONES
from streamproc.contract.chunk import StreamInfo


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


def line_time(at_ms: int, line: LogLine) -> str:
    """Return a line's time with tenths: in the video, or of a live source's day."""
    text = time_of_day if line.is_wall else media_time
    return text(at_ms, tenths=True)


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
    spans = _newest_spans(snapshot, note) if held is None else _held_spans(snapshot, held)
    if note[0]:
        spans += [("  ·  ", "faint"), note]
    return tuple(spans)


def _held_spans(snapshot: LiveSnapshot, held: SeekWindow) -> list[Span]:
    line = held.line
    where = f" frame {grouped(line.frame)}" if line.frame is not None else ""
    if line.time_ms is not None:
        where += f" {line_time(line.time_ms, line)}"
    if line.note is not None:
        where += f" {line.note}"
    behind = max(0, snapshot.offset - line.end)
    return [
        ("‖ HELD", "warn!"),
        (f" at byte {grouped(line.start)}{where}", "warn"),
        (f"  {grouped(behind)} bytes behind, l returns", "dim"),
    ]


def _newest_spans(snapshot: LiveSnapshot, note: Span) -> list[Span]:
    byte: Span = (f" byte {grouped(snapshot.offset)}", "")
    loss = snapshot.capture.loss
    if snapshot.ended:
        tone = "bad" if snapshot.finish == "error" else "good"
        spans: list[Span] = [("■ END", f"{tone}!"), (f" at{byte[0]}", "")]
        spans.append((f"  {snapshot.finish}", "bad" if snapshot.finish == "error" else "dim"))
    elif loss is not None:
        spans = [("✖ LOST", "bad!"), byte]
        if loss.at_ms is not None:
            spans.append((f" said at {time_of_day(loss.at_ms)}", "dim"))
    elif note[1] != "dim":
        spans = [("▲ LIVE", f"{note[1]}!"), byte]
    else:
        spans = [("● LIVE", "good!"), byte]
        if snapshot.n_chunks and snapshot.info is not None:
            frame = grouped(snapshot.last_frame)
            spans.append((f" frame {frame} {_newest_time(snapshot, snapshot.info)}", "dim"))
    n_holes = snapshot.capture.n_holes
    if n_holes:
        away = duration(snapshot.capture.away_s)
        spans.append((f"  {grouped(n_holes)} gap{'s' * (n_holes > 1)}, {away}", "warn"))
    return spans


def _newest_time(snapshot: LiveSnapshot, info: StreamInfo) -> str:
    """Return the time of the newest frame; of a live source with its lag."""
    if not snapshot.capture.is_live:
        return media_time(time_ms(info))
    lag = f" lag {snapshot.capture.lags_ms[-1]:.0f} ms" if snapshot.capture.lags_ms else ""
    return f"{time_of_day(time_ms(info), tenths=True)}{lag}"
