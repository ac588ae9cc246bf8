"""A task's progress on stderr: one bar while a person watches, nothing in a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from console.terminal import Terminal
from streamproc.contract.chunk import Chunk


class ChunkSink(Protocol):
    """Takes a task's chunks as they come."""

    def __call__(self, chunk: Chunk) -> None: ...


@contextmanager
def chunk_progress(terminal: Terminal) -> Iterator[ChunkSink]:
    """Yield what chunks are to be given to; the bar is gone afterwards."""
    if not terminal.is_watched:
        yield lambda _chunk: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import, needed here alone
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("frame {task.completed:.0f}/{task.fields[of]}"),
        TextColumn("{task.fields[targets]} targets"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("waiting", total=None, of="?", targets=0)

        def update(chunk: Chunk) -> None:
            info = chunk.stream_info
            progress.update(
                bar,
                description="finished" if chunk.finish_reason else "processing",
                total=info.total_frames,
                completed=info.frame_index + 1,
                of="?" if info.total_frames is None else info.total_frames,
                targets=n_targets(chunk),
            )

        yield update


def n_targets(chunk: Chunk) -> int:
    """Return how many targets the chunk's frame has."""
    return sum(len(result.targets) for result in chunk.delta.results)
