"""Actions of a tab with a list of tasks, on the marked tasks or on the selected one."""

from collections.abc import Callable

from textual import on

from console.tui.messages import OpenWall
from console.tui.screens.bulk_actions import BulkActions
from console.tui.screens.tab import Tab
from console.tui.screens.task_actions import TaskActions
from console.tui.screens.task_marks import TaskMarking
from console.tui.view_models.marks import Marks
from console.tui.widgets.table import Listing


class MarkedTasks(Tab):
    """Base of the Video Tasks tab, which sets the attributes below."""

    actions: TaskActions
    """What is done with one task."""
    bulk: BulkActions
    marking: TaskMarking

    @property
    def selected(self) -> str | None:
        """The id of the task at the list's cursor; None where there is none."""
        raise NotImplementedError

    @property
    def marks(self) -> Marks:
        return self.marking.marks

    @on(Listing.MarkClicked)
    def _mark_clicked(self, message: Listing.MarkClicked) -> None:
        self.marking.toggle(message.key)

    def action_edit(self) -> None:
        self._on_selected(self.actions.edit)

    def action_edit_text(self) -> None:
        self._on_selected(lambda task_id: self.actions.edit(task_id, as_text=True))

    def action_mark(self) -> None:
        self.marking.toggle(self.selected)
        self.query_one(Listing).action_move(1)

    def action_mark_range(self) -> None:
        self.marking.mark_range(self.selected)

    def action_mark_all(self) -> None:
        self.marking.mark_all()

    def action_unmark(self) -> None:
        self.marking.clear()

    def action_wall(self) -> None:
        """Show the marked tasks, or all that run, side by side."""
        if self.marking.is_reading:
            self._say_reading()
        else:
            self.post_message(OpenWall(tuple(self.marks)))

    def action_cancel(self) -> None:
        self._on_marked(self.bulk.cancel, self.actions.cancel)

    def action_rerun(self) -> None:
        self._on_marked(self.bulk.rerun, self.actions.rerun)

    def action_export(self) -> None:
        self._on_marked(self.bulk.export, self.actions.export)

    def action_compare(self) -> None:
        if len(self.marks) < 2:
            self._on_selected(self.actions.compare)
        elif len(self.marks) == 2:
            self.actions.compare(*self.marks)
        else:
            self.notify(
                f"{len(self.marks)} tasks are marked: mark two, or none.",
                title="Only two tasks are compared",
                severity="warning",
            )

    def action_copy_id(self) -> None:
        self._on_marked(self.bulk.copy_ids, self.actions.copy_id)

    def action_copy_curl(self) -> None:
        self._on_marked(self.bulk.copy_curls, self.actions.copy_curl)

    def _on_marked(self, many: Callable[[], None], one: Callable[[str], None]) -> None:
        """Act on the marked tasks if there are any, else on the selected one."""
        if self.marking.is_reading:
            self._say_reading()
        elif self.marks:
            many()
        else:
            self._on_selected(one)

    def _say_reading(self) -> None:
        self.notify(
            "All that fit are still being read. Press the key again once they are marked.",
            title="Nothing was done",
            severity="warning",
        )

    def _on_selected(self, action: Callable[[str], None]) -> None:
        if self.selected is not None:
            action(self.selected)
