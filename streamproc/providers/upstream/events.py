"""SSE parser for an upstream's stream: bytes to events, events to frame results. No I/O.

Events may have only `data:` lines, as in the public reference: then an event's offset is the number
of bytes up to its end, counted here. A numeric `id:` gives the same offset and takes precedence.
"""

import base64
import binascii
import re
from typing import NamedTuple

import msgspec

from streamproc.contract.bounds import (
    MAX_INT64,
    plain_line,
    usable_count,
    usable_fps,
    usable_time_s,
)
from streamproc.contract.chunk import ChunkError, Target
from streamproc.contract.framing import DONE
from streamproc.contract.records import TrackVector
from streamproc.contract.topics import MAX_MESSAGE_BYTES
from streamproc.errors import TaskFailedError
from streamproc.providers.engine import EndOfStream, FrameResult
from streamproc.providers.upstream.chunk import UpstreamChunk, decode_upstream_chunk
from streamproc.source.types import FrameCounts

MAX_EVENT_BYTES = MAX_MESSAGE_BYTES // 2  # a chunk must fit into one of our records
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ADDRESS = re.compile(r"\S*://\S*")
_LONGEST_READ = 2000  # of a message, before it is redacted and truncated
_MAX_ID_DIGITS = len(str(MAX_INT64)) - 1


class UpstreamEvent(NamedTuple):
    """One event; `end` is the stream's byte offset just after it."""

    data: bytes
    end: int


class EventSplitter:
    """Splits a stream into events, from byte `offset` on, which is an event's first byte."""

    def __init__(self, offset: int) -> None:
        self._at = offset
        self._pending = bytearray()
        self._data: list[bytes] = []
        self._id: int | None = None
        self._n_bytes = 0

    def feed(self, data: bytes) -> list[UpstreamEvent]:
        """Return the events that `data` completes.

        Raises `TaskFailedError` on an event larger than `MAX_EVENT_BYTES`.
        """
        searched = len(self._pending)
        self._pending += data
        events: list[UpstreamEvent] = []
        start = 0
        while (stop := self._pending.find(b"\n", max(start, searched))) >= 0:
            line = bytes(self._pending[start:stop]).removesuffix(b"\r")
            self._at += stop + 1 - start
            start = stop + 1
            if line:
                self._n_bytes += len(line) + 1
                self._check_size(0)
                self._field(line)
                continue
            if self._data:
                end = self._at if self._id is None else self._id
                self._at = end
                events.append(UpstreamEvent(b"\n".join(self._data), end))
                self._data, self._id = [], None
            self._n_bytes = 0
        del self._pending[:start]
        self._check_size(len(self._pending))
        return events

    def _check_size(self, n_pending: int) -> None:
        """Check the event's size; all its lines count, also those without meaning."""
        if self._n_bytes + n_pending > MAX_EVENT_BYTES:
            raise TaskFailedError(
                "upstream_invalid", "the upstream sent an event over the size limit"
            )

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"id" and value.isdigit() and len(value) <= _MAX_ID_DIGITS:
            self._id = int(value)


class ChunkReader:
    """Converts one task's events to the items that an engine yields."""

    def __init__(self) -> None:
        self._best: dict[int, float] = {}

    def read(self, data: bytes) -> FrameResult | EndOfStream:
        """Decode an event.

        Raises `TaskFailedError` if it reports that the upstream's task failed, or if it is not a
        valid event of a Video API.
        """
        if data == DONE:
            raise TaskFailedError("upstream_failed", "the upstream ended without a finish_reason")
        try:
            chunk = decode_upstream_chunk(data)
        except msgspec.ValidationError as exc:
            raise _invalid(str(exc)) from exc
        except msgspec.DecodeError as exc:
            raise _invalid("not JSON") from exc
        if chunk.finish_reason is None:
            return self._frame(chunk)
        if chunk.finish_reason in {"stop", "max_frames"}:
            return _end(chunk)
        raise _failure(chunk)

    def _frame(self, chunk: UpstreamChunk) -> FrameResult:
        info = chunk.stream_info
        if info.frame_index < 0:
            raise _invalid("a frame with frame_index -1")
        targets = chunk.delta.results[0].targets if chunk.delta.results else ()
        return FrameResult(
            frame_index=info.frame_index,
            pts=-1,
            total_frames=usable_count(info.total_frames),
            counts=FrameCounts(info.decoded_frames, 0, info.dropped_frames),
            fps=usable_fps(info.fps),
            targets=targets,
            vectors=tuple(self._vectors(targets)),
            time_s=usable_time_s(info.time_s),
            sample_aspect=info.sample_aspect_ratio,
            frame_size=info.frame_size,
            index_is_exact=not info.frame_index_is_estimate,
        )

    def _vectors(self, targets: tuple[Target, ...]) -> list[TrackVector]:
        """Return the vectors of targets whose confidence is the highest of their track so far."""
        out: list[TrackVector] = []
        for target in targets:
            if not target.feature or target.confidence <= self._best.get(target.track_id, -1.0):
                continue
            try:
                vector = base64.b64decode(target.feature, validate=True)
            except (binascii.Error, ValueError):
                continue
            self._best[target.track_id] = target.confidence
            out.append(TrackVector(target.track_id, target.confidence, vector))
        return out


def _end(chunk: UpstreamChunk) -> EndOfStream:
    info, failed = chunk.stream_info, chunk.usage.failed_frames
    return EndOfStream(
        reason="max_frames" if chunk.finish_reason == "max_frames" else "stop",
        counts=FrameCounts(
            info.decoded_frames,
            min(failed, info.dropped_frames),
            max(0, info.dropped_frames - failed),
        ),
        total_frames=usable_count(info.total_frames),
        fps=usable_fps(info.fps),
    )


def _invalid(what: str) -> TaskFailedError:
    return TaskFailedError("upstream_invalid", plain_line(f"the upstream sent no chunk: {what}"))


def _failure(chunk: UpstreamChunk) -> TaskFailedError:
    """Return the upstream's own error: with its code, if valid, and a redacted message."""
    if chunk.finish_reason == "cancelled":
        return TaskFailedError("upstream_cancelled", "the task was cancelled at the upstream")
    error = chunk.error or ChunkError("upstream_failed", "the upstream gave no reason")
    text = error.message[:_LONGEST_READ]
    code = error.code if _CODE.fullmatch(error.code) else "upstream_failed"
    return TaskFailedError(code, plain_line(_ADDRESS.sub("[address]", text)))
