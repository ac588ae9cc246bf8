"""`framewire cancel`: one task, several, or all that fit a query."""

import click

from api.contract.tasks import CancelAccepted
from console.cli.bulk import Bulk, chosen_tasks, each_task, takes_tasks
from console.cli.commands.options import asks_api
from console.cli.completion import complete_open_task
from console.cli.terminal import Terminal
from console.client import calls
from console.client.sync_client import Client
from console.exit_codes import ExitCode

_CANCEL = Bulk("cancel", "cancelled", ("pending", "running"))


@click.command
@takes_tasks(
    "Cancel all tasks that fit, as in `framewire list`, and have not ended; asks first.",
    complete_open_task,
)
@click.option("--yes", is_flag=True, help="With --query: do not ask.")
@asks_api
def cancel(terminal: Terminal, tasks: tuple[str, ...], query: str | None, *, yes: bool) -> int:
    """Cancel tasks. Their logs so far remain readable.

    Of several tasks each has its own result; the exit code is that of the first that was refused.
    """
    chosen = chosen_tasks(terminal, _CANCEL, tasks, query, yes=yes)
    if not chosen:
        return ExitCode.DONE
    terminal.preview(calls.cancel(chosen[0]))

    def act(client: Client, task: str) -> tuple[str, CancelAccepted]:
        answer = client.send(calls.cancel(task))
        return answer.status, answer

    return each_task(terminal, _CANCEL, chosen, act)
