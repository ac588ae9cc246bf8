"""Counts of frames and targets of a chunk, as text."""

from typing import Protocol

from msgspec import UnsetType

from streamproc.contract.chunk import Chunk


class HasTotal(Protocol):
    """An object with a frame total (None: unknown): a chunk's info or a task's progress."""

    @property
    def total_frames(self) -> int | None: ...
    @property
    def total_frames_is_estimate(self) -> bool | UnsetType: ...


def total_text(counts: HasTotal) -> str:
    """Format the frame total: `120`, `~120` for an estimate, `?` if it is unknown."""
    if counts.total_frames is None:
        return "?"
    return f"{'~' if counts.total_frames_is_estimate is True else ''}{counts.total_frames}"


def n_targets(chunk: Chunk) -> int:
    """Return the number of targets in the chunk's frame."""
    return sum(len(result.targets) for result in chunk.delta.results)
