"""`framewire run` and `framewire start`: submit a video."""

import shutil
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, get_args

import click

from api.contract.tasks import Accepted
from console.cli.chunk_lines import LINE_COLUMNS, LiveLines
from console.cli.commands.options import asks_api
from console.cli.commands.stream import read_chunk
from console.cli.commands.tasks import (
    failure,
    fetch_results,
    has_ended_well,
    print_results,
    wait_for_end,
)
from console.cli.completion import complete_classes, complete_source
from console.cli.progress import chunk_progress
from console.cli.request_builder import RequestWords, build_request
from console.cli.terminal import Terminal
from console.cli.typed_words import in_typed_words, submission_word
from console.client import calls
from console.client.log_stream import Following
from console.client.video_input import video_input
from console.errors import ApiProblem
from console.exit_codes import ExitCode
from console.printable import echo, echo_json
from streamproc.contract.bounds import MAX_RECORDING_S, MIN_RECORDING_S
from streamproc.contract.framing import DONE
from streamproc.contract.live_url import is_live
from streamproc.contract.task_spec import Precision

_MAX_STEPS_BYTES = 1024 * 1024  # far more than the api reads

_OPTIONS = (
    click.option(
        "--detect",
        multiple=True,
        metavar="CLASSES",
        shell_complete=complete_classes,
        help="Detect: `all`, or classes separated by commas; may be repeated.",
    ),
    click.option("--ocr", is_flag=True, help="Read text, in targets when there are any."),
    click.option(
        "--feature",
        is_flag=True,
        help="Compute a feature vector per target; without --detect, of all classes.",
    ),
    click.option("--include-vector", is_flag=True, help="Put the vectors into the stream, too."),
    click.option(
        "--threshold", type=click.FloatRange(0, 1), help="Confidence from which a detection counts."
    ),
    click.option(
        "--detail",
        type=click.Choice(("normal", "fine", "finest")),
        help="See each frame a second time, larger: for small objects.",
    ),
    click.option(
        "--when",
        multiple=True,
        metavar="STEP:CONDITION",
        help="Restrict a step: 'ocr:class_is=automobile,truck;min_confidence=.7'.",
    ),
    click.option(
        "--steps", metavar="JSON|@FILE", help="All steps as JSON instead of the options above."
    ),
    click.option(
        "--fps",
        type=click.FloatRange(0, min_open=True),
        help="Frames per second to process (default 1).",
    ),
    click.option("--interval", type=click.IntRange(1), help="Process every n-th frame."),
    click.option("--keyframes", is_flag=True, help="Process keyframes only."),
    click.option("--start", type=click.FloatRange(0), help="Where to begin."),
    click.option(
        "--end", type=click.FloatRange(0, min_open=True), help="Where to stop, itself excluded."
    ),
    click.option(
        "--unit",
        type=click.Choice(("seconds", "frames")),
        default="seconds",
        show_default=True,
        help="Unit of --start and --end.",
    ),
    click.option(
        "--max-frames", type=click.IntRange(1), help="Stop after so many processed frames."
    ),
    click.option(
        "--stream", type=click.IntRange(0), help="Number of the video in a file of several streams."
    ),
    click.option(
        "--transport",
        type=click.Choice(("tcp", "udp")),
        help="How to read a live source (default tcp).",
    ),
    click.option(
        "--on-loss",
        type=click.Choice(("skip", "conceal")),
        help="What of a live source a lost packet damaged: left out (default), or decoded.",
    ),
    click.option(
        "--max-lag",
        type=click.FloatRange(0.2, 60),
        metavar="SECONDS",
        help="Continue a live source at its newest keyframe when this far behind (default 2).",
    ),
    click.option(
        "--give-up",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="End the task when a live source was away for so long; without it, never.",
    ),
    click.option(
        "--retention-days",
        type=click.IntRange(0),
        metavar="DAYS",
        help="Keep a live task's log for so long (0: for ever); without it, as the server does.",
    ),
    click.option(
        "--record",
        type=click.IntRange(MIN_RECORDING_S, MAX_RECORDING_S),
        metavar="SECONDS",
        help="Record a live source, and keep what was recorded for so long.",
    ),
    click.option("--model", help="Provider routing hint, echoed in the first chunk."),
    click.option(
        "--precision",
        type=click.Choice(get_args(Precision)),
        help="Compute in this precision; without it, in that of the provider.",
    ),
    click.option(
        "--idempotency-key", metavar="TEXT", help="The same key and request: the same task."
    ),
)


