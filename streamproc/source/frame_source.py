"""`open_source`: iterator over a video's frames, decoded in a sandboxed child process.

    with open_source(spec, policy, outputs) as source:
        for frame in source:
            ...                 # frame.image, frame.scaled: arrays over shared memory
            frame.release()     # returns the slot; the arrays may change after this
        source.usage()

Backpressure: at most `source.n_slots` frames may be unreleased at once. The next one blocks until
one is released.
"""

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Final, Self

from streamproc.contract.bounds import plain_line
from streamproc.source.errors import (
    DecoderCrashedError,
    SourceClosedError,
    SourceError,
    SourceTimeoutError,
    SourceTruncatedError,
    StoreAwayError,
    from_code,
)
from streamproc.source.fetch.byte_reader import ByteReader, fingerprint
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.open_deadline import open_deadline
from streamproc.source.fetch.opener import open_reader
from streamproc.source.fetch.own_store import StoreReader
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.fetch.transfer_rate import Pace
from streamproc.source.sandbox import decoder_client, frame_pool, ipc
from streamproc.source.sandbox.byte_server import ByteServer
from streamproc.source.sandbox.slot_loans import SlotLoans
from streamproc.source.types import (
    FrameCounts,
    FrameOutputs,
    Image,
    ResumePoint,
    SourceInfo,
    SourceSpec,
    SourceUsage,
)

_POLL_S: Final = 1.0
_MORE_QUESTIONS: Final = 4


class Frame:
    """One delivered frame.

    `index`: 0-based in the source, presentation order. `pts`: in `SourceInfo.time_base`.
    `time_s`: since the source's first frame. `image`: (height, width, 3) uint8 BGR upright, or
    None. `scaled`: (height, width, 3) uint8 BGR of the requested size, or None. `decoded`,
    `failed`, `skipped`: frames of the range so far, this one included. `pos`: position of its
    packet in the file. `size`: (width, height) of the stored frame when upright, None if it is the
    first frame's. `index_is_estimate`: the start of the range was found by its time.
    """

    __slots__ = (
        *("index", "pts", "time_s", "image", "scaled", "counts", "pos"),
        *("size", "index_is_estimate", "_source", "_slot"),
    )

    def __init__(self, shown: ipc.FrameReady, source: "FrameSource") -> None:
        self.index = shown.index
        self.pts = shown.pts
        self.time_s = shown.time_s
        self.counts = FrameCounts(shown.decoded, shown.failed, shown.skipped)
        self.pos = shown.pos
        self.size = shown.size
        self.index_is_estimate = shown.index_is_estimate
        self._slot = shown.slot
        self._source: FrameSource | None = source
        self.image: Image | None
        self.scaled: Image | None
        self.image, self.scaled = source.images(shown.slot)

    @property
    def resume_point(self) -> ResumePoint:
        """Point from which a later `open_source` continues after this frame."""
        return ResumePoint(
            self.index,
            self.pts,
            *self.counts,
            self.pos,
            index_is_estimate=self.index_is_estimate,
        )

    def release(self) -> None:
        """Return the slot to the pool; a second call does nothing. Any thread may call it."""
        source, self._source = self._source, None
        self.image = self.scaled = None
        if source is not None:
            source.release(self._slot)

    def __del__(self) -> None:
        """Free the slot of a frame that is garbage collected."""
        self.release()


