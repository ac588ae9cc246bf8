"""Mix-in with the actions on a selected task: submit, edit, cancel, re-run, export, copy."""

import asyncio
from pathlib import Path
from typing import Any

from textual import work
from textual.widget import Widget

from console.client import calls
from console.client.curl import curl
from console.client.video_input import typed_path
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import short_id
from console.tui.export import encode_rows
from console.tui.messages import OpenTask, TaskRead
from console.tui.screens.prompt import ConfirmScreen, PromptScreen
from console.tui.screens.submit import SubmitScreen
from console.tui.view_models.task_list import TaskList
from streamproc.contract.masking import is_masked


class TaskActions(Widget):
    """Actions on `selected`; errors of the api are shown as notifications, never as tracebacks."""

    backend: ApiSession
    tasks: TaskList

    @property
    def selected(self) -> str | None:
        return None

    def reload(self) -> None:
        """Read the tasks again soon."""

    def action_submit(self) -> None:
        self.app.push_screen(SubmitScreen(self.backend), self._submitted)

    def action_edit(self) -> None:
        task_id = self.selected
        if task_id is not None:
            self._edit(task_id)

    def action_cancel(self) -> None:
        task_id = self.selected
        if task_id is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._cancel(task_id)

        question = f"Cancel task {short_id(task_id)}? Its results so far are kept."
        self.app.push_screen(ConfirmScreen(question, "Cancel it"), answered)

    def action_rerun(self) -> None:
        if self.selected is not None:
            self._rerun(self.selected)

    def action_export(self) -> None:
        task_id = self.selected
        if task_id is None:
            return

        def answered(name: str | None) -> None:
            if name:
                self._export(task_id, typed_path(name))

        self.app.push_screen(
            PromptScreen(
                "Export the task's tracks to a file: .json or .csv",
                f"{task_id}.json",
                check=lambda name: encode_rows((), Path(name)),
            ),
            answered,
        )

    def action_copy_id(self) -> None:
        if self.selected is not None:
            self.app.copy_to_clipboard(self.selected)
            self.notify(f"{self.selected}", title="Copied the id")

    def action_copy_curl(self) -> None:
        if self.selected is not None:
            self._copy_curl(self.selected)

    @work(group="actions")
    async def _cancel(self, task_id: str) -> None:
        try:
            answer = await self.backend.ask(calls.cancel(task_id))
        except ConsoleError as exc:
            self.notify(str(exc), title="Not cancelled", severity="error")
            return
        self.notify(f"{short_id(answer.id)} is {answer.status}")
        self.reload()

    @work(group="actions")
    async def _rerun(self, task_id: str) -> None:
        request = await self._request(task_id)
        if request is None:
            return
        if is_staged(request):
            self.notify(
                "Its video was uploaded with the request: press e and give the file again.",
                title="Cannot run it again as it is",
                severity="warning",
            )
            return
        if has_masked_url(request):
            self.notify(
                "Its URL held credentials, which are not kept: press e and give the whole URL"
                " again.",
                title="Cannot run it again as it is",
                severity="warning",
            )
            return
        try:
            accepted = await self.backend.ask(calls.submit(request))
        except ConsoleError as exc:
            self.notify(str(exc), title="Not submitted", severity="error")
            return
        self._submitted(accepted.id)

    @work(group="actions")
    async def _edit(self, task_id: str) -> None:
        request = await self._request(task_id)
        if request is not None:
            self.app.push_screen(SubmitScreen(self.backend, request), self._submitted)

    @work(group="actions")
    async def _copy_curl(self, task_id: str) -> None:
        request = await self._request(task_id)
        if request is not None:
            self.app.copy_to_clipboard(curl(calls.submit(request), self.backend.endpoint.url))
            self.notify("It reads the key from $FRAMEWIRE_KEY.", title="Copied the curl command")

    @work(group="actions")
    async def _export(self, task_id: str, path: Path) -> None:
        try:
            found = await self.backend.ask(calls.results(task_id))
            await asyncio.to_thread(path.write_bytes, encode_rows(found.tracks, path))
        except (ConsoleError, OSError, ValueError) as exc:
            self.notify(str(exc), title="Not exported", severity="error")
            return
        self.notify(f"{len(found.tracks)} tracks in {path}", title="Exported")

    async def _request(self, task_id: str) -> dict[str, Any] | None:
        known = self.tasks.request(task_id)
        if known is not None:
            return known
        try:
            task = await self.backend.ask(calls.task(task_id, include_request=True))
        except ConsoleError as exc:
            self.notify(str(exc), title="The request cannot be read", severity="error")
            return None
        self.post_message(TaskRead(task))
        return task.request if isinstance(task.request, dict) else None

    def _submitted(self, task_id: str | None) -> None:
        if task_id is None:
            return
        self.notify(task_id, title="Submitted")
        self.reload()
        self.post_message(OpenTask(task_id))


def is_staged(request: dict[str, Any]) -> bool:
    """Whether the request's video was uploaded: the stored request has only a reference to it."""
    items = request.get("input") or [{}]
    return bool(items[0].get("type") == "video_base64")


def has_masked_url(request: dict[str, Any]) -> bool:
    """Whether the video's URL is stored without its credentials (masked)."""
    items = request.get("input") or [{}]
    return is_masked(str(items[0].get("url", "")))