def _describes_request(command: Callable[..., int]) -> Callable[..., int]:
    """Decorator: add FILE|URL and all request options, and pass the resulting call."""

    @wraps(command)
    def wrapped(
        terminal: Terminal, source: str, idempotency_key: str | None, **options: Any
    ) -> int:
        steps = options.pop("steps")
        if steps is not None and steps.startswith("@"):
            steps = _read_text(Path(steps[1:]))
        detect = options.pop("detect")
        words = RequestWords(steps=steps, detect=detect or None, **options)
        video = video_input(source, terminal.endpoint.file_roots)
        body = build_request(video, words)
        call = calls.submit(body, idempotency_key=idempotency_key)
        try:
            return command(terminal, call)
        except ApiProblem as exc:
            has_steps = steps is not None
            raise in_typed_words(
                exc,
                lambda field: submission_word(field, body, source=source, has_steps=has_steps),
            ) from exc

    decorated: Callable[..., int] = asks_api(wrapped)
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return click.argument("source", metavar="FILE|URL", shell_complete=complete_source)(decorated)


@click.command
@_describes_request
def start(terminal: Terminal, call: calls.Call[Accepted]) -> int:
    """Submit a video and print the task's id."""
    accepted = terminal.send(call)
    if terminal.as_json:
        terminal.show(accepted)
    else:
        echo(accepted.id)
    return 0


@click.command
@_describes_request
def run(terminal: Terminal, call: calls.Call[Accepted]) -> int:
    """Submit a video, follow the task to its end and print its tracks.

    Of a live source (rtsp, rtsps, camera:NAME) each frame is printed as it comes: a line, or with
    --json its chunk.

    Ctrl-C leaves the task running. Exits with 1 if the task did not succeed. A live one that was
    cancelled did: that is its usual end.
    """
    accepted = terminal.send(call)
    terminal.note(accepted.id)
    try:
        return follow_to_end(terminal, accepted.id, shows_chunks=_is_live(call))
    except KeyboardInterrupt:
        terminal.note(
            f"the task is still running: `framewire wait {accepted.id}`, "
            f"`framewire cancel {accepted.id}`"
        )
        return ExitCode.INTERRUPTED


def follow_to_end(terminal: Terminal, task_id: str, *, shows_chunks: bool = False) -> int:
    """Show the task's progress, then its tracks or its error; return the exit code."""
    lines = LiveLines(shutil.get_terminal_size((LINE_COLUMNS, 24)).columns)
    with terminal.client() as client:
        with chunk_progress(terminal) as progress:
            for piece in client.follow(Following(task_id)):
                for event in piece.events:
                    if event.data == DONE:
                        continue
                    chunk = read_chunk(event.data)
                    progress.update(chunk)
                    if shows_chunks and terminal.as_json:
                        echo_json(event.data)
                    elif shows_chunks:
                        for line in lines.lines(chunk):
                            progress.say(line)
        task = wait_for_end(client, task_id)
        if has_ended_well(task):
            print_results(terminal, fetch_results(client, task_id))
            return 0
    if terminal.as_json:
        terminal.show(task)
    raise failure(task)


def _is_live(call: calls.Call[Accepted]) -> bool:
    """Return whether the submitted video is a live source."""
    source = call.body["input"][0]
    return is_live(source.get("url", ""), is_asked=source.get("live") is not None)


def _read_text(path: Path) -> str:
    """Return the text of `--steps @FILE`; raises `click.BadParameter`."""
    try:
        with sys.stdin.buffer if str(path) == "-" else path.open("rb") as file:
            data = file.read(_MAX_STEPS_BYTES + 1)
        if len(data) > _MAX_STEPS_BYTES:
            raise click.BadParameter(
                f"{path} has more than {_MAX_STEPS_BYTES // 1024} KiB", param_hint="--steps"
            )
        return data.decode()
    except OSError as exc:
        raise click.BadParameter(f"{path}: {exc.strerror}", param_hint="--steps") from exc
    except UnicodeDecodeError as exc:
        raise click.BadParameter(f"{path} is not text (UTF-8)", param_hint="--steps") from exc
