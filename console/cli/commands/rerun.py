"""`framewire rerun`: the requests of one task, of several, or of all that fit a query, again."""

import uuid
from typing import Any

import click
import msgspec

from console.cli.bulk import Bulk, chosen_tasks, each_task, takes_tasks
from console.cli.commands.options import asks_api
from console.cli.completion import complete_task
from console.cli.terminal import Terminal
from console.client import calls
from console.client.sync_client import Client
from console.comparison.rerun import has_masked_url
from console.errors import ConsoleError
from console.exit_codes import ExitCode

_RERUN = Bulk("rerun", "submitted again")


@click.command
@takes_tasks(
    "Run all tasks that fit, as in `framewire list`, again; asks first.",
    complete_task,
)
@click.option("--yes", is_flag=True, help="With --query: do not ask.")
@asks_api
def rerun(terminal: Terminal, tasks: tuple[str, ...], query: str | None, *, yes: bool) -> int:
    """Run the requests of tasks again, each as a new task; the old ones stay as they are.

    Of several tasks each has its own result; the exit code is that of the first that was refused.
    A task whose URL held credentials cannot be run again: they are not kept.
    """
    chosen = chosen_tasks(terminal, _RERUN, tasks, query, yes=yes)
    if not chosen:
        return ExitCode.DONE
    terminal.preview(calls.task(chosen[0], include_request=True))
    action = uuid.uuid4().hex

    def act(client: Client, task: str) -> tuple[str, dict[str, Any]]:
        request = client.send(calls.task(task, include_request=True)).request
        if not isinstance(request, dict):
            raise ConsoleError("the api did not tell its request")
        if has_masked_url(request):
            raise ConsoleError(
                "its URL held credentials, which are not kept: submit it with the whole URL"
            )
        call = calls.submit(request, idempotency_key=f"{action}-{task}")
        accepted = client.send(call)
        value = {"rerun_of": task, **msgspec.to_builtins(accepted)}
        return f"submitted as {accepted.id}", value

    return each_task(terminal, _RERUN, chosen, act)
