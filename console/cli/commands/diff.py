"""`framewire diff`: the same video again with another model, compared by its tracks."""

import time
from collections.abc import Generator
from contextlib import closing
from typing import TypeAlias, get_args

import click
import msgspec

from api.contract.tasks import TaskResource
from console.cli.commands.options import asks_api
from console.cli.commands.tasks import wait_for_end
from console.cli.terminal import Terminal
from console.client import calls
from console.client.log_stream import Following, is_final
from console.client.sync_client import Client
from console.comparison.fold import ComparisonFold, Side
from console.comparison.frames import SeenFrame, read_frames
from console.comparison.likeness import likeness
from console.comparison.report import Compared, Comparison, Difference
from console.comparison.requests import value_text
from console.comparison.rerun import (
    KINDS,
    Change,
    changed_request,
    check_source,
    read_parameters,
    same_source,
)
from console.comparison.result import Subject, compared
from console.comparison.tolerance import read_tolerance
from console.errors import ApiProblem, ComparisonError, ConsoleError, RequestWordsError
from console.exit_codes import ExitCode
from console.printable import echo
from streamproc.contract.task_spec import Precision

Frames: TypeAlias = Generator[list[SeenFrame], None, None]


@click.command
@click.argument("tasks", metavar="TASK...", nargs=-1, required=True)
@click.option("--model", metavar="NAME[@VERSION]", help="Run again with this model.")
@click.option(
    "--precision", type=click.Choice(get_args(Precision)), help="Run again in this precision."
)
@click.option(
    "--parameters",
    metavar="JSON",
    help='Run again with these parameters: \'{"detail": "fine"}\'; null is the default.',
)
@click.option(
    "--step", type=click.Choice(KINDS), help="The steps that --parameters is for (default detect)."
)
@click.option("--with", "other", metavar="TASK", help="Compare with this task; nothing runs again.")
@click.option(
    "--iou",
    "min_iou",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Overlap from which two boxes are one object.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="N|KIND=N",
    help="Accept so many differences, in all or of a kind; may be repeated.",
)
@click.option("--timeout", "timeout_s", type=click.FloatRange(0), help="Seconds to wait at most.")
@asks_api
def diff(
    terminal: Terminal,
    tasks: tuple[str, ...],
    other: str | None,
    min_iou: float,
    allow: tuple[str, ...],
    timeout_s: float | None,
    **change: str | None,
) -> ExitCode:
    """Process the videos of tasks again, with a change, and compare the tracks.

    Each TASK's request is submitted again with another model, precision or parameters of a step;
    or with --with, TASK is compared with a task that exists. Both have to succeed. The new tasks
    stay, as any other.

    Differences: lost and new tracks, tracks that are split or merged, that are switched between
    objects, and tracks of another class or text.

    Exits with 0 if there is no difference or --allow accepts them, with 7 if there are others, with
    1 if a task did not succeed. With --json, it prints one object per TASK.
    """
    wanted = _change(**change)
    tolerance = read_tolerance(allow)
    if other is not None and (len(tasks) > 1 or not wanted.is_empty):
        raise RequestWordsError("--with compares one TASK, and runs nothing again")
    if other is None and wanted.is_empty:
        raise RequestWordsError("give --model, --precision, --parameters, or --with TASK")
    terminal.preview(calls.task(tasks[0], include_request=True))
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    accepted = True
    with terminal.client() as client:
        firsts = [_subject(client, task) for task in tasks]
        if other is not None:
            seconds = [_subject(client, other)]
        else:
            seconds = _run_again(terminal, client, firsts, wanted)
        try:
            for first, second in zip(firsts, seconds, strict=True):
                for subject in (first, second):
                    _check_success(wait_for_end(client, subject.task, deadline_s))
                found = _compare(terminal, client, first, second, min_iou)
                accepted &= tolerance.accepts(found.counts)
                _print(terminal, found)
        except KeyboardInterrupt:
            if other is None:
                again = " ".join(second.task for second in seconds)
                terminal.note(f"what runs again is still running: `framewire cancel` {again}")
            return ExitCode.INTERRUPTED
    return ExitCode.DONE if accepted else ExitCode.DIFFERENT


