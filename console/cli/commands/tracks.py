"""`framewire tracks`: track search."""

import click

from console.cli.commands.options import asks_api
from console.cli.completion import complete_class, complete_task
from console.cli.formatting import share
from console.cli.terminal import Terminal
from console.client import calls


@click.command
@click.argument("task", required=False, shell_complete=complete_task)
@click.option("--class", "class_name", help="Only this class.", shell_complete=complete_class)
@click.option("--text", help="Only tracks with this text (OCR).")
@click.option(
    "--min-dwell",
    "min_dwell_s",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Only tracks that were seen for so long.",
)
@click.option(
    "--min-confidence", type=click.FloatRange(0, 1), help="Only tracks that were once so certain."
)
@click.option("--similar-to", metavar="TASK:TRACK", help="Nearest by feature vector first.")
@click.option(
    "--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="Tracks at most."
)
@asks_api
def tracks(  # one parameter per option
    terminal: Terminal,
    task: str | None,
    class_name: str | None,
    text: str | None,
    min_dwell_s: float | None,
    min_confidence: float | None,
    similar_to: str | None,
    limit: int,
) -> None:
    """Search the tracks of one task, or of all tasks of the project."""
    page = terminal.send(
        calls.tracks(
            task_id=task,
            class_name=class_name,
            text=text,
            min_dwell_s=min_dwell_s,
            min_confidence=min_confidence,
            similar_to=similar_to,
            limit=limit,
        )
    )
    if terminal.as_json:
        terminal.show(page)
        return
    headers = [
        "TASK",
        "TRACK",
        "CLASS",
        "FIRST",
        "LAST",
        "FRAMES",
        "CONFIDENCE",
        "DWELL S",
        "TEXT",
        "SUPPORT",
    ]
    headers += ["DISTANCE"] if similar_to else []
    rows: list[list[object]] = []
    for track in page.data:
        row: list[object] = [
            track.task,
            track.track_id,
            track.class_name,
            track.first_frame,
            track.last_frame,
            track.frames_seen,
            track.best_confidence,
            None if track.dwell_s is None else round(track.dwell_s, 2),
            track.text,
            share(track.text_support),
        ]
        row += [track.distance] if similar_to else []
        rows.append(row)
    terminal.table(headers, rows)
    if page.next_cursor is not None:
        terminal.note("there are more: raise --limit")
