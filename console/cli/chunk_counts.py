from typing import Protocol

from msgspec import UnsetType

from streamproc.contract.chunk import Chunk


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
