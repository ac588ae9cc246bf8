"""Progress bar of a running task on a terminal (rich)."""

from typing import Self

from msgspec import UNSET
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from console.cli.chunk_counts import n_targets, total_text
from console.printable import printable
from streamproc.contract.chunk import Chunk


class ChunkBar:
    """Progress bar on stderr: frame of total, targets of the last chunk, elapsed time.

    A live source has no total; while it is lost, the bar says so.
    """

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("frame {task.completed:.0f}{task.fields[of]}"),
            TextColumn("{task.fields[targets]} targets"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar = self._progress.add_task("waiting", total=None, of="/?", targets=0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, chunk: Chunk) -> None:
        info = chunk.stream_info
        self._progress.update(
            self._bar,
            description=_description(chunk),
            total=info.total_frames,
            completed=info.frame_index + 1,
            of=f"/{total_text(info)}" if info.captured_at is UNSET else "",
            targets=n_targets(chunk),
        )

    def say(self, line: str) -> None:
        self._progress.console.print(printable(line), highlight=False, markup=False, soft_wrap=True)


def _description(chunk: Chunk) -> str:
    if chunk.finish_reason:
        return "finished"
    source = chunk.stream_info.source
    return "processing" if source is UNSET else printable(source.state)