class FrameSource:
    """A running decode: `info`, the frames (one iteration), `usage()` after the last frame."""

    def __init__(
        self,
        reader: ByteReader,
        spec: SourceSpec,
        policy: FetchPolicy,
        outputs: FrameOutputs,
        resume: ResumePoint | None,
        interrupt: Interrupt,
    ) -> None:
        self._reader = reader
        self._interrupt = interrupt
        self._policy = policy
        self._closed = threading.Event()
        self._usage: SourceUsage | None = None
        self.n_frames: int | None = None
        """Number of frames of the whole source; None before its end has been read."""
        self._loans = SlotLoans(0)  # until the number of slots is known
        self._last_index = -1 if resume is None else resume.index
        self._server: ByteServer | None = None
        # Reads the head and tail, which a demuxer reads first, too. A source gets a child only
        # after that, so a slow origin occupies no more than a connection.
        self._fingerprint = fingerprint(reader)
        self._child = decoder_client.take()
        try:
            with interrupt.wakes(self._wake):
                self._start(spec, outputs, resume)
        except BaseException:
            self.close()
            raise

    @property
    def n_slots(self) -> int:
        """Maximum number of frames that may be unreleased at once."""
        return self._layout.n_slots

    @property
    def decoder_pid(self) -> int:
        return self._child.pid

    @property
    def isolated(self) -> bool:
        """Whether the decoder has no network (the host allows namespaces)."""
        return self._child.isolated

    def open_spool(self) -> BinaryIO | None:
        """Return the whole source as a file for staging, if it cannot be fetched again.

        Waits until all of it has arrived; None if the source is seekable at its origin. The caller
        closes the file, which may outlive this source.
        """
        return self._reader.open_spool()

    @property
    def content(self) -> str:
        """Fingerprint of the source from its bytes only (hex sha256)."""
        return self._fingerprint.content

    @property
    def validators_differ(self) -> bool:
        """Whether the origin has sent different validators for the same bytes so far."""
        return self._reader.validators_differ

    def look_for_servers(self) -> bool:
        """Query the origin again, up to 4 times; return whether its validators differ.

        Raises `SourceChangedError` when its bytes differ.
        """
        for _ in range(_MORE_QUESTIONS):
            if self.validators_differ:
                break
            self._reader.check_unchanged()
        return self.validators_differ

    def usage(self) -> SourceUsage:
        """Return the frame counts of the range; raises ValueError before the iteration ended."""
        if self._usage is None:
            raise ValueError("the source has not ended")
        return self._usage

    def images(self, slot: int) -> tuple[Image | None, Image | None]:
        """Return (full, scaled) as arrays over the slot's shared memory.

        Raises `SourceClosedError` when the source was closed.
        """
        memory = self._child.memory
        if memory is None:
            raise SourceClosedError("the source was closed")
        return self._layout.views(memory, slot)

    def release(self, slot: int) -> None:
        """Let the decoder write into `slot` again (`Frame.release` calls this)."""
        if not self._closed.is_set():
            self._send_back(self._loans.release(slot))

    def close(self) -> None:
        """Stop at once: kill the decoder, abort a running fetch. Thread-safe and idempotent.

        A thread that is waiting in the iterator gets `SourceClosedError`.
        """
        self._wake()
        self._interrupt.set()
        self._reader.close()
        if self._server is not None:
            self._server.join()

    def _wake(self) -> None:
        """End the child; a thread that waits for it wakes up."""
        self._closed.set()
        self._child.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames. Blocks; raises a `SourceError` after the frames that precede it."""
        while True:
            message = self._next_message()
            if isinstance(message, ipc.FrameReady):
                if message.index <= self._last_index:
                    raise DecoderCrashedError("the decoder sent a frame twice or out of order")
                self._last_index = message.index
                self._loans.acquire(message.slot)
                yield Frame(message, self)
            elif isinstance(message, ipc.Ended):
                self._finish(message)
                return
            else:
                raise DecoderCrashedError("the decoder sent an unexpected message")

    def _start(self, spec: SourceSpec, outputs: FrameOutputs, resume: ResumePoint | None) -> None:
        fd = self._reader.fileno()
        if fd is None:
            self._server = ByteServer(self._reader, self._child.bytes)
            self._server.start()
        order = ipc.Open(
            local=fd is not None,
            sampling=spec.sampling,
            range=spec.range,
            stream=spec.stream,
            outputs=outputs,
            resume=resume,
            max_pixels=self._policy.max_pixels,
            cpu_limit_s=self._policy.cpu_limit_s,
            require_sandbox=self._policy.require_sandbox,
            seekable=self._reader.seekable,
            by_clock=fd is None and self._reader.seekable and not self._policy.counts_frames,
            anchor_s=spec.anchor_s,
        )
        self._child.send(order, fd)
        opened = self._next_message()
        if not isinstance(opened, ipc.Opened):
            raise DecoderCrashedError("the decoder sent an unexpected message")
        if opened.width * opened.height > self._policy.max_pixels:
            raise DecoderCrashedError("the decoder reported an invalid frame size")
        self.info = self._describe(opened)
        self._layout = frame_pool.Layout(self.info.shape, outputs)
        self._loans = SlotLoans(self._layout.n_slots)

    def _describe(self, opened: ipc.Opened) -> SourceInfo:
        return SourceInfo(
            width=opened.width,
            height=opened.height,
            fps=opened.fps,
            total_frames=opened.total_frames,
            duration_s=opened.duration_s,
            rotation=opened.rotation,
            codec=opened.codec,
            container=opened.container,
            seekable=self._reader.seekable,
            size_bytes=self._reader.size_bytes,
            fingerprint=self._fingerprint.whole,
            time_base=opened.time_base,
            start_pts=opened.start_pts,
            total_is_exact=opened.total_is_exact,
            sample_aspect=opened.sample_aspect,
        )

    def _finish(self, ended: ipc.Ended) -> None:
        self._usage = SourceUsage(
            ended.decoded,
            ended.failed,
            ended.skipped_sampled,
            ended.skipped_undecoded,
            ended.packets_sent,
        )
        self.n_frames = ended.n_frames
        self._reader.check_unchanged()
        if ended.truncated:
            raise SourceTruncatedError("the file ends before its own header says")

    def _next_message(self) -> ipc.FromChild:
        """Wait for the child's next message; raises a `SourceError`.

        If the parent's own reader has failed, its error is raised instead of the child's.
        """
        silent_since = time.monotonic()
        while True:
            try:
                message = self._child.receive(0) or self._awaited()
            except DecoderCrashedError as exc:
                self._raise_if_closed(exc)
                self._raise_read_error(exc)
                raise
            self._raise_store_away()
            if isinstance(message, ipc.Failed):
                self._raise_if_closed(None)
                raise self._translated(message)
            if message is not None:
                return message
            self._raise_if_closed(None)
            if self._is_waiting_for_us():
                silent_since = time.monotonic()
            elif time.monotonic() - silent_since > self._policy.decode_stall_timeout_s:
                raise DecoderCrashedError("the decoder made no progress")

    def _awaited(self) -> ipc.FromChild | None:
        """Wait for a message; slots released meanwhile are returned one by one."""
        self._send_back(self._loans.flush())
        try:
            return self._child.receive(_POLL_S)
        finally:
            self._loans.end_wait()

    def _send_back(self, slots: list[int]) -> None:
        if slots:
            self._child.send(ipc.Release(slots))

    def _is_waiting_for_us(self) -> bool:
        if self._server is not None and self._server.busy:
            return True
        return self._loans.all_lent

    def _raise_if_closed(self, cause: BaseException | None) -> None:
        if self._closed.is_set():
            raise SourceClosedError("the source was closed") from cause

    def _raise_read_error(self, cause: BaseException | None) -> None:
        if self._server is not None and self._server.error is not None:
            raise self._server.error from cause

    def _raise_store_away(self) -> None:
        """Raise after a failed read of the store: a demuxer may take it for the end of the file."""
        if self._server is not None and isinstance(self._server.error, StoreAwayError):
            raise self._server.error

    def _translated(self, failed: ipc.Failed) -> Exception:
        if self._server is not None and self._server.error is not None:
            return self._server.error
        if failed.code == ipc.READ_FAILED:
            return DecoderCrashedError(failed.message)
        try:
            self._reader.check_unchanged()
        except SourceError as exc:
            return exc
        return from_code(failed.code, plain_line(failed.message))


def open_source(
    spec: SourceSpec,
    policy: FetchPolicy,
    outputs: FrameOutputs,
    resume: ResumePoint | None = None,
    interrupt: Interrupt | None = None,
) -> FrameSource:
    """Open a video and decode its first frame; raises a `SourceError`.

    With `resume`, the iteration begins with the frame after it, and its counters are the same as
    without an interruption. The interrupt can end the opening at any moment, and later the source.
    """
    interrupt = interrupt or Interrupt()
    pace = Pace(policy.min_bytes_per_s, policy.stall_timeout_s)
    reader: ByteReader | None = None
    with open_deadline(policy.open_timeout_s, pace, interrupt):
        try:
            reader = open_reader(spec.url, policy, interrupt, pace)
            try:
                return FrameSource(reader, spec, policy, outputs, resume, interrupt)
            except BaseException:
                reader.close()
                raise
        except SourceError as exc:
            if interrupt.given is None:
                raise
            if _is_store_too_slow(interrupt.given, reader, policy):
                raise StoreAwayError(f"the object store is unavailable: {interrupt.given}") from exc
            raise interrupt.given from exc


def _is_store_too_slow(given: SourceError, reader: ByteReader | None, policy: FetchPolicy) -> bool:
    """Whether opening timed out because of Framewire's own store, not because of the video."""
    if not (policy.own_store and isinstance(given, SourceTimeoutError)):
        return False
    return not isinstance(reader, StoreReader) or reader.waited_s > policy.open_timeout_s / 2
