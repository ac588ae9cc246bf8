"""What the api asks of its frame child and what that answers: `streamproc.preview`."""

import msgspec


class Box(msgspec.Struct, frozen=True):
    """A target to draw, in source pixels."""

    track_id: int
    label: str
    left: int
    top: int
    width: int
    height: int


class FrameOrder(msgspec.Struct, frozen=True):
    """One frame: `index` is 0-based in the source.

    `range_start_s`: the task's range in seconds begins there; its frames' numbers may be estimates
    that count from there.
    `own_host` (host:port) is set for an object of Framewire's own bucket: it alone may be read
    then. `width_px` bounds the picture's width.
    """

    url: str
    index: int
    width_px: int | None = None
    own_host: str | None = None
    boxes: tuple[Box, ...] = ()
    stream: int | None = None
    range_start_s: float | None = None

    def __repr__(self) -> str:
        """Leave the URL out: it may be presigned."""
        return f"FrameOrder(index={self.index}, width_px={self.width_px})"


class FrameAnswer(msgspec.Struct, frozen=True):
    """The line before `size_bytes` of JPEG; width and height of the source's frame in pixels."""

    size_bytes: int
    width_px: int = 0
    height_px: int = 0
    error_code: str | None = None
    error: str | None = None


NO_SUCH_FRAME = "no_such_frame"
STORE_UNAVAILABLE = "store_unavailable"
"""The video lies in Framewire's own bucket, and that cannot be read now."""
PASSING_ERRORS = frozenset({"source_timeout", "decoder_crashed", "source_closed"})
