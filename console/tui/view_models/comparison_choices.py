"""What a task can be compared with: another task, or a second run of its request. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args

from api.contract.models import ModelResource
from api.contract.tasks import TaskResource
from console.comparison.rerun import KINDS, Change, read_parameters, resolved, same_source
from console.comparison.result import steps_of
from console.errors import RequestWordsError
from streamproc.contract.task_spec import Precision

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


def second_runs(request: Mapping[str, Any], models: Sequence[ModelResource]) -> list[Choice]:
    """Return the models and precisions in which the request can run again."""
    names = [str(step.get("model")) for step in request.get("steps") or ()]
    used = [model for name in names if (model := resolved(name, models)) is not None]
    kinds = {model.kind for model in used} | (set(names) & set(KINDS))
    return [
        *(
            Choice(model.id, f"run again with this {model.kind} model")
            for model in models
            if model.kind in kinds and model not in used
        ),
        *(
            Choice(precision, "run again in this precision")
            for precision in PRECISIONS
            if precision != request.get("precision")
        ),
    ]


def other_task(request: Mapping[str, Any], task: TaskResource) -> Choice | None:
    """Return the choice of a task, which came with its request; None if its video is another."""
    other = task.request
    if not isinstance(other, dict) or not same_source(request, other):
        return None
    steps = " → ".join(map(str, steps_of(other)))
    precision = f" in {other['precision']}" if other.get("precision") else ""
    return Choice(task.id, f"the same video, {task.status}: {steps}{precision}")
