"""A task's progress on stderr: one bar while a person watches, nothing in a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from console.cli.terminal import Terminal
from console.printable import echo
from streamproc.contract.chunk import Chunk


class ChunkProgress(Protocol):
    """What is told of a task's chunks as they come."""

    def update(self, chunk: Chunk) -> None: ...

    def say(self, line: str) -> None:
        """Print a line above the progress."""


class Unwatched:
    """Lines go to stdout; there is no bar."""

    def update(self, chunk: Chunk) -> None:
        """Nobody watches."""

    def say(self, line: str) -> None:
        echo(line)


@contextmanager
def chunk_progress(terminal: Terminal) -> Iterator[ChunkProgress]:
    """Yield what chunks are to be given to; the bar is gone afterwards."""
    if not terminal.is_watched:
        yield Unwatched()
        return
    from console.cli.progress_bar import ChunkBar  # noqa: PLC0415 - rich is slow to import

    with ChunkBar() as bar:
        yield bar
