"""Rendering of events of several tasks, by time: pure functions from events to rows."""

from collections.abc import Callable, Sequence
from datetime import datetime

from console.tui.drawing.formatting import short_id
from console.tui.drawing.styled_text import track_tone
from console.tui.drawing.table_layout import Column, MadeRows, Row
from console.tui.view_models.merged_log import MergedEvent
from console.tui.widgets.live_rendering import event_row

MERGED_COLUMNS = (
    Column("time", "TIME", 12),
    Column("task", "TASK", 10),
    Column("byte", "BYTE", 9, right=True, rank=3),
    Column("frame", "FRAME", 6, right=True),
    Column("targets", "TGT", 3, right=True),
    Column("size", "SIZE", 6, right=True, rank=4),
    Column("data", "DATA", 8, flex=1, rank=1),
)


class MergedRows(MadeRows):
    """Rows of merged events; `local` returns a moment in the user's time zone."""

    def __init__(self, events: Sequence[MergedEvent], local: Callable[[int], datetime]) -> None:
        self._events = events
        self._local = local

    def __len__(self) -> int:
        return len(self._events)

    def make(self, at: int) -> Row:
        event = self._events[at]
        time = self._local(event.at_ms)
        text = f"{time:%H:%M:%S}.{time.microsecond // 1000:03d}"
        task = f"{event.number} {short_id(event.task_id)}"
        return Row(
            event.key,
            (
                ((text, "info"),),
                ((task, track_tone(event.number)),),
                *event_row(event.line).cells,
            ),
        )
