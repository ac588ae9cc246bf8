"""`framewire audit`: the audit trail."""

import click

from console.cli.commands.options import asks_api
from console.cli.durations import ago
from console.cli.terminal import Terminal
from console.client import calls
from streamproc.contract.audit import OUTCOMES


@click.command
@click.option("--project", help="Only what concerns this project.")
@click.option("--actor", help="Only of this key's id, of `admin`, or of `-`: nobody known.")
@click.option("--action", help="Only this action: task.submit, key.create …")
@click.option("--object", "touched", help="Only what was done to this id.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Only with this outcome.")
@click.option("--since", metavar="24h|DATE|TIME", help="Only what happened from then on.")
@click.option(
    "--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="Records at most."
)
@asks_api
def audit(
    terminal: Terminal,
    project: str | None,
    actor: str | None,
    action: str | None,
    touched: str | None,
    outcome: str | None,
    since: str | None,
    limit: int,
) -> None:
    """Show the audit trail (who did what), newest first.

    Needs the operator's key, or a project's key with the scope admin:project.
    """
    call = calls.audit(
        project=project,
        actor=actor,
        action=action,
        touched=touched,
        outcome=outcome,
        since=None if since is None else ago(since),
        limit=limit,
    )
    page = terminal.send_as_keeper(call)
    if terminal.as_json:
        terminal.show(page.data)
        return
    terminal.table(
        ("AT", "ACTOR", "PROJECT", "ACTION", "OBJECT", "OUTCOME", "FROM", "DETAIL"),
        [
            (r.at, r.actor, r.project, r.action, r.object, r.outcome, r.address, r.detail[:60])
            for r in page.data
        ],
    )
