"""Task progress on stderr: a progress bar on a terminal, nothing otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from console.cli.terminal import Terminal
from console.printable import echo
from streamproc.contract.chunk import Chunk


class ChunkProgress(Protocol):
    """Progress display that receives a task's chunks."""

    def update(self, chunk: Chunk) -> None: ...

    def say(self, line: str) -> None:
        """Print a line above the progress bar."""


class Unwatched:
    """Progress without a bar: prints lines to stdout only."""

    def update(self, chunk: Chunk) -> None:
        """Do nothing."""

    def say(self, line: str) -> None:
        echo(line)


@contextmanager
def chunk_progress(terminal: Terminal) -> Iterator[ChunkProgress]:
    """Yield the progress display for a task's chunks; on exit the bar is removed."""
    if not terminal.is_watched:
        yield Unwatched()
        return
    from console.cli.progress_bar import ChunkBar  # noqa: PLC0415 - rich is slow to import

    with ChunkBar() as bar:
        yield bar
