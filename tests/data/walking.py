"""A walk over a file in this process: what a decoder child does, without its start."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.sandbox.decoder import LocalFile
from streamproc.source.types import ResumePoint
from streamproc.source.video.container import VideoStream
from streamproc.source.video.frame_iterator import FrameIterator


class FarFile(LocalFile):
    """A file whose bytes come from far away; `blocks` are those of 128 KiB that were read."""

    BLOCK_BYTES = 128 * 1024

    def __init__(self, fd: int, *, is_arriving: bool = False) -> None:
        super().__init__(fd)
        self.is_far, self.is_arriving = True, is_arriving
        self.blocks: set[int] = set()

    def read(self, n_bytes: int) -> bytes:
        start = self.tell()
        data = super().read(n_bytes)
        self.blocks.update(range(start // self.BLOCK_BYTES, -(-self.tell() // self.BLOCK_BYTES)))
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        assert whence == os.SEEK_SET or not self.is_arriving, "the end is not there yet"
        return super().seek(offset, whence)


@contextmanager
def far_walking(
    file: FarFile,
    sampling: Sampling,
    frames: FrameRange,
    resume: ResumePoint | None = None,
    *,
    by_clock: bool = True,
    anchor_s: float | None = None,
) -> Iterator[FrameIterator]:
    """Walk over a file as a decoder child walks over one that is read over HTTP."""
    with closing(VideoStream(file, max_pixels=1_000_000)) as stream:
        yield FrameIterator(stream, sampling, frames, resume, by_clock=by_clock, anchor_s=anchor_s)


@contextmanager
def walking(
    path: Path,
    sampling: Sampling,
    frames: FrameRange,
    resume: ResumePoint | None,
    *,
    max_pixels: int = 1_000_000,
) -> Iterator[FrameIterator]:
    """Open the file and find its first frame; closed again at the end."""
    with (
        path.open("rb") as file,
        closing(VideoStream(LocalFile(file.fileno()), max_pixels=max_pixels)) as stream,
    ):
        yield FrameIterator(stream, sampling, frames, resume)
