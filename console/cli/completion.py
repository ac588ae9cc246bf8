"""Values for the shell's completion: files, and what the api knows (tasks, classes, models).

A person waits with a finger on the tab key: an api that does not answer at once adds nothing, and
no error is shown.
"""

import os
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

from api.contract.tasks import TaskResource
from console.client import calls
from console.client.calls import Call
from console.client.sync_client import Client
from console.errors import ConsoleError
from console.printable import printable
from console.stack.discovery import discover

ANSWER_S = 1.0
N_TASKS = 50

T = TypeVar("T")


def complete_source(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Let the shell complete files."""
    return [CompletionItem(incomplete, type="file")]


def complete_task(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the newest tasks, each with its status and the time of its creation."""
    return _tasks(incomplete, ())


def complete_open_task(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the newest tasks that have not ended."""
    return _tasks(incomplete, ("pending", "running", "cancelling"))


def complete_class(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the classes of the models that detect."""
    return [CompletionItem(name) for name in _classes() if name.startswith(incomplete)]


def complete_classes(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the classes that may follow in a list with commas; classes in it are left out."""
    listed, comma, last = incomplete.rpartition(",")
    taken = set(listed.split(","))
    names = _classes() if comma else ["all", *_classes()]
    return [
        CompletionItem(f"{listed}{comma}{name}")
        for name in names
        if name.startswith(last) and name not in taken
    ]


def complete_model(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the models, each with its description."""
    page = _asked(calls.models())
    return [
        CompletionItem(printable(model.id), help=printable(f"{model.kind}: {model.description}"))
        for model in (page.data if page else [])
        if model.id.startswith(incomplete)
    ]


def _tasks(incomplete: str, statuses: tuple[str, ...]) -> list[CompletionItem]:
    page = _asked(calls.tasks(status=statuses, limit=N_TASKS))
    return [
        CompletionItem(printable(task.id), help=_about(task))
        for task in (page.data if page else [])
        if task.id.startswith(incomplete)
    ]


def _about(task: TaskResource) -> str:
    return printable(f"{task.status} {task.created_at}")


def _classes() -> list[str]:
    page = _asked(calls.models())
    names = [name for model in (page.data if page else []) for name in model.classes]
    return sorted({printable(name) for name in names})


def _asked(call: Call[T]) -> T | None:
    """Return the api's answer; None if it is not known or does not answer soon."""
    try:
        endpoint = discover(os.environ)
        with Client(endpoint.url, endpoint.key, answer_s=ANSWER_S) as client:
            return client.send(call)
    except (ConsoleError, OSError):
        return None
