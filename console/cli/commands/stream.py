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
from console.errors import ConsoleError
from console.exit_codes import ExitCode
from console.printable import on_terminal, printable_json
from streamproc.contract.chunk import Chunk, decode_chunk
from streamproc.contract.framing import DONE


@click.command
@click.argument("task", shell_complete=complete_task)
@click.option(
    "--offset", type=click.IntRange(0), default=0, show_default=True, help="Log byte to begin at."
)
@click.option(
    "--heartbeat",
    type=click.IntRange(1, 300),
    metavar="SECONDS",
    help="Let the server say something after so much silence, where a proxy cuts what is silent.",
)
@asks_api
def stream(terminal: Terminal, task: str, offset: int, heartbeat: int | None) -> int:
    """Write a task's log to stdout: the exact bytes, or with --json one chunk per line.

    On a terminal, and with --json, control characters in texts are written as JSON escapes.

    After a broken connection it resumes at the next byte. Exits with 1 if the task failed.
    """
    terminal.preview(calls.stream(task, offset, heartbeat_s=heartbeat))
    out = sys.stdout.buffer
    following = Following(task, offset, heartbeat_s=heartbeat)
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
