"""`framewire export`: the tracks of one task, of several, or of all that fit a query, in files."""

from pathlib import Path
from typing import Any

import click

from console.cli.bulk import Bulk, chosen_tasks, each_task, takes_tasks
from console.cli.commands.options import asks_api
from console.cli.completion import complete_task
from console.cli.terminal import Terminal
from console.client import calls
from console.client.sync_client import Client
from console.errors import ConsoleError
from console.exit_codes import ExitCode
from console.export.target import ExportTarget, read_target
from console.export.writer import TrackWriter, open_writer

_EXPORT = Bulk("export", "exported", ("succeeded",), asks=False)


@click.command
@takes_tasks(
    "Export all tasks that fit, as in `framewire list`, and have succeeded.", complete_task
)
@click.option(
    "--to",
    "place",
    required=True,
    metavar="FILE|DIR/",
    help="A .json or .csv file; or DIR/ or DIR/*.csv, for a file for each task.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@asks_api
def export(
    terminal: Terminal, tasks: tuple[str, ...], query: str | None, place: str, *, force: bool
) -> int:
    """Write the tracks of tasks to one file, in which each row names its `task`, or to many.

    Of several tasks each has its own result; the exit code is that of the first that was refused.
    """
    target = _target(place)
    chosen = chosen_tasks(terminal, _EXPORT, tasks, query)
    if not chosen:
        return ExitCode.DONE
    terminal.preview(calls.results(chosen[0]))
    if not force:
        _refuse_existing(target, chosen)
    writer: TrackWriter | None = None

    def act(client: Client, task: str) -> tuple[str, dict[str, Any]]:
        nonlocal writer
        tracks = client.send(calls.results(task)).tracks
        writer = writer or open_writer(target, may_replace=force)
        writer.write(task, tracks)
        (path,) = target.files([task])
        return f"{len(tracks)} tracks", {"id": task, "tracks": len(tracks), "file": str(path)}

    try:
        code = each_task(terminal, _EXPORT, chosen, act)
    except BaseException:
        if writer is not None:
            writer.close(is_wanted=False)
        raise
    if writer is not None:
        writer.close(is_wanted=True)
    terminal.note(f"in {target.path}" if writer is not None else "nothing was written")
    return code


def _target(place: str) -> ExportTarget:
    try:
        return read_target(place)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--to") from exc


def _refuse_existing(target: ExportTarget, tasks: tuple[str, ...]) -> None:
    """Raise `ConsoleError` if a file would be replaced."""
    found: list[Path] = [path for path in target.files(tasks) if path.exists()]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ConsoleError(f"{found[0]}{more} exists already: --force replaces it")