def _change(
    *, model: str | None, precision: str | None, parameters: str | None, step: str | None
) -> Change:
    if step is not None and parameters is None:
        raise RequestWordsError("--step names the steps that --parameters is for")
    return Change(
        model, precision, None if parameters is None else read_parameters(parameters), step
    )


def _subject(client: Client, task_id: str) -> Subject:
    task = client.send(calls.task(task_id, include_request=True))
    if is_final(task):
        _check_success(task)
    if not isinstance(task.request, dict):
        raise ComparisonError(f"{task.id} came without its request")
    return Subject(task.id, task.request)


def _run_again(
    terminal: Terminal, client: Client, firsts: list[Subject], change: Change
) -> list[Subject]:
    """Submit all requests with the change, once all of them are known to be possible."""
    models = client.send(calls.models()).data
    requests = []
    for first in firsts:
        check_source(first.request)
        requests.append(changed_request(first.request, change, models))
    seconds = []
    for first, request in zip(firsts, requests, strict=True):
        seconds.append(Subject(client.send(calls.submit(request)).id, request))
        terminal.note(f"{first.task} runs again as {seconds[-1].task}")
    return seconds


def _check_success(task: TaskResource) -> None:
    if task.status != "succeeded":
        reason = f": {task.error.message} ({task.error.code})" if task.error else ""
        raise ComparisonError(f"{task.id} {task.status}{reason}")


def _compare(
    terminal: Terminal, client: Client, first: Subject, second: Subject, min_iou: float
) -> Comparison:
    """Read both logs side by side; look for what has no partner by its vector."""
    fold = ComparisonFold(min_iou=min_iou, same_source=same_source(first.request, second.request))
    with closing(_frames(client, first.task)) as a, closing(_frames(client, second.task)) as b:
        frames: dict[Side, Frames] = {"a": a, "b": b}
        while (side := fold.wants) is not None:
            piece = next(frames[side], None)
            if piece is None:
                fold.end(side)
            else:
                fold.feed(side, piece)
    found = compared(fold, first, second)
    try:
        return _with_likeness(client, found, fold)
    except ConsoleError as exc:  # what differs is known without it
        terminal.note(f"lost and new tracks were not looked for by their vectors: {exc}")
        return found


def _with_likeness(client: Client, found: Comparison, fold: ComparisonFold) -> Comparison:
    search = likeness(found, fold)
    try:
        call = next(search)
        while True:
            try:
                answer = client.send(call)
            except ApiProblem as exc:
                call = search.throw(exc)
            else:
                call = search.send(answer)
    except StopIteration as end:
        with_likeness: Comparison = end.value
        return with_likeness


def _frames(client: Client, task_id: str) -> Frames:
    try:
        for piece in client.follow(Following(task_id)):
            yield read_frames(piece.events)
    except msgspec.DecodeError as exc:
        raise ComparisonError(f"the log of {task_id} is not one that this client reads") from exc


def _print(terminal: Terminal, found: Comparison) -> None:
    if terminal.as_json:
        terminal.show(found)
        return
    terminal.table(
        ("", "TASK", "STEPS", "PRECISION", "FRAMES", "TRACKS"),
        [_side_row("a", found.a), _side_row("b", found.b)],
    )
    echo("")
    if found.requests:
        terminal.table(
            ("REQUEST", "A", "B"),
            [(one.field, value_text(one.a), value_text(one.b)) for one in found.requests],
        )
        echo("")
    if found.differences:
        terminal.table(
            ("DIFFERENCE", "A", "B", "CLASS", "FRAME", "TIME S", "FRAMES", "CHANGE"),
            [_row(one) for one in found.differences],
        )
        echo("")
    echo(found.summary)


def _side_row(name: str, side: Compared) -> tuple[object, ...]:
    steps = " → ".join(map(str, side.steps))
    return (name, side.task, steps, side.precision, side.frames, side.tracks)


def _row(one: Difference) -> tuple[object, ...]:
    return (
        one.kind,
        *one.tracks,
        one.class_name,
        one.frame,
        None if one.time_s is None else round(one.time_s, 2),
        f"{one.frames}/{one.of_frames}",
        one.change,
    )
