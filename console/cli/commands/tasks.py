"""`framewire status`, `results`, `wait`: commands on tasks."""

import itertools
import time

import click
import msgspec
from msgspec import UNSET

from api.contract.tasks import ResultResource, TaskResource
from console.cli.commands.options import asks_api
from console.cli.completion import complete_open_task, complete_task
from console.cli.formatting import frames, share
from console.cli.terminal import Terminal
from console.cli.typed_words import about
from console.client import calls
from console.client.log_stream import is_final
from console.client.sync_client import Client
from console.errors import ApiProblem, StillRunningError, TaskFailedError
from console.exit_codes import ExitCode
from console.printable import echo, printable
from console.tui.drawing.formatting import live_text

_POLLS_S = (0.2, 0.3, 0.5, 1.0)
_INDEX_PATIENCE_S = 60.0


@click.command
@click.argument("task", shell_complete=complete_task)
@click.option("--request", "with_request", is_flag=True, help="Show the request, too.")
@asks_api
def status(terminal: Terminal, task: str, *, with_request: bool) -> int:
    """Show a task. Exits with 1 if it failed."""
    found = terminal.send(calls.task(task, include_request=with_request))
    if terminal.as_json:
        terminal.show(found)
    else:
        print_task(terminal, found)
    return ExitCode.FAILED if found.status == "failed" else ExitCode.DONE


@click.command
@click.argument("task", shell_complete=complete_task)
@click.option("--partial", is_flag=True, help="Those so far, of any task.")
@asks_api
def results(terminal: Terminal, task: str, *, partial: bool) -> None:
    """Show the tracks of a task that succeeded, or of a live one that was cancelled."""
    terminal.preview(calls.results(task, partial=partial))
    with terminal.client() as client:
        print_results(terminal, fetch_results(client, task, partial=partial))


@click.command
@click.argument(
    "tasks", metavar="TASK...", nargs=-1, required=True, shell_complete=complete_open_task
)
@click.option("--timeout", "timeout_s", type=click.FloatRange(0), help="Seconds to wait at most.")
@asks_api
def wait(terminal: Terminal, tasks: tuple[str, ...], timeout_s: float | None) -> int:
    """Wait until the tasks have ended.

    Exits with 1 if one did not succeed, and with 6 if --timeout is over before all have ended. A
    live one that was cancelled did succeed.
    """
    terminal.preview(calls.task(tasks[0]))
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    with terminal.client() as client:
        ended = [_wait_for(client, task, deadline_s) for task in tasks]
    for task in ended:
        if terminal.as_json:
            terminal.show(task)
        else:
            echo(f"{task.id}  {task.status}")
    return ExitCode.DONE if all(map(has_ended_well, ended)) else ExitCode.FAILED


def _wait_for(client: Client, task: str, deadline_s: float | None) -> TaskResource:
    """Wait for a task's end; an error names the task, which may be one of many."""
    try:
        return wait_for_end(client, task, deadline_s)
    except ApiProblem as exc:
        raise about(exc, task) from exc


def wait_for_end(client: Client, task_id: str, deadline_s: float | None = None) -> TaskResource:
    """Poll until the task's status is final and return it.

    Raises `StillRunningError` after the deadline.
    """
    for pause_s in itertools.chain(_POLLS_S, itertools.repeat(_POLLS_S[-1])):
        task = client.send(calls.task(task_id))
        if is_final(task):
            return task
        if deadline_s is not None and time.monotonic() + pause_s > deadline_s:
            raise StillRunningError(f"{task_id} is still {task.status}")
        time.sleep(pause_s)
    raise AssertionError  # the iterator never ends


def has_ended_well(task: TaskResource) -> bool:
    """Return whether the task succeeded, or is a live one that was cancelled: its usual end."""
    is_cancelled_live = task.status == "cancelled" and task.live is not UNSET
    return task.status == "succeeded" or is_cancelled_live


def failure(task: TaskResource) -> TaskFailedError:
    """Return the error for a task that ended without success."""
    reason = f": {task.error.message} ({task.error.code})" if task.error else ""
    code = task.error.code if task.error else task.status
    return TaskFailedError(f"{task.id} {task.status}{reason}", code)


def fetch_results(client: Client, task_id: str, *, partial: bool = False) -> ResultResource:
    """Return the results, all pages; retry for up to 60 s while the index lags behind (503)."""
    found = _fetch_page(client, calls.results(task_id, partial=partial))
    tracks = list(found.tracks)
    while isinstance(found.next_cursor, str):
        cursor = found.next_cursor
        found = _fetch_page(client, calls.results(task_id, partial=partial, cursor=cursor))
        tracks += found.tracks
    return msgspec.structs.replace(found, tracks=tracks)


def _fetch_page(client: Client, call: calls.Call[ResultResource]) -> ResultResource:
    deadline_s = time.monotonic() + _INDEX_PATIENCE_S
    while True:
        try:
            return client.send(call)
        except ApiProblem as exc:
            if exc.status != 503 or time.monotonic() >= deadline_s:
                raise
        time.sleep(_POLLS_S[-1])


def print_results(terminal: Terminal, found: ResultResource) -> None:
    """Print the table of tracks, without the text and feature columns if they are empty."""
    if terminal.as_json:
        terminal.show(found)
        return
    has_text = any(track.text for track in found.tracks)
    has_feature = any(track.feature_digest for track in found.tracks)
    has_times = any(track.first_seen_at for track in found.tracks)
    headers = ["TRACK", "CLASS", "FIRST", "LAST", "FRAMES", "CONFIDENCE", "DWELL S"]
    headers += ["FIRST SEEN", "LAST SEEN"] if has_times else []
    headers += ["TEXT", "SUPPORT"] if has_text else []
    headers += ["FEATURE"] if has_feature else []
    rows: list[list[object]] = []
    for track in found.tracks:
        row: list[object] = [
            track.track_id,
            track.class_name,
            track.first_frame,
            track.last_frame,
            track.frames_seen,
            track.best_confidence,
            None if track.dwell_s is None else round(track.dwell_s, 2),
        ]
        row += [track.first_seen_at, track.last_seen_at] if has_times else []
        row += [track.text, share(track.text_support)] if has_text else []
        row += [track.feature_digest] if has_feature else []
        rows.append(row)
    terminal.table(headers, rows)
    usage = found.usage
    so_far = " so far" if found.partial is True else ""
    terminal.note(
        f"{len(found.tracks)} tracks in {usage.processed_frames} frames, "
        f"{usage.processing_time_ms / 1000:.1f} s{so_far}"
    )


def print_task(terminal: Terminal, task: TaskResource) -> None:
    """Print a task, one line of name and value per field."""
    fields = {
        "id": task.id,
        "status": task.status,
        "created": task.created_at,
        "started": task.started_at,
        "finished": task.finished_at,
        "model": task.model,
        "provider": task.provider,
        "frames": frames(task),
        "live": live_text(task),
        "error": f"{task.error.code}: {task.error.message}" if task.error else None,
    }
    for name, value in fields.items():
        if value is not None:
            echo(f"{name:<9} {printable(value)}")
    if isinstance(task.request, dict):
        terminal.show(task.request)
