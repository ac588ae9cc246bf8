"""A task's progress on stderr: one bar while a person watches, nothing in a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from msgspec import UnsetType

from console.printable import echo
from console.terminal import Terminal
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
    from console.progress_bar import ChunkBar  # noqa: PLC0415 - rich is slow to import

    with ChunkBar() as bar:
        yield bar


class HasTotal(Protocol):
    """How many frames there are, None when nobody knows: a chunk's info, a task's progress."""

    @property
    def total_frames(self) -> int | None: ...
    @property
    def total_frames_is_estimate(self) -> bool | UnsetType: ...


def total_text(told: HasTotal) -> str:
    """Return `120`, `~120` for an estimate, `?` when it is not known."""
    if told.total_frames is None:
        return "?"
    return f"{'~' if told.total_frames_is_estimate is True else ''}{told.total_frames}"


def n_targets(chunk: Chunk) -> int:
    """Return how many targets the chunk's frame has."""
    return sum(len(result.targets) for result in chunk.delta.results)
