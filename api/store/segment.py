"""A segment of an archived log, as a listing of S3 names it."""

from typing import NamedTuple


class Segment(NamedTuple):
    """A segment as a listing shows it: log bytes `[start, start + size_bytes)`, immutable."""

    start: int
    size_bytes: int

    @property
    def end(self) -> int:
        return self.start + self.size_bytes
