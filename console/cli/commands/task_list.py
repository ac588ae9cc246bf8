"""`framewire list`: tasks by a query."""

from datetime import UTC, datetime

import click

from api.contract.query.tasks import SORT_KEYS, TASKS
from api.contract.tasks import STATUSES, TaskResource
from console.cli.commands.options import asks_api
from console.cli.formatting import age, frames
from console.cli.listing import Extent, checked_query, is_table, print_rows, takes_extent
from console.cli.query_command import QueryCommand
from console.cli.terminal import Terminal
from console.client import calls
from streamproc.contract.source_label import short_name

_SORTS = [f"{sign}{key}" for key in SORT_KEYS for sign in ("", "-")]
_CSV = (
    "id",
    "status",
    "created_at",
    "started_at",
    "finished_at",
    "source",
    "steps",
    "tracks",
    "processed_frames",
    "expected_frames",
    "provider",
    "model",
    "error_code",
    "error_message",
)


@click.command("list", cls=QueryCommand)
@click.argument("query", nargs=-1)
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="May be repeated."
)
@click.option(
    "--sort",
    type=click.Choice(_SORTS),
    metavar="KEY",
    help=f"One of {', '.join(SORT_KEYS)}; with - the largest first. Default: -created.",
)
@takes_extent(default_limit=20)
@asks_api
def list_tasks(
    terminal: Terminal,
    query: tuple[str, ...],
    statuses: tuple[str, ...],
    sort: str | None,
    extent: Extent,
) -> None:
    """List tasks, newest first. QUERY narrows the list.

    For example `framewire list 'status:failed,cancelled age<2h'`
    or `framewire list 'source:gate* -ocr fps<5 progress<50%'`.

    Fields: status, step, source, class, id, model, provider and error with `:`; age, ended,
    fps, progress and frames with < or >. Other words are looked for everywhere; - negates.
    """
    call = calls.tasks(
        q=checked_query(query, TASKS),
        status=statuses,
        sort=sort,
        created_from=extent.created_from,
        created_to=extent.created_to,
        with_counts=is_table(terminal, extent),
        limit=extent.page,
    )
    print_rows(
        terminal,
        call,
        extent,
        "tasks",
        csv_columns=_CSV,
        csv_row=_csv_row,
        print_table=_print_table,
    )


def _print_table(terminal: Terminal, found: list[TaskResource]) -> None:
    now = datetime.now(UTC)
    terminal.table(
        ("ID", "STATUS", "AGE", "SOURCE", "STEPS", "FRAMES", "TRACKS", "ERROR"),
        [
            (
                task.id,
                task.status,
                age((now - datetime.fromisoformat(task.created_at)).total_seconds()),
                short_name(task.source),
                ",".join(task.steps),
                frames(task),
                task.tracks,
                task.error.code if task.error else None,
            )
            for task in found
        ],
    )


def _csv_row(task: TaskResource) -> tuple[object, ...]:
    progress = task.progress
    return (
        task.id,
        task.status,
        task.created_at,
        task.started_at,
        task.finished_at,
        task.source,
        " ".join(task.steps),
        task.tracks or 0,
        progress.processed_frames,
        progress.expected_frames or None,
        task.provider,
        task.model,
        task.error.code if task.error else None,
        task.error.message if task.error else None,
    )
