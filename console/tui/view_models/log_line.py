"""One line of the event log, with the time and the note of its chunk. Pure."""

import msgspec

from streamproc.contract.chunk import Chunk, Notice, StreamInfo, decode_chunk
from streamproc.contract.framing import DONE, Event


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """One event of the log, at bytes `[start, end)`; `frame` and `time_ms` None for `[DONE]`.

    `time_ms` is the frame's time in the video, or, with `is_wall`, when it was captured (Unix).
    `note`: what a live source's chunk tells besides its targets; a notice has no `time_ms`.
    """

    start: int
    end: int
    frame: int | None
    n_targets: int
    elapsed_ms: int
    finish: str | None
    data: bytes
    time_ms: int | None = None
    is_wall: bool = False
    note: str | None = None

    @property
    def size_bytes(self) -> int:
        return self.end - self.start

    def chunk(self) -> Chunk | None:
        """Decode the event's chunk; None for `[DONE]`."""
        return None if self.frame is None else decode_chunk(self.data)


def read_line(event: Event) -> LogLine:
    """Convert an event to a line; raises `msgspec.DecodeError` if it is no chunk."""
    return line_of(event, None if event.data == DONE else decode_chunk(event.data))


def line_of(event: Event, chunk: Chunk | None) -> LogLine:
    """Convert an event and its chunk to a line; `chunk` None: it is `[DONE]`."""
    if chunk is None:
        return LogLine(event.start, event.end, None, 0, 0, None, event.data)
    info = chunk.stream_info
    return LogLine(
        event.start,
        event.end,
        info.frame_index,
        sum(len(result.targets) for result in chunk.delta.results),
        info.elapsed_ms,
        chunk.finish_reason,
        event.data,
        None if info.is_notice else time_ms(info),
        info.captured_ms is not None,
        _note(info),
    )


def time_ms(info: StreamInfo) -> int:
    """Return the frame's time in the video; logs of older versions have only its index.

    Of a live source it is when the frame was captured, in Unix milliseconds.
    """
    captured_ms = info.captured_ms
    if captured_ms is not None:
        return captured_ms
    if isinstance(info.time_s, float | int):
        return round(info.time_s * 1000)
    return round(info.frame_index * 1000 / info.fps) if info.fps > 0 else 0


def _note(info: StreamInfo) -> str | None:
    if isinstance(info.source, Notice):
        return f"{info.source.state}: {info.source.code}, {info.source.attempts} attempts"
    return f"after {info.gap.seconds:.1f} s: {info.gap.reason}" if info.gap else None
