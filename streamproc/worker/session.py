"""Warm session of one task in a worker: turns frame results into the bytes of its log.

A session is created from a task state and is kept over many slices while its worker keeps the task.
It counts bytes, sequence numbers and time; the engine does the rest. After any unexpected failure
it is discarded, and the next slice starts from the log.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog
from msgspec import UNSET, UnsetType

from streamproc.contract.chunk import (
    CHUNK_OBJECT,
    Chunk,
    ChunkError,
    Delta,
    FinishReason,
    Result,
    StreamInfo,
    Usage,
    encode_chunk,
)
from streamproc.contract.fold import Fold
from streamproc.contract.framing import DONE, frame_event
from streamproc.contract.records import ChunkRecord, Claim, Submitted, encode_vectors
from streamproc.errors import LogUnavailableError, TaskFailedError, UploadsUnavailableError
from streamproc.providers.engine import EndOfStream, Engine, FrameResult, SourceNotice
from streamproc.source.types import FrameCounts
from streamproc.worker.checkpoint import Checkpoint, encode_checkpoint
from streamproc.worker.live_fields import LiveFields, of_notice, repeated
from streamproc.worker.task_log import LogWriter, Pending
from streamproc.worker.task_state import TaskState

_log = structlog.get_logger()
_WAIT_S = 0.25
_GRACE_S = 5.0
"""Time that a slice may run over its limit, so that it ends with a checkpoint."""


@dataclass(slots=True)
class Cursor:
    """Log position of the next record."""

    epoch: int
    off: int
    seq: int
    last_frame: int


class Session:
    """Writes one task's log, one slice at a time. One thread at a time."""

    def __init__(
        self,
        submitted: Submitted,
        task_state: TaskState,
        claim: Claim,
        engine: Engine,
        *,
        processed: int,
        now_ms: Callable[[], int],
    ) -> None:
        """`processed`: frames before the engine's position; those in the log are not resent."""
        self.submitted = submitted
        self.claim = claim
        self._engine = engine
        self._processed = processed
        self.has_begun = False
        """Whether a frame has arrived; before that, closing the session loses all its progress."""
        self._now_ms = now_ms
        self._started_ms = task_state.started_ms if task_state.started_ms is not None else now_ms()
        last_frame = max(task_state.fold.last_frame, 0)
        last = task_state.info()
        self._info = last or StreamInfo(last_frame, None, 0, 0, 0.0, 0)
        self._counts: FrameCounts | None = None
        self._live = LiveFields(last)
        self._dropped: dict[str, int] | UnsetType = UNSET
        self.cursor = Cursor(-1, 0, 0, -1)
        self.finished = False
        self._is_saved = True
        self.n_records = 0
        self.rebind(task_state, claim)

    def matches(self, fold: Fold) -> bool:
        """Return whether the session has written, or seen, exactly what the log holds."""
        cursor = self.cursor
        return (cursor.off, cursor.seq, cursor.last_frame) == (
            fold.next_off,
            fold.next_seq,
            fold.last_frame,
        )

    def rebind(self, task_state: TaskState, claim: Claim) -> None:
        """Continue under a new claim from the fold's position."""
        fold = task_state.fold
        self.claim = claim
        self.n_records = 0
        self.cursor = Cursor(fold.epoch, fold.next_off, fold.next_seq, fold.last_frame)

    def run(
        self,
        writer: LogWriter,
        *,
        deadline_s: float,
        cancelled: Callable[[], bool],
        stopping: Callable[[], bool],
        gives_way: Callable[[], bool] = lambda: False,
        on_frame: Callable[[], None] = lambda: None,
    ) -> int:
        """Work until the monotonic time `deadline_s`, or the end; return the number of frames.

        `on_frame` is called for each of them. Once `gives_way` returns True, the time is over. A
        slice that has computed something ends with a checkpoint, even if a little later: results
        that exist only in memory when a worker crashes are computed again.

        All records are acknowledged on return. Raises `LogUnavailableError` if one was not,
        `TaskFailedError` if the task cannot continue (its terminal is not written then),
        `UploadsUnavailableError` if it cannot continue now.
        """
        pending = Pending()
        try:
            n_frames = self._work(
                writer, pending, deadline_s, cancelled, stopping, gives_way, on_frame
            )
        except (TaskFailedError, UploadsUnavailableError):
            writer.settle(pending)
            raise
        writer.settle(pending)
        return n_frames

    def _work(
        self,
        writer: LogWriter,
        pending: Pending,
        deadline_s: float,
        cancelled: Callable[[], bool],
        stopping: Callable[[], bool],
        gives_way: Callable[[], bool],
        on_frame: Callable[[], None],
    ) -> int:
        n_frames = 0
        while not self.finished:
            if cancelled():
                self.finish(writer, pending, "cancelled")
                self._engine.abandon()
                break
            item = self._engine.next(_WAIT_S)
            now_s = time.monotonic()
            if gives_way():
                deadline_s = min(deadline_s, now_s)
            leaving, late_s = stopping(), now_s - deadline_s
            last = leaving or late_s >= 0
            if isinstance(item, EndOfStream):
                self._end(writer, pending, item)
                break
            if isinstance(item, SourceNotice):
                self._notify(writer, pending, item)
            elif item is not None:
                n_frames += 1
                on_frame()
                self._emit(writer, pending, item, last=last)
            if pending.failed:
                raise LogUnavailableError("a chunk was not acknowledged")
            if last and (self._ends_anywhere or leaving or late_s >= _GRACE_S):
                break
        return n_frames

    @property
    def _ends_anywhere(self) -> bool:
        """Whether a slice may end here: what follows the last checkpoint is not computed again.

        What a live source gave since then is never computed again: it is read from the log.
        """
        return self._is_saved or self.submitted.spec.live is not None

    def finish(
        self,
        writer: LogWriter,
        pending: Pending,
        reason: FinishReason,
        error: ChunkError | None = None,
    ) -> None:
        """Write the terminal: the last chunk with its usage, and `[DONE]`, in one record.

        Usage counts the log's chunks: after a resume from a checkpoint, the engine may be behind.
        """
        elapsed_ms = self._elapsed_ms()
        chunk = self._chunk(
            msgspec.structs.replace(repeated(self._info), elapsed_ms=elapsed_ms),
            (),
            reason,
            usage=self._usage(elapsed_ms),
            error=UNSET if error is None else error,
        )
        start = self.cursor.off
        value = frame_event(encode_chunk(chunk), start)
        value += frame_event(DONE, start + len(value))
        self._append(writer, pending, "terminal", value, frame=-1, pts=-1)
        self.finished = True

    def close(self) -> None:
        """Release all resources. Never raises: the completed slice counts in any case."""
        try:
            self._engine.close()
        except Exception:  # noqa: BLE001 - an engine's edge
            _log.exception("an engine did not close", task=self.submitted.task)

    def _end(self, writer: LogWriter, pending: Pending, end: EndOfStream) -> None:
        self._info = msgspec.structs.replace(
            self._info,
            total_frames=end.total_frames,
            decoded_frames=end.counts.decoded,
            dropped_frames=end.counts.dropped,
            fps=end.fps,
            total_frames_is_estimate=_estimated(end),
        )
        self._counts = end.counts
        self.finish(writer, pending, end.reason)

    def _emit(self, writer: LogWriter, pending: Pending, item: FrameResult, *, last: bool) -> None:
        """Append a frame's chunk; a frame that is already in the log is only counted."""
        self._processed += 1
        self.has_begun = True
        is_new = item.frame_index > self.cursor.last_frame
        self._is_saved = self._engine.checkpoints_every_chunk or (last and is_new)
        if not is_new:
            return
        self._info = StreamInfo(
            frame_index=item.frame_index,
            total_frames=item.total_frames,
            decoded_frames=item.counts.decoded,
            dropped_frames=item.counts.dropped,
            fps=item.fps,
            elapsed_ms=self._elapsed_ms(),
            time_s=UNSET if item.time_s is None else round(item.time_s, 6),
            total_frames_is_estimate=_estimated(item),
            sample_aspect_ratio=item.sample_aspect or UNSET,
            frame_size=item.frame_size or UNSET,
            frame_index_is_estimate=UNSET if item.index_is_exact else True,
        )
        self._counts = item.counts
        if item.live is not None:
            self._info = self._live.of_frame(self._info, item.live, self._now_ms())
            self._dropped = item.live.dropped
        chunk = self._chunk(self._info, (Result(0, item.targets),), None)
        value = frame_event(encode_chunk(chunk), self.cursor.off)
        self._append(
            writer,
            pending,
            "chunk",
            value,
            frame=item.frame_index,
            pts=item.pts,
            ckpt=self._checkpoint() if self._is_saved else None,
            vectors=encode_vectors(item.vectors) if item.vectors else None,
        )

    def _notify(self, writer: LogWriter, pending: Pending, notice: SourceNotice) -> None:
        """Append a notice: a chunk without a frame. It is not counted as a processed one.

        There is none before the first frame: a source that never gave one fails its task.
        """
        if self.cursor.seq == 0:
            return
        info = of_notice(self._info, notice, self._elapsed_ms())
        value = frame_event(encode_chunk(self._chunk(info, (), None)), self.cursor.off)
        self._append(writer, pending, "notice", value, frame=-1, pts=-1)

    def _chunk(
        self,
        info: StreamInfo,
        results: tuple[Result, ...],
        reason: FinishReason | None,
        *,
        usage: Usage | UnsetType = UNSET,
        error: ChunkError | UnsetType = UNSET,
    ) -> Chunk:
        first = self.cursor.off == 0
        return Chunk(
            id=f"mm-pipe-{self.submitted.task.removeprefix('vt_')}",
            object=CHUNK_OBJECT,
            stream_info=info,
            delta=Delta(results or (Result(0, ()),)),
            finish_reason=reason,
            model=self.submitted.spec.model_hint if first else UNSET,
            provider=self.claim.provider if first else UNSET,
            usage=usage,
            error=error,
        )

    def _usage(self, elapsed_ms: int) -> Usage:
        decoded, failed, skipped = self._counts or (UNSET, UNSET, UNSET)
        return Usage(self.cursor.seq, elapsed_ms, decoded, failed, skipped, self._dropped)

    def _append(
        self,
        writer: LogWriter,
        pending: Pending,
        kind: str,
        value: bytes,
        *,
        frame: int,
        pts: int,
        ckpt: bytes | None = None,
        vectors: bytes | None = None,
    ) -> None:
        cursor = self.cursor
        # A notice has the number of the chunk before: numbers count the processed frames.
        seq = cursor.seq - 1 if kind == "notice" else cursor.seq
        record = ChunkRecord(
            task=self.submitted.task,
            project=self.submitted.project,
            kind="terminal" if kind == "terminal" else "chunk",
            epoch=cursor.epoch,
            seq=seq,
            off=cursor.off,
            frame=frame,
            pts=pts,
            value=value,
            ckpt=ckpt,
            vectors=vectors,
            pin=self._engine.pin.encode() if cursor.off == 0 else None,
        )
        writer.append(record, self.submitted.partition, pending)
        self.n_records += 1
        cursor.off += len(value)
        cursor.seq = seq + 1
        cursor.last_frame = max(cursor.last_frame, frame)

    def _checkpoint(self) -> bytes:
        return encode_checkpoint(
            Checkpoint(
                provider=self.claim.provider,
                started_ms=self._started_ms,
                processed=self._processed,
                pin=self._engine.pin,
                engine=self._engine.state(),
            )
        )

    def _elapsed_ms(self) -> int:
        return max(self._now_ms() - self._started_ms, self._info.elapsed_ms, 0)


class NullEngine:
    """Null engine, for a task that ends before any provider could open it."""

    pin = ""
    checkpoints_every_chunk = False

    def next(self, timeout_s: float) -> FrameResult | SourceNotice | EndOfStream | None:
        raise TaskFailedError("internal_error", f"nothing to wait {timeout_s:g} s for")

    def state(self) -> bytes:
        return b""

    def abandon(self) -> None:
        """Do nothing: nothing runs."""

    def close(self) -> None:
        """Do nothing: there are no resources."""


def _estimated(result: FrameResult | EndOfStream) -> bool | UnsetType:
    """Return the chunk's `total_frames_is_estimate`: UNSET unless it is an estimate."""
    return UNSET if result.total_is_exact or result.total_frames is None else True
