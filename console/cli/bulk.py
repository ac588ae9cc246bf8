"""What commands that act on several tasks share: which tasks, the question, a result for each."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import click

from api.contract.query.tasks import TASKS
from api.contract.tasks import Status, TaskResource
from console.cli.error_output import print_error
from console.cli.formatting import frames
from console.cli.listing import PAGE, checked_query
from console.cli.terminal import Terminal
from console.cli.typed_words import about
from console.client import calls
from console.client.sync_client import Client
from console.errors import ApiProblem, ConsoleError, UnreachableError
from console.exit_codes import ExitCode
from console.printable import echo
from streamproc.contract.source_label import short_name

MAX_TASKS = 1000
"""Most tasks that one query may name."""

R = TypeVar("R")


class Bulk(NamedTuple):
    """An action on several tasks, in words: `cancel` and `cancelled`.

    `statuses` are those of the tasks that a query names; `asks`: before it acts on them.
    """

    verb: str
    done: str
    statuses: tuple[Status, ...] = ()
    asks: bool = True


def takes_tasks(
    query_help: str, complete: Callable[..., Any]
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Decorator: add TASK..., which `complete` completes, and --query."""

    def decorated(command: Callable[..., R]) -> Callable[..., R]:
        with_query = click.option("--query", metavar="QUERY", help=query_help)(command)
        argument = click.argument("tasks", metavar="[TASK...]", nargs=-1, shell_complete=complete)
        return argument(with_query)

    return decorated


def chosen_tasks(
    terminal: Terminal, bulk: Bulk, tasks: Sequence[str], query: str | None, *, yes: bool = True
) -> tuple[str, ...]:
    """Return the tasks that were named, each once, or those that fit the query.

    The user is asked about the latter unless `yes`; none are returned if the answer is no. Raises
    `click.UsageError` unless there are either tasks or a query.
    """
    if bool(tasks) == (query is not None):
        raise click.UsageError("Name the tasks, or give --query.")
    if query is None:
        return tuple(dict.fromkeys(tasks))
    must_ask = bulk.asks and not yes
    call = calls.tasks(q=checked_query([query], TASKS), status=bulk.statuses, limit=PAGE)
    terminal.preview(call)
    if must_ask and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(
            f"--query asks before it {bulk.verb}s: --yes goes without a terminal."
        )
    found: list[TaskResource] = []
    with terminal.client() as client:
        for page in client.pages(call):
            found += page.data
            if len(found) > MAX_TASKS:
                raise ConsoleError(
                    f"more than {MAX_TASKS} tasks fit, and that is the most at once:"
                    " narrow the query"
                )
    if not found:
        terminal.note(f"no task fits that can be {bulk.done}")
    elif must_ask and not _confirmed(bulk, found):
        return ()
    return tuple(task.id for task in found)


def each_task(
    terminal: Terminal,
    bulk: Bulk,
    tasks: Sequence[str],
    act: Callable[[Client, str], tuple[str, Any]],
) -> ExitCode:
    """Act on one task after the other; a refused one does not stop the others.

    `act` returns what is printed of the task, as text and as a value for --json. The exit code is
    that of the first task that was refused.
    """
    code = ExitCode.DONE
    with terminal.client() as client:
        for place, task in enumerate(tasks):
            try:
                text, value = act(client, task)
            except UnreachableError as exc:
                if len(tasks) == 1:
                    raise
                left = len(tasks) - place
                raise UnreachableError(
                    f"{exc}; {left} of {len(tasks)} were not {bulk.done}"
                ) from exc
            except ConsoleError as exc:
                told = about(exc, task) if isinstance(exc, ApiProblem) else _about(exc, task)
                if len(tasks) == 1:
                    raise told from exc
                print_error(told, as_json=terminal.as_json)
                code = code or exc.exit_code
            else:
                if terminal.as_json:
                    terminal.show(value)
                else:
                    echo(f"{task}  {text}")
    return code


def _confirmed(bulk: Bulk, tasks: Sequence[TaskResource]) -> bool:
    """List the tasks and ask."""
    for task in tasks:
        facts = (task.id, task.status, short_name(task.source), frames(task))
        echo("  ".join(str(fact) for fact in facts if fact), err=True)
    many = "this task" if len(tasks) == 1 else f"these {len(tasks)} tasks"
    return click.confirm(f"{bulk.verb.capitalize()} {many}?", err=True)


def _about(error: ConsoleError, task: str) -> ConsoleError:
    return type(error)(f"{task}: {error}")
