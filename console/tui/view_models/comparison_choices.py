"""What a task can be compared with: another task, or a second run of its request. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from api.contract.resources import ModelResource
from console.comparison.rerun import KINDS, Change, read_parameters, resolved, same_source
from console.errors import RequestWordsError
from console.tui.view_models.task_list import TaskList
from streamproc.contract.task_spec import Precision

_MAX_TASKS = 50
_COMPARABLE = frozenset({"pending", "running", "succeeded"})
PRECISIONS: tuple[str, ...] = get_args(Precision)


class Choice(NamedTuple):
    """One choice: `word` is what a user would type for it, `what` says what it does."""

    word: str
    what: str


def read_choice(text: str) -> str | Change:
    """Return the id of a task to compare with, or the change for a second run.

    A word is a task (`vt_…`), a precision, or a model; JSON is parameters. Raises ValueError with a
    message for the user.
    """
    word = text.strip()
    if not word:
        raise ValueError("a task's id, a model, a precision, or parameters as JSON")
    if word.startswith("{"):
        try:
            return Change(parameters=read_parameters(word))
        except RequestWordsError as exc:
            raise ValueError(str(exc).removeprefix("--")) from exc
    if word.startswith("vt_"):
        return word
    return Change(precision=word) if word in PRECISIONS else Change(model=word)


def choices(
    task_id: str, tasks: TaskList, request: Mapping[str, Any], models: Sequence[ModelResource]
) -> list[Choice]:
    """Return what the task can be compared with: tasks of the same video, models, precisions."""
    names = [str(step.get("model")) for step in request.get("steps") or ()]
    used = [model for name in names if (model := resolved(name, models)) is not None]
    kinds = {model.kind for model in used} | (set(names) & set(KINDS))
    found = list(_tasks(task_id, tasks, request))
    found += [
        Choice(model.id, f"run again with this {model.kind} model")
        for model in models
        if model.kind in kinds and model not in used
    ]
    found += [
        Choice(precision, "run again in this precision")
        for precision in PRECISIONS
        if precision != request.get("precision")
    ]
    return found


def _tasks(task_id: str, tasks: TaskList, request: Mapping[str, Any]) -> Iterable[Choice]:
    n_found = 0
    for task in tasks.newest_first():
        other = tasks.request(task.id)
        if task.id == task_id or other is None or task.status not in _COMPARABLE:
            continue
        if n_found < _MAX_TASKS and same_source(request, other):
            n_found += 1
            view = tasks.view(task)
            precision = f" in {other['precision']}" if other.get("precision") else ""
            yield Choice(task.id, f"the same video, {task.status}: {view.steps}{precision}")
