"""What commands that list rows share: their options, the query, pages, CSV and the counts."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import click
from msgspec import UNSET

from api.contract.counts import Counts
from api.contract.query.parser import parse
from api.contract.query.terms import QueryError, Vocabulary
from api.contract.tasks import TaskPage
from api.contract.tracks import TrackPage
from console.cli.durations import ago
from console.cli.terminal import Terminal
from console.client.calls import Call
from console.printable import printable
from console.tui.drawing.formatting import grouped

P = TypeVar("P", TaskPage, TrackPage)
R = TypeVar("R")

PAGE = 200
"""Most rows that the api gives at once."""


class Extent(NamedTuple):
    """Which rows, and in which form. `at_most` None: all of them; times are RFC 3339 or Unix ms."""

    created_from: str | None
    created_to: str | None
    at_most: int | None
    as_csv: bool

    @property
    def page(self) -> int:
        return PAGE if self.at_most is None else min(self.at_most, PAGE)


def takes_extent(default_limit: int) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Decorator: add --from, --since, --to, --limit, --all and --csv; they come as `extent`."""

    def decorated(command: Callable[..., R]) -> Callable[..., R]:
        @wraps(command)
        def with_extent(
            *arguments: Any,
            created_from: str | None,
            created_to: str | None,
            limit: int,
            everything: bool,
            as_csv: bool,
            **others: Any,
        ) -> R:
            extent = Extent(
                None if created_from is None else ago(created_from),
                None if created_to is None else ago(created_to),
                None if everything else limit,
                as_csv,
            )
            return command(*arguments, extent=extent, **others)

        options = (
            click.option(
                "--from",
                "--since",
                "created_from",
                metavar="TIME",
                help="Created at or after: 2h, a date, RFC 3339 or Unix ms.",
            ),
            click.option("--to", "created_to", metavar="TIME", help="Created before, as --from."),
            click.option(
                "--limit",
                type=click.IntRange(1),
                default=default_limit,
                show_default=True,
                help="Most rows.",
            ),
            click.option("--all", "everything", is_flag=True, help="All rows, page by page."),
            click.option("--csv", "as_csv", is_flag=True, help="Print CSV."),
        )
        for option in reversed(options):
            with_extent = option(with_extent)
        return with_extent

    return decorated


def checked_query(words: Sequence[str], vocabulary: Vocabulary) -> str:
    """Return the words as one query; raises `click.UsageError` that shows where it is wrong."""
    text = " ".join(words)
    try:
        parse(text, vocabulary)
    except QueryError as exc:
        mark = " " * exc.position + "^"
        raise click.UsageError(f"{exc}\n  {printable(text)}\n  {mark}") from exc
    return text


def is_table(terminal: Terminal, extent: Extent) -> bool:
    """Return whether rows are printed as a table: then they are counted, too."""
    return not (terminal.as_json or extent.as_csv)


def print_rows(
    terminal: Terminal,
    call: Call[P],
    extent: Extent,
    noun: str,
    *,
    csv_columns: Sequence[str],
    csv_row: Callable[[Any], Sequence[object]],
    print_table: Callable[[Terminal, list[Any]], None],
) -> None:
    """Read as many pages as it takes, and print the rows: as JSON, CSV, or a table with counts."""
    found, counts = _rows_of(terminal, call, extent.at_most)
    if terminal.as_json:
        terminal.show(found)
    elif extent.as_csv:
        _print_csv(csv_columns, map(csv_row, found))
    else:
        print_table(terminal, found)
        _note_counts(terminal, len(found), counts, noun)


def _rows_of(
    terminal: Terminal, call: Call[P], at_most: int | None
) -> tuple[list[Any], Counts | None]:
    """Return the rows of as many pages as it takes, and the counts if the call asks for them."""
    terminal.preview(call)
    found: list[Any] = []
    counts: Counts | None = None
    with terminal.client() as client:
        for page in client.pages(call):
            if page.counts is not UNSET:
                counts = page.counts
            found += page.data
            if at_most is not None and len(found) >= at_most:
                break
    return found[:at_most], counts


def _print_csv(headers: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
    """Print a header and rows; unknown values are empty, control characters are escaped."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows(["" if cell is None else printable(str(cell)) for cell in row] for row in rows)
    click.echo(text.getvalue(), nl=False)


def _note_counts(terminal: Terminal, n_shown: int, counts: Counts | None, noun: str) -> None:
    """Say how many rows match and how many there are, if not all of them are shown."""
    if counts is None:
        return
    more = "+" if counts.is_capped is True else ""
    matching, total = (grouped(number) + more for number in (counts.matching, counts.all))
    if n_shown < counts.matching:
        of_all = f" (of {total})" if counts.matching < counts.all else ""
        terminal.note(f"{n_shown} of {matching} matching {noun}{of_all}: --all shows the rest")
    elif counts.matching < counts.all:
        terminal.note(f"{matching} of {total} {noun}")
