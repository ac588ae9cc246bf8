"""Why nothing comes of a followed stream: its source is lost, or it is stalled. Pure."""

from console.client.log_stream import is_final
from console.tui.drawing.formatting import quantile
from console.tui.drawing.styled_text import Span
from console.tui.view_models.connection import ConnectionState
from console.tui.view_models.health import Health, stall
from console.tui.view_models.live_stream import LiveSnapshot
from console.tui.view_models.task_list import TaskView


def stream_stall(
    snapshot: LiveSnapshot,
    view: TaskView | None,
    idle_s: float,
    health: Health,
    link: ConnectionState,
) -> Span | None:
    """Return what to say of a stream that was read last `idle_s` ago; None if all is as usual."""
    if snapshot.ended or (view is not None and is_final(view.task)):
        return None
    loss = snapshot.capture.loss
    if loss is not None:
        return loss.words, "bad"
    gap_ms = quantile(snapshot.gaps_ms, 0.95) or 0.0
    is_pending = view is not None and view.task.status == "pending"
    return stall(idle_s, gap_ms / 1000, health, link, is_pending=is_pending)
