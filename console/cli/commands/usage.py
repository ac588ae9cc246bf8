"""`framewire usage`: usage per project and day, for the operator."""

import click

from console.cli.commands.options import asks_api
from console.cli.durations import day_ago
from console.cli.terminal import Terminal
from console.client import calls


@click.command
@click.option("--project", help="Only this project's.")
@click.option(
    "--from", "day_from", metavar="30d|DATE", help="First UTC day, YYYY-MM-DD or how long ago."
)
@click.option("--to", "day_to", metavar="30d|DATE", help="UTC day after the last one.")
@click.option(
    "--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="Rows at most."
)
@asks_api
def usage(
    terminal: Terminal, project: str | None, day_from: str | None, day_to: str | None, limit: int
) -> None:
    """Show the usage of each project per day (needs the operator's key)."""
    page = terminal.send(
        calls.usage(
            project=project,
            day_from=None if day_from is None else day_ago(day_from),
            day_to=None if day_to is None else day_ago(day_to),
            limit=limit,
        ),
        admin=True,
    )
    if terminal.as_json:
        terminal.show(page)
        return
    terminal.table(
        ("DAY", "PROJECT", "TASKS", "FRAMES", "DECODED", "PROCESSING S", "LOG BYTES"),
        [
            (
                day.day,
                day.project,
                day.tasks,
                day.processed_frames,
                day.decoded_frames,
                round(day.processing_s, 1),
                day.log_bytes,
            )
            for day in page.data
        ],
    )
    if page.next_cursor is not None:
        terminal.note("there are more: raise --limit, or name days")
