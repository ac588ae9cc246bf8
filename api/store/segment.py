"""A segment of an archived log, as listed in S3."""

from typing import NamedTuple


class Segment(NamedTuple):
    """An immutable segment in S3: log bytes `[start, start + size_bytes)`."""

    start: int
    size_bytes: int

    @property
    def end(self) -> int:
        return self.start + self.size_bytes
