"""`framewire stream`: read a task's log."""

import codecs
import sys

import click
import msgspec

from console.cli.commands.options import asks_api
from console.cli.completion import complete_task
from console.cli.terminal import Terminal
from console.client import calls
from console.client.log_stream import Following
from console.errors import ConsoleError, RequestWordsError
from console.exit_codes import ExitCode
from console.printable import on_terminal, printable_json
from streamproc.contract.chunk import Chunk, decode_chunk
from streamproc.contract.framing import DONE


class LogOffset(click.ParamType):
    """A byte of a log, or its end."""

    name = "byte"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return the number, or `end`."""
        if value == "end":
            return value
        if not (value.isascii() and value.isdecimal() and len(value) <= 19):
            self.fail(f"{value!r} is neither a log byte nor end", param, ctx)
        return int(value)


@click.command
@click.argument("task", shell_complete=complete_task)
@click.option(
    "--offset",
    type=LogOffset(),
    metavar="BYTE",
    help="Log byte to begin at, or end: what comes from now on.",
)
@click.option(
    "--from",
    "since",
    metavar="TIME",
    help="Begin at the first frame of this time, such as 2026-01-31T12:00:00Z.",
)
@click.option(
    "--heartbeat",
    type=click.IntRange(1, 300),
    metavar="SECONDS",
    help="Let the server say something after so much silence, where a proxy cuts what is silent.",
)
@asks_api
def stream(
    terminal: Terminal,
    task: str,
    offset: int | str | None,
    since: str | None,
    heartbeat: int | None,
) -> int:
    """Write a task's log to stdout: the exact bytes, or with --json one chunk per line.

    On a terminal, and with --json, control characters in texts are written as JSON escapes.

    After a broken connection it resumes at the next byte. Exits with 1 if the task failed. The
    first bytes of a live task's log may have expired: it begins at the first one that is kept, and
    refuses an --offset before it.
    """
    if offset is not None and since is not None:
        raise RequestWordsError("give --offset or --from, not both")
    start = since or offset or 0
    terminal.preview(calls.stream(task, start, heartbeat_s=heartbeat))
    out = sys.stdout.buffer

    def note_expired(first: int) -> None:
        click.echo(f"the log's bytes before {first} have expired: it begins there", err=True)

    following = Following(
        task, start, heartbeat_s=heartbeat, on_expired=None if start else note_expired
    )
    failed = False

    def note_cut(pause_s: float) -> None:
        terminal.note(f"cut at byte {following.offset}, again in {pause_s:.1f} s")

    with terminal.client() as client:
        shown = codecs.getincrementaldecoder("utf-8")("replace") if on_terminal() else None
        for piece in client.follow(following, on_cut=note_cut):
            if not terminal.as_json and shown is None:
                out.write(piece.data)
            elif not terminal.as_json and shown is not None:
                out.write(printable_json(shown.decode(piece.data)).encode())
            for event in piece.events:
                if event.data == DONE:
                    continue
                failed = failed or finishes_with_error(event.data)
                if terminal.as_json:
                    out.write(printable_json(event.data.decode()).encode() + b"\n")
            out.flush()
    return ExitCode.FAILED if failed else ExitCode.DONE


def finishes_with_error(data: bytes) -> bool:
    """Return whether the event is the terminal chunk of a failed task."""
    return b'"finish_reason":"error"' in data and read_chunk(data).finish_reason == "error"


def read_chunk(data: bytes) -> Chunk:
    """Decode a chunk; raises `ConsoleError` if the data is no chunk."""
    try:
        return decode_chunk(data)
    except msgspec.DecodeError as exc:
        raise ConsoleError("the stream contains an event that is not a chunk") from exc
