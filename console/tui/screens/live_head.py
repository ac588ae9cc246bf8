"""Header of the Live tab: the task, the position in its log, and why nothing comes."""

from collections.abc import Callable

from textual.reactive import reactive

from console.tui.api_session import ApiSession
from console.tui.drawing.styled_text import Span
from console.tui.messages import StallChanged
from console.tui.view_models.health import Health
from console.tui.view_models.live_stream import LiveSnapshot
from console.tui.view_models.seek_window import SeekWindow
from console.tui.view_models.stream_stall import stream_stall
from console.tui.view_models.task_list import TaskView
from console.tui.widgets.canvas import Lines
from console.tui.widgets.live_head_rendering import head_lines


class LiveHead(Lines):
    """Shows the followed task, which `view` finds, and the position of its stream."""

    health: reactive[Health] = reactive(Health())

    def __init__(
        self,
        backend: ApiSession,
        view: Callable[[str], TaskView | None],
        stall_changed: Callable[[StallChanged], object],
    ) -> None:
        """`stall_changed` gets whether a stream that has begun is stalled, when that changes."""
        super().__init__(id="live-head", classes="strip")
        self._backend = backend
        self._view = view
        self._stall_changed = stall_changed
        self._task_id: str | None = None
        self._snapshot = LiveSnapshot()
        self._held: SeekWindow | None = None
        self._note: Span = ("", "dim")
        self._moved_s = 0.0
        """When the stream's last chunk was read."""
        self._stalled: str | None = None
        """The task that was last said to be stalled."""

    def follow(self, task_id: str) -> None:
        """Show another task; its stream is waited for from now on."""
        self._task_id = task_id
        self._moved_s = self._backend.clock.monotonic_s()

    def show_position(self, snapshot: LiveSnapshot, held: SeekWindow | None, note: Span) -> None:
        """Show the newest position, the held one if there is one, and a note on the connection."""
        self.note_position(snapshot)
        self._held, self._note = held, note
        self.draw_time()

    def note_position(self, snapshot: LiveSnapshot) -> None:
        """Take the stream's newest position, without drawing it."""
        if snapshot.offset != self._snapshot.offset:
            self._moved_s = self._backend.clock.monotonic_s()
        self._snapshot = snapshot

    def draw_time(self) -> None:
        """Draw again what depends on the time: ETA, and for how long nothing came."""
        if self._task_id is None:
            self.show([(("No task is followed.", "dim"),)])
            return
        view = self._view(self._task_id)
        note = self.tell_stall() or self._note
        width, now = self.size.width, self._backend.clock.now()
        self.show(head_lines(view, self._task_id, self._snapshot, self._held, note, width, now))

    def tell_stall(self) -> Span | None:
        """Return what to say of a stream without new chunks; None if that is usual."""
        view = None if self._task_id is None else self._view(self._task_id)
        stalled = self._stall(view)
        is_pending = view is not None and view.task.status == "pending"
        task_id = None if stalled is None or is_pending else self._task_id
        if task_id != self._stalled:
            self._stalled = task_id
            why = None if stalled is None or task_id is None else stalled[0].partition(": ")[2]
            self._stall_changed(StallChanged(self._task_id or "", why))
        return stalled

    def watch_health(self) -> None:
        if self.is_mounted:
            self.draw_time()

    def _stall(self, view: TaskView | None) -> Span | None:
        idle_s = self._backend.clock.monotonic_s() - self._moved_s
        return stream_stall(self._snapshot, view, idle_s, self.health, self._backend.link)
