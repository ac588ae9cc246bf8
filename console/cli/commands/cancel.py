"""`framewire cancel`: one task, several, or all that fit a query."""

import sys
from collections.abc import Sequence

import click

from api.contract.query.tasks import TASKS
from api.contract.resources import TaskResource
from console.cli.commands.options import asks_api
from console.cli.completion import complete_open_task
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
"""Most tasks that one query may cancel."""
_OPEN = ("pending", "running")


@click.command
@click.argument("tasks", metavar="[TASK...]", nargs=-1, shell_complete=complete_open_task)
@click.option(
    "--query",
    metavar="QUERY",
    help="Cancel all tasks that fit, as in `framewire list`, and have not ended; asks first.",
)
@click.option("--yes", is_flag=True, help="With --query: do not ask.")
@asks_api
def cancel(terminal: Terminal, tasks: tuple[str, ...], query: str | None, *, yes: bool) -> int:
    """Cancel tasks. Their logs so far remain readable.

    Of several tasks each has its own result; the exit code is that of the first that was refused.
    """
    if bool(tasks) == (query is not None):
        raise click.UsageError("Name the tasks, or give --query.")
    if query is not None:
        tasks = _confirmed(terminal, checked_query([query], TASKS), yes=yes)
        if not tasks:
            return ExitCode.DONE
    terminal.preview(calls.cancel(tasks[0]))
    with terminal.client() as client:
        return _cancel_each(terminal, client, tuple(dict.fromkeys(tasks)))


def _cancel_each(terminal: Terminal, client: Client, tasks: Sequence[str]) -> ExitCode:
    """Cancel one after the other; a refused one does not stop the others."""
    code = ExitCode.DONE
    for place, task in enumerate(tasks):
        try:
            answer = client.send(calls.cancel(task))
        except UnreachableError as exc:
            if len(tasks) == 1:
                raise
            left = len(tasks) - place
            raise UnreachableError(f"{exc}; {left} of {len(tasks)} were not cancelled") from exc
        except ApiProblem as exc:
            if len(tasks) == 1:
                raise about(exc, task) from exc
            print_error(about(exc, task), as_json=terminal.as_json)
            code = code or exc.exit_code
        else:
            if terminal.as_json:
                terminal.show(answer)
            else:
                echo(f"{answer.id}  {answer.status}")
    return code


def _confirmed(terminal: Terminal, query: str, *, yes: bool) -> tuple[str, ...]:
    """Return the tasks that fit, which the user was asked about; none if the answer was no."""
    can_ask = sys.stdin.isatty() and sys.stderr.isatty()
    call = calls.tasks(q=query, status=_OPEN, limit=PAGE)
    terminal.preview(call)
    if not yes and not can_ask:
        raise click.UsageError("--query asks before it cancels: --yes goes without a terminal.")
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
        terminal.note("no task fits that has not ended")
    elif not yes:
        for task in found:
            facts = (task.id, task.status, short_name(task.source), frames(task))
            echo("  ".join(str(fact) for fact in facts if fact), err=True)
        many = "this task" if len(found) == 1 else f"these {len(found)} tasks"
        if not click.confirm(f"Cancel {many}?", err=True):
            return ()
    return tuple(task.id for task in found)
