"""Messages between the api and its preview child process (`streamproc.preview`)."""

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
    """Request for one frame: `index` is 0-based in the source.

    `range_start_s`: start of the task's range in seconds; its frame numbers may be estimates that
    count from there.
    `own_host` (host:port) is set for an object in Framewire's own bucket: then only that host may
    be read. `width_px` limits the image's width. `recorded`: the URL is that of a recording's piece
    (`contract.recordings`), and the index is the task's.
    """

    url: str
    index: int
    width_px: int | None = None
    own_host: str | None = None
    boxes: tuple[Box, ...] = ()
    stream: int | None = None
    range_start_s: float | None = None
    recorded: bool = False

    def __repr__(self) -> str:
        """Omit the URL: it may be presigned."""
        return f"FrameOrder(index={self.index}, width_px={self.width_px})"


class FrameAnswer(msgspec.Struct, frozen=True):
    """Header line before `size_bytes` of JPEG; width and height of the source's frame in pixels.

    `captured_ms`: when a recorded frame was captured, Unix ms.
    """

    size_bytes: int
    width_px: int = 0
    height_px: int = 0
    error_code: str | None = None
    error: str | None = None
    captured_ms: int | None = None


NO_SUCH_FRAME = "no_such_frame"
STORE_UNAVAILABLE = "store_unavailable"
"""The video is in Framewire's own bucket, which cannot be read now."""
PASSING_ERRORS = frozenset({"source_timeout", "decoder_crashed", "source_closed"})
