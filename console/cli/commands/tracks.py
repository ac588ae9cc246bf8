"""`framewire tracks`: track search."""

import click
import msgspec
from msgspec import UNSET

from api.contract.query.tracks import TRACKS
from api.contract.tracks import TrackResource
from console.cli.commands.options import asks_api
from console.cli.completion import complete_class, complete_task
from console.cli.formatting import share
from console.cli.listing import Extent, checked_query, is_table, print_rows, takes_extent
from console.cli.query_command import QueryCommand
from console.cli.terminal import Terminal
from console.client import calls
from streamproc.contract.source_label import short_name
from streamproc.contract.tables import TASK_ID_PREFIX

_HEADERS = (
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
    "SOURCE",
)


@click.command(cls=QueryCommand)
@click.argument("query", metavar="[TASK] [QUERY]...", nargs=-1, shell_complete=complete_task)
@click.option(
    "--class",
    "classes",
    multiple=True,
    help="Only this class; may be repeated.",
    shell_complete=complete_class,
)
@click.option("--text", help="Only tracks with this text (OCR).")
@click.option(
    "--min-dwell",
    "min_dwell_s",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Least time between the first and the last sight.",
)
@click.option("--min-confidence", type=click.FloatRange(0, 1), help="Least best confidence.")
@click.option("--similar-to", metavar="TASK:TRACK", help="Nearest by feature vector first.")
@click.option("--like-text", metavar="WORDS", help="Nearest to these words first: 'red truck'.")
@click.option("--like-model", metavar="MODEL", help="The feature model for --like-text.")
@takes_extent(default_limit=50)
@asks_api
def tracks(  # one parameter per option
    terminal: Terminal,
    query: tuple[str, ...],
    classes: tuple[str, ...],
    text: str | None,
    min_dwell_s: float | None,
    min_confidence: float | None,
    similar_to: str | None,
    like_text: str | None,
    like_model: str | None,
    extent: Extent,
) -> None:
    """Search the tracks of one task, or of all tasks of the project. QUERY narrows the list.

    For example `framewire tracks 'class:person dwell>5'`
    or `framewire tracks 'text~^AB[0-9] source:gate* age<7d'`.

    Fields: class, text, source and task with `:`, dwell, confidence, frames and age with < or >,
    text~PATTERN (RE2). Other words are looked for in class, text and task; - negates.
    """
    task = query[0] if query and query[0].startswith(TASK_ID_PREFIX) else None
    call = calls.tracks(
        q=checked_query(query if task is None else query[1:], TRACKS),
        task_id=task,
        classes=classes,
        text=text,
        min_dwell_s=min_dwell_s,
        min_confidence=min_confidence,
        similar_to=similar_to,
        like_text=like_text,
        like_model=like_model,
        created_from=extent.created_from,
        created_to=extent.created_to,
        with_counts=is_table(terminal, extent),
        limit=extent.page,
    )
    print_rows(
        terminal,
        call,
        extent,
        "tracks",
        csv_columns=TrackResource.__struct_encode_fields__,
        csv_row=_csv_row,
        print_table=_print_table,
    )


def _csv_row(track: TrackResource) -> list[object]:
    plain = msgspec.to_builtins(track)
    return [plain.get(name) for name in TrackResource.__struct_encode_fields__]


def _print_table(terminal: Terminal, found: list[TrackResource]) -> None:
    has_distance = any(track.distance is not UNSET for track in found)
    terminal.table(
        [*_HEADERS, *(["DISTANCE"] if has_distance else [])],
        [
            [
                track.task,
                track.track_id,
                track.class_name,
                track.first_frame,
                track.last_frame,
                track.frames_seen,
                f"{track.best_confidence:.4f}",
                None if track.dwell_s is None else f"{track.dwell_s:7.2f}",
                track.text,
                share(track.text_support),
                short_name(track.source) or None,
                *([f"{track.distance:.4f}"] if has_distance else []),
            ]
            for track in found
        ],
    )
