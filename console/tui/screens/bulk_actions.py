"""Actions on the marked tasks: cancel, run again, export, copy, with a result for each task."""

import asyncio
import uuid
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from textual.widget import Widget

from api.contract.tasks import TaskResource
from api.contract.tracks import TrackSummary
from console.client import calls
from console.client.curl import curl
from console.client.video_input import typed_path
from console.comparison.rerun import has_masked_url
from console.errors import ConsoleError
from console.export.target import ExportTarget, read_target
from console.export.writer import open_writer
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import grouped
from console.tui.drawing.styled_text import Line
from console.tui.messages import CopyText
from console.tui.screens.bulk_performer import Act, BulkPerformer
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.confirm_many import ConfirmManyScreen
from console.tui.screens.prompt import PromptScreen
from console.tui.turns import Turns
from console.tui.view_models.bulk_run import BulkRun
from console.tui.view_models.marks import Marks
from console.tui.view_models.task_list import ACTIVE, TaskView

MAX_COPIED_COMMANDS = 100
"""Most curl commands that are copied at once: terminals bound what they take."""
_NAMED_FILES = 5
_MASKED = "its URL held credentials, which are not kept: edit it (e) and give the whole URL"


class BulkActions:
    """Actions on the marked tasks for `host`, a tab that shows tasks.

    A task that was cancelled or run again loses its mark, one that was refused keeps it: the same
    key tries it again. `changed` draws the marks, `reload` reads the list.
    """

    def __init__(
        self,
        host: Widget,
        backend: ApiSession,
        marks: Marks,
        requests: MutableMapping[str, dict[str, Any]],
        *,
        reload: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._host = host
        self._backend = backend
        self._marks = marks
        self._requests = requests
        self._reload = reload
        self._performer = BulkPerformer(host, backend, marks, changed)

    def cancel(self) -> None:
        """Ask, then cancel the marked tasks that have not ended."""
        tasks = [task for task in self._marks.tasks if task.status in ACTIVE]
        n_ended = len(self._marks) - len(tasks)
        if not tasks:
            self._host.notify("All marked tasks have ended.", title="Nothing to cancel")
            return
        facts: list[Line] = [(("Their results so far are kept.", ""),)]
        if n_ended:
            others = _tasks(n_ended, "other marked ")
            facts += [((f"{others} ended already: nothing to cancel.", "dim"),)]
        question = f"Cancel {_tasks(len(tasks))}?"
        self._ask(question, "Cancel them", facts, tasks, "cancelled", self._cancel)

    def rerun(self) -> None:
        """Ask, then submit the requests of the marked tasks again."""
        tasks = self._marks.tasks
        question = f"Run {_tasks(len(tasks))} again, as {_tasks(len(tasks), 'new ')}?"
        n_active = sum(task.status in ACTIVE for task in tasks)
        facts: list[Line] = []
        if n_active:
            facts += [((f"{_tasks(n_active)} of these have not ended yet, and go on.", "dim"),)]
        action = uuid.uuid4().hex

        async def rerun(task: TaskResource) -> str:
            request = await self._request(task.id)
            if has_masked_url(request):
                raise ConsoleError(_MASKED)
            # The key makes it safe to send it again where no answer came.
            call = calls.submit(request, idempotency_key=f"{action}-{task.id}")
            return f"submitted as {(await self._performer.send(call)).id}"

        self._ask(question, "Run them again", facts, tasks, "submitted", rerun)

    def copy_ids(self) -> None:
        title = f"Copied {grouped(len(self._marks))} ids"
        self._host.post_message(CopyText("\n".join(self._marks), title, "One in each line."))

    def copy_curls(self) -> None:
        """Copy the curl commands that submit the marked tasks' requests, one in each line."""
        if len(self._marks) > MAX_COPIED_COMMANDS:
            self._host.notify(
                f"{grouped(len(self._marks))} are marked, and at most {MAX_COPIED_COMMANDS}"
                " commands are copied.",
                title="Not copied",
                severity="warning",
            )
            return
        commands: dict[str, str] = {}

        async def read(task: TaskResource) -> str:
            request = await self._request(task.id)
            commands[task.id] = curl(calls.submit(request), self._backend.endpoint.url)
            return "copied"

        async def copy(run: BulkRun) -> str:
            text = "\n".join(commands[one.task.id] for one in run.items if one.task.id in commands)
            if not text:
                return "Nothing was copied."
            about = "They read the key from $FRAMEWIRE_KEY."
            title = f"Copied {grouped(len(commands))} curl commands"
            self._host.post_message(CopyText(text, title, about))
            return about

        self._performer.begin(self._marks.tasks, "copied", read, finish=copy, unmark=False)

    def export(self) -> None:
        """Ask for a file or a directory, then write the tracks of the marked tasks."""
        if self._performer.is_busy():
            return
        tasks = self._marks.tasks

        def named(text: str | None) -> None:
            if text:
                target = read_target(text)
                path = typed_path(str(target.path)).absolute()
                self._replace_or_export(target._replace(path=path), tasks)

        title = (
            f"Export the tracks of {_tasks(len(tasks))}: to one .json or .csv file, or to a"
            " directory, as DIR/ or DIR/*.csv"
        )
        self._host.app.push_screen(
            PromptScreen(title, f"tracks-of-{len(tasks)}-tasks.json", check=read_target), named
        )

    # -- the parts of an action

    def _ask(
        self,
        question: str,
        yes: str,
        facts: Sequence[Line],
        tasks: Sequence[TaskResource],
        done_word: str,
        act: Act,
    ) -> None:
        known = {task.id: task for task in tasks}

        def view(task_id: str) -> TaskView:
            return TaskView(self._marks.task(task_id) or known[task_id])

        def answered(yes: bool | None) -> None:
            if yes:
                self._performer.begin(tasks, done_word, act, finish=self._reload_after)

        if not self._performer.is_busy():
            ids = [task.id for task in tasks]
            now = self._backend.clock.now
            self._host.app.push_screen(
                ConfirmManyScreen(question, yes, facts, ids, view, now), answered
            )

    async def _reload_after(self, run: BulkRun) -> str:
        self._reload()
        left = run.count("refused") + run.count("not sent")
        stay = "stays" if left == 1 else "stay"
        return f"{_tasks(left)} {stay} marked: the same key tries again." if left else ""

    async def _cancel(self, task: TaskResource) -> str:
        answer = await self._performer.send(calls.cancel(task.id))
        is_late = answer.status in {"failed", "succeeded"}
        return f"had already {answer.status}" if is_late else answer.status

    async def _request(self, task_id: str) -> dict[str, Any]:
        known = self._requests.get(task_id)
        if known is not None:
            return known
        task = await self._performer.send(calls.task(task_id, include_request=True))
        if not isinstance(task.request, dict):
            raise ConsoleError("it came without its request")
        self._requests[task_id] = task.request
        return task.request

    # -- export

    def _replace_or_export(self, target: ExportTarget, tasks: Sequence[TaskResource]) -> None:
        found = [path for path in target.files([task.id for task in tasks]) if path.exists()]

        def answered(yes: bool | None) -> None:
            if yes:
                self._export(target, tasks, may_replace=True)

        if not found:
            self._export(target, tasks, may_replace=False)
            return
        facts: list[Line] = [((str(path), "!"),) for path in found[:_NAMED_FILES]]
        if len(found) > _NAMED_FILES:
            facts += [((f"and {grouped(len(found) - _NAMED_FILES)} more", "dim"),)]
        what = "this file" if len(found) == 1 else f"these {grouped(len(found))} files"
        self._host.app.push_screen(
            ConfirmScreen(f"Replace {what}?", "Replace", lambda: [*facts, ()]), answered
        )

    def _export(
        self, target: ExportTarget, tasks: Sequence[TaskResource], *, may_replace: bool
    ) -> None:
        try:
            writer = open_writer(target, may_replace=may_replace)
        except OSError as exc:
            self._host.notify(str(exc), title="Not exported", severity="error")
            return
        turns = Turns()
        places = {task.id: place for place, task in enumerate(tasks)}

        async def export(task: TaskResource) -> str:
            tracks: Sequence[TrackSummary] | None = None
            try:
                tracks = (await self._performer.send(calls.results(task.id))).tracks
            finally:
                async with turns.turn(places[task.id]):
                    if tracks is not None:
                        await asyncio.to_thread(writer.write, task.id, tracks)
            return f"{grouped(len(tracks))} tracks"

        async def close(run: BulkRun) -> str:
            is_wanted = run.count("done") > 0
            try:
                await asyncio.to_thread(writer.close, is_wanted=is_wanted)
            except OSError as exc:
                return f"Not written: {exc}"
            return f"In {target.path}" if is_wanted else "Nothing was written."

        self._performer.begin(
            tasks,
            "exported",
            export,
            finish=close,
            abandon=lambda: writer.close(is_wanted=False),
            unmark=False,
        )


def _tasks(number: int, kind: str = "") -> str:
    return f"{grouped(number)} {kind}task{'' if number == 1 else 's'}"
