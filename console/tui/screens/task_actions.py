"""Actions on a task of the list: submit, edit, cancel, re-run, compare, export, copy."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec
from textual.widget import Widget

from console.client import calls
from console.client.curl import curl
from console.comparison.rerun import has_masked_url
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import short_id
from console.tui.drawing.styled_text import Line
from console.tui.messages import CopyText, OpenTask, TaskRead
from console.tui.screens.compare_with import Asked, CompareWithScreen
from console.tui.screens.comparison import ComparisonScreen
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.export_file import ask_export
from console.tui.screens.submit import SubmitScreen
from console.tui.view_models.task_list import TaskView
from console.tui.widgets.task_brief import brief_lines


class TaskActions:
    """Performs actions for `host`, a tab that shows tasks.

    `view` returns a task that the host has read; `requests` are those that it has read.

    The host's workers run them and its notifications tell how they ended; errors of the api are
    never tracebacks. `reload` is called when the list has changed.
    """

    def __init__(
        self,
        host: Widget,
        backend: ApiSession,
        view: Callable[[str], TaskView | None],
        requests: Mapping[str, dict[str, Any]],
        reload: Callable[[], None],
    ) -> None:
        self._host = host
        self._backend = backend
        self._view = view
        self._requests = requests
        self._reload = reload

    def submit(self) -> None:
        self._open_form()

    def edit(self, task_id: str, *, as_text: bool = False) -> None:
        """Open the submit form with the task's request: at once, if that was read.

        `as_text`: in the user's editor, as JSON, before the form.
        """
        request = self._requests.get(task_id)
        if request is None:
            self._run(self._edit(task_id, as_text=as_text))
        else:
            self._open_form(request, as_text=as_text)

    def cancel(self, task_id: str) -> None:
        """Ask for confirmation, then cancel."""
        question = "Cancel this task? Its results so far are kept."
        self._confirm(question, "Cancel it", task_id, self._cancel)

    def rerun(self, task_id: str) -> None:
        """Ask for confirmation, then submit the task's request again."""
        request = self._requests.get(task_id)
        if request is None or self._is_whole(request):
            question = "Run this task's request again, as a new task?"
            self._confirm(question, "Run it again", task_id, self._rerun)

    def export(self, task_id: str) -> None:
        """Ask for a file, then write the task's tracks to it."""

        async def tracks() -> Sequence[msgspec.Struct]:
            return (await self._backend.ask(calls.results(task_id))).tracks

        title = "Export the task's tracks to a file: .json or .csv"
        ask_export(self._host, title, f"{task_id}.json", tracks)

    def compare(self, task_id: str, other: str | None = None) -> None:
        """Show the comparison with the task `other`; without one, ask what to compare with."""

        def answered(asked: Asked | None) -> None:
            if asked is not None:
                self._host.app.push_screen(
                    ComparisonScreen(self._backend, asked.subject, asked.other, self._reload)
                )

        self._host.app.push_screen(
            CompareWithScreen(self._backend, task_id, lambda: self._request(task_id), other),
            answered,
        )

    def copy_id(self, task_id: str) -> None:
        self._host.post_message(CopyText(task_id, "Copied the id", task_id))

    def copy_curl(self, task_id: str) -> None:
        """Copy the curl command that submits the task's request."""
        self._run(self._copy_curl(task_id))

    def _confirm(
        self,
        question: str,
        yes: str,
        task_id: str,
        action: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        """Ask the question about the task as it is now, and as it becomes while the dialog is open.

        The dialog opens at once: one that came later would take keys that were not meant for it.
        """

        def facts() -> list[Line]:
            return brief_lines(self._view(task_id), task_id, self._backend.clock.now())

        def answered(confirmed: bool | None) -> None:
            if confirmed:
                self._run(action(task_id))

        if task_id not in self._requests:
            self._run(self._read(task_id))
        self._host.app.push_screen(ConfirmScreen(question, yes, facts), answered)

    def _run(self, action: Coroutine[Any, Any, object]) -> None:
        self._host.run_worker(action, group="actions")

    async def _cancel(self, task_id: str) -> None:
        try:
            answer = await self._backend.ask(calls.cancel(task_id))
        except ConsoleError as exc:
            self._host.notify(str(exc), title="Not cancelled", severity="error")
            return
        ended = answer.status in {"failed", "succeeded"}
        self._host.notify(f"{short_id(answer.id)} {'' if ended else 'is '}{answer.status}")
        self._reload()

    async def _rerun(self, task_id: str) -> None:
        request = await self._request(task_id)
        if request is None or not self._is_whole(request):
            return
        try:
            accepted = await self._backend.ask(calls.submit(request))
        except ConsoleError as exc:
            self._host.notify(str(exc), title="Not submitted", severity="error")
            return
        self._submitted(accepted.id)

    def _is_whole(self, request: dict[str, Any]) -> bool:
        """Whether the request can be sent again as it is stored; if not, say why."""
        if has_masked_url(request):
            self._host.notify(
                "Its URL held credentials, which are not kept: press e and give the whole URL"
                " again.",
                title="Cannot run it again as it is",
                severity="warning",
            )
            return False
        return True

    async def _edit(self, task_id: str, *, as_text: bool) -> None:
        request = await self._request(task_id)
        if request is not None:
            self._open_form(request, as_text=as_text)

    def _open_form(self, request: dict[str, Any] | None = None, *, as_text: bool = False) -> None:
        self._host.app.push_screen(
            SubmitScreen(self._backend, request, as_text=as_text), self._submitted
        )

    async def _copy_curl(self, task_id: str) -> None:
        request = await self._request(task_id)
        if request is not None:
            command = curl(calls.submit(request), self._backend.endpoint.url)
            about = "It reads the key from $FRAMEWIRE_KEY."
            self._host.post_message(CopyText(command, "Copied the curl command", about))

    async def _request(self, task_id: str) -> dict[str, Any] | None:
        known = self._requests.get(task_id)
        return await self._read(task_id) if known is None else known

    async def _read(self, task_id: str) -> dict[str, Any] | None:
        """Read the task with its request; the host receives it. None if it cannot be read."""
        try:
            task = await self._backend.ask(calls.task(task_id, include_request=True))
        except ConsoleError as exc:
            self._host.notify(str(exc), title="The request cannot be read", severity="error")
            return None
        self._host.post_message(TaskRead(task))
        return task.request if isinstance(task.request, dict) else None

    def _submitted(self, task_id: str | None) -> None:
        if task_id is None:
            return
        self._host.notify(task_id, title="Submitted")
        self._reload()
        self._host.post_message(OpenTask(task_id))
