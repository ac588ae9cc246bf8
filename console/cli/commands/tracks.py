"""`framewire tracks`: track search."""

import click
import msgspec
from msgspec import UNSET

from api.contract.query.tracks import TRACKS
from api.contract.resources import TrackResource
from console.cli.commands.options import asks_api
from console.cli.completion import complete_class, complete_task
from console.cli.formatting import share
from console.cli.listing import (
    checked_query,
    extent,
    extent_options,
    note_counts,
    print_csv,
    rows_of,
)
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


@click.command
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
@extent_options(default_limit=50)
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
    created_from: str | None,
    created_to: str | None,
    limit: int,
    *,
    everything: bool,
    as_csv: bool,
) -> None:
    """Search the tracks of one task, or of all tasks of the project. QUERY narrows the list.

    For example `framewire tracks 'class:person dwell>5'`
    or `framewire tracks 'text~^AB[0-9] source:gate* age<7d'`.

    Fields: class, text, source and task with `:`, dwell, confidence, frames and age with < or >,
    text~PATTERN (RE2). Other words are looked for in class, text and task; - negates.
    """
    wanted = extent(
        created_from=created_from,
        created_to=created_to,
        limit=limit,
        everything=everything,
        as_csv=as_csv,
    )
    task = query[0] if query and query[0].startswith(TASK_ID_PREFIX) else None
    is_table = not (terminal.as_json or as_csv)
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
        created_from=wanted.created_from,
        created_to=wanted.created_to,
        with_counts=is_table,
        limit=wanted.page,
    )
    found, counts = rows_of(terminal, call, wanted.at_most)
    if terminal.as_json:
        terminal.show(found)
    elif as_csv:
        names = TrackResource.__struct_encode_fields__
        plain = (msgspec.to_builtins(track) for track in found)
        print_csv(names, ([row.get(name) for name in names] for row in plain))
    else:
        _print_table(terminal, found)
        note_counts(terminal, len(found), counts, "tracks")


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
