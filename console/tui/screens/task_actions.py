"""Actions on a task of the list: submit, edit, cancel, re-run, compare, export, copy."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from textual.widget import Widget

from console.client import calls
from console.client.curl import curl
from console.client.video_input import typed_path
from console.comparison.rerun import Change
from console.comparison.result import Subject
from console.errors import ConsoleError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import short_id
from console.tui.export import encode_rows
from console.tui.messages import OpenTask, TaskRead
from console.tui.screens.compare_with import CompareWithScreen
from console.tui.screens.comparison import ComparisonScreen
from console.tui.screens.prompt import ConfirmScreen, PromptScreen
from console.tui.screens.submit import SubmitScreen
from streamproc.contract.masking import is_masked


class TaskActions:
    """Performs actions for `host`, a widget that shows tasks; `requests` are those it has read.

    The host's workers run them and its notifications tell how they ended; errors of the api are
    never tracebacks. `reload` is called when the list has changed.
    """

    def __init__(
        self,
        host: Widget,
        backend: ApiSession,
        requests: Mapping[str, dict[str, Any]],
        reload: Callable[[], None],
    ) -> None:
        self._host = host
        self._backend = backend
        self._requests = requests
        self._reload = reload

    def submit(self) -> None:
        self._host.app.push_screen(SubmitScreen(self._backend), self._submitted)

    def edit(self, task_id: str) -> None:
        """Open the submit form with the task's request."""
        self._run(self._edit(task_id))

    def cancel(self, task_id: str) -> None:
        """Ask for confirmation, then cancel."""

        def answered(yes: bool | None) -> None:
            if yes:
                self._run(self._cancel(task_id))

        question = f"Cancel task {short_id(task_id)}? Its results so far are kept."
        self._host.app.push_screen(ConfirmScreen(question, "Cancel it"), answered)

    def rerun(self, task_id: str) -> None:
        """Submit the task's request again."""
        self._run(self._rerun(task_id))

    def export(self, task_id: str) -> None:
        """Ask for a file, then write the task's tracks to it."""

        def answered(name: str | None) -> None:
            if name:
                self._run(self._export(task_id, typed_path(name)))

        self._host.app.push_screen(
            PromptScreen(
                "Export the task's tracks to a file: .json or .csv",
                f"{task_id}.json",
                check=lambda name: encode_rows((), Path(name)),
            ),
            answered,
        )

    def compare(self, task_id: str) -> None:
        """Ask what the task is to be compared with, and show the comparison."""
        self._run(self._compare(task_id))

    def copy_id(self, task_id: str) -> None:
        self._host.app.copy_to_clipboard(task_id)
        self._host.notify(task_id, title="Copied the id")

    def copy_curl(self, task_id: str) -> None:
        """Copy the curl command that submits the task's request."""
        self._run(self._copy_curl(task_id))

    def _run(self, action: Coroutine[Any, Any, None]) -> None:
        self._host.run_worker(action, group="actions")

    async def _cancel(self, task_id: str) -> None:
        try:
            answer = await self._backend.ask(calls.cancel(task_id))
        except ConsoleError as exc:
            self._host.notify(str(exc), title="Not cancelled", severity="error")
            return
        self._host.notify(f"{short_id(answer.id)} is {answer.status}")
        self._reload()

    async def _rerun(self, task_id: str) -> None:
        request = await self._request(task_id)
        if request is None:
            return
        if has_masked_url(request):
            self._host.notify(
                "Its URL held credentials, which are not kept: press e and give the whole URL"
                " again.",
                title="Cannot run it again as it is",
                severity="warning",
            )
            return
        try:
            accepted = await self._backend.ask(calls.submit(request))
        except ConsoleError as exc:
            self._host.notify(str(exc), title="Not submitted", severity="error")
            return
        self._submitted(accepted.id)

    async def _compare(self, task_id: str) -> None:
        request = await self._request(task_id)
        if request is None:
            return
        subject = Subject(task_id, request)

        def answered(other: str | Change | None) -> None:
            if other is not None:
                screen = ComparisonScreen(self._backend, subject, other, self._reload)
                self._host.app.push_screen(screen)

        self._host.app.push_screen(CompareWithScreen(self._backend, subject), answered)

    async def _edit(self, task_id: str) -> None:
        request = await self._request(task_id)
        if request is not None:
            self._host.app.push_screen(SubmitScreen(self._backend, request), self._submitted)

    async def _copy_curl(self, task_id: str) -> None:
        request = await self._request(task_id)
        if request is not None:
            self._host.app.copy_to_clipboard(
                curl(calls.submit(request), self._backend.endpoint.url)
            )
            self._host.notify(
                "It reads the key from $FRAMEWIRE_KEY.", title="Copied the curl command"
            )

    async def _export(self, task_id: str, path: Path) -> None:
        try:
            found = await self._backend.ask(calls.results(task_id))
            await asyncio.to_thread(path.write_bytes, encode_rows(found.tracks, path))
        except (ConsoleError, OSError, ValueError) as exc:
            self._host.notify(str(exc), title="Not exported", severity="error")
            return
        self._host.notify(f"{len(found.tracks)} tracks in {path}", title="Exported")

    async def _request(self, task_id: str) -> dict[str, Any] | None:
        known = self._requests.get(task_id)
        if known is not None:
            return known
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


def has_masked_url(request: dict[str, Any]) -> bool:
    """Whether the video's URL is stored without its credentials (masked)."""
    items = request.get("input") or [{}]
    return is_masked(str(items[0].get("url", "")))
