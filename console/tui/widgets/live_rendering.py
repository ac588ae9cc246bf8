"""Rendering of the Live tab: pure functions from a snapshot to lines and rows."""

from collections.abc import Iterable, Sequence

from console.tui.drawing.formatting import (
    bar,
    cut,
    grouped,
    quantile,
    rate,
    sparkline,
)
from console.tui.drawing.styled_text import Line, track_tone
from console.tui.drawing.table_layout import Column, MadeRows, Row
from console.tui.view_models.live_stream import LiveSnapshot, TrackLife
from console.tui.view_models.log_line import LogLine
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
    """Return the row of one log event; `[DONE]` and the terminal chunk are highlighted.

    So are the notices of a live source, and its frames after a gap.
    """
    if line.note is not None and not line.finish:
        return _noted_row(line, line.note)
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


def _noted_row(line: LogLine, note: str) -> Row:
    is_notice = line.time_ms is None
    tone = "bad" if is_notice else "warn"
    data = ((note, tone),) if is_notice else ((f"{note} ", tone), *_shown_data(line.data))
    frame = "lost" if is_notice else grouped(line.frame or 0)
    cells = (((grouped(line.start), "info"),), ((frame, tone),))
    targets = (str(line.n_targets) if line.n_targets else "·", "" if line.n_targets else "faint")
    return Row(str(line.start), (*cells, (targets,), ((f"{line.size_bytes} B", "dim"),), data))


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
    """Return throughput, gaps between chunks, and counts per class: targets now, all tracks.

    A live source has its lag, too: from a frame's capture to its chunk.
    """
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
    lags_ms = snapshot.capture.lags_ms
    if lags_ms:
        lines.append(
            (
                ("lag, ms  ", "dim"),
                (f"{lags_ms[-1]:>6.0f} ", "!"),
                (f"{sparkline(lags_ms, spark):<{spark}}", "warn"),
                (f" p95 {quantile(lags_ms, 0.95):.0f}", "dim"),
            )
        )
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
