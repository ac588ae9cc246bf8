"""A walk over a file in this process: what a decoder child does, without its start."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from streamproc.contract.spec import FrameRange, Sampling
from streamproc.source.child import LocalFile
from streamproc.source.stream import VideoStream
from streamproc.source.types import ResumePoint
from streamproc.source.walk import Walk


@contextmanager
def walking(
    path: Path,
    sampling: Sampling,
    frames: FrameRange,
    resume: ResumePoint | None,
    *,
    max_pixels: int = 1_000_000,
) -> Iterator[Walk]:
    """Open the file and find its first frame; closed again at the end."""
    with (
        path.open("rb") as file,
        closing(VideoStream(LocalFile(file.fileno()), max_pixels=max_pixels)) as stream,
    ):
        yield Walk(stream, sampling, frames, resume)
