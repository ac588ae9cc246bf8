"""Comparison of two tasks over the api: submits a second run, waits, and reads both logs."""

import asyncio
from collections.abc import Callable

import msgspec

from api.contract.tasks import TaskResource
from console.client import calls
from console.client.log_stream import is_final
from console.comparison.fold import ComparisonFold, Side
from console.comparison.frames import read_frames
from console.comparison.likeness import likeness
from console.comparison.report import Comparison
from console.comparison.rerun import Change, changed_request, check_source, same_source
from console.comparison.result import Subject, compared
from console.errors import ApiProblem, ComparisonError, ConsoleError, UnreachableError
from console.tui.api_session import ApiSession

_POLL_S = 0.5
_WINDOW_BYTES = 512 * 1024

Tell = Callable[[str], object]


async def second_subject(
    backend: ApiSession, first: Subject, other: str | Change, tell: Tell
) -> Subject:
    """Return the task with the id `other`, or a second run of `first` with that change.

    Raises `ConsoleError`.
    """
    if isinstance(other, str):
        task = await backend.ask(calls.task(other, include_request=True))
        if not isinstance(task.request, dict):
            raise ComparisonError(f"{task.id} came without its request")
        return Subject(task.id, task.request)
    check_source(first.request)
    models = await backend.ask(calls.models())
    request = changed_request(first.request, other, models.data)
    tell("being submitted …")
    return Subject((await backend.ask(calls.submit(request))).id, request)


async def wait_for_success(backend: ApiSession, task_id: str, tell: Tell) -> None:
    """Wait until the task has ended, through failures of the api that may pass.

    Raises `ComparisonError` if it did not succeed, and other `ConsoleError`s.
    """
    while True:
        try:
            task = await backend.ask(calls.task(task_id))
        except ConsoleError as exc:
            if not _may_pass(exc):
                raise
            tell(str(exc))
        else:
            if is_final(task):
                break
            tell(f"{task.id} is {task.status}: {task.progress.processed_frames} frames")
        await asyncio.sleep(max(_POLL_S, backend.link.pause_s))
    if task.status != "succeeded":
        raise ComparisonError(_failure(task))


async def read_comparison(
    backend: ApiSession, first: Subject, second: Subject, tell: Tell
) -> tuple[Comparison, ComparisonFold]:
    """Read both logs side by side, and compare their tracks; raises `ConsoleError`."""
    fold = ComparisonFold(same_source=same_source(first.request, second.request))
    subjects: dict[Side, Subject] = {"a": first, "b": second}
    offsets: dict[Side, int] = {"a": 0, "b": 0}
    while (side := fold.wants) is not None:
        task_id = subjects[side].task
        events = await backend.read_log(task_id, offsets[side], _WINDOW_BYTES)
        if not events:
            fold.end(side)
            continue
        offsets[side] = events[-1].end
        try:
            # In a thread: a large window takes longer than a key may wait.
            await asyncio.to_thread(lambda: fold.feed(side, read_frames(events)))  # noqa: B023 - awaited
        except msgspec.DecodeError as exc:
            raise ComparisonError(
                f"the log of {task_id} is not one that this console can read"
            ) from exc
        tell(f"{fold.n_common} common frames compared …")
    return await asyncio.to_thread(compared, fold, first, second), fold


async def read_likeness(backend: ApiSession, found: Comparison, fold: ComparisonFold) -> Comparison:
    """Look for lost and new tracks by their vectors; raises `ConsoleError`."""
    search = likeness(found, fold)
    try:
        call = next(search)
        while True:
            try:
                answer = await backend.ask(call)
            except ApiProblem as exc:
                call = search.throw(exc)
            else:
                call = search.send(answer)
    except StopIteration as end:
        with_likeness: Comparison = end.value
        return with_likeness


def _may_pass(error: ConsoleError) -> bool:
    if isinstance(error, ApiProblem):
        return error.status >= 500 or error.status == 429
    return isinstance(error, UnreachableError)


def _failure(task: TaskResource) -> str:
    reason = f": {task.error.message} ({task.error.code})" if task.error else ""
    return f"{task.id} {task.status}{reason}"
