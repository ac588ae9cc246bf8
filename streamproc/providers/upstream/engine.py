"""The `upstream` provider: another Video API computes, its stream is relayed as our own log.

A thread follows the upstream's stream, reconnects by byte offset after every disconnect, and queues
the decoded events; the session's thread reads them from the queue. The upstream's task id is the
pin. The checkpoint has it with the offset of the last relayed event, so a worker that takes over
continues the same upstream task.

Before the first chunk, every failure has its own code and lets the next provider try. After it, the
failure is `upstream_failed`, or the code with which the upstream's own task ended. One failure may
be ours: the upstream reads an uploaded video from our S3, which may have been unavailable. Such a
task is submitted there again; its log continues once the second run has repeated the first one.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import NamedTuple

import msgspec
import structlog

from streamproc.errors import (
    StreamprocError,
    TaskFailedError,
    UnforeseenError,
    UploadsUnavailableError,
)
from streamproc.providers.engine import EndOfStream, FrameResult
from streamproc.providers.upstream.client import UpstreamClient, UpstreamCutError
from streamproc.providers.upstream.events import ChunkReader, EventSplitter, UpstreamEvent
from streamproc.providers.upstream.position import OtherResultsError, UpstreamState, is_repeated

_DEPTH = 64
_POLL_S = 0.1
_JOIN_S = 1.0
_FIRST_PAUSE_S = 0.2
_MAX_PAUSE_S = 5.0
PAUSES_OF_SOURCE_S = (1.0, 2.0, 4.0)
_OF_WHAT_WAS_READ = {
    *("source_not_video", "source_unsupported", "source_too_large", "source_forbidden"),
    *("source_empty", "source_sealed"),
}
"""Codes about the video itself, not about a failure to fetch it."""
_MAX_REFUSALS = 3  # before the first chunk, when another provider may still be tried
_log = structlog.get_logger()
_Item = tuple[FrameResult | EndOfStream | StreamprocError, UpstreamState]


class _Repeat(NamedTuple):
    """A second run of the upstream's task, while it repeats the relayed frames of the first."""

    relayed: UpstreamState
    lacked: TaskFailedError
    """Failure of the first run; the task ends with it if the second run's results differ."""


class UpstreamEngine:
    """Implements `providers.engine.Engine` for an existing task at the upstream."""

    checkpoints_every_chunk = True

    def __init__(
        self,
        client: UpstreamClient,
        state: UpstreamState,
        *,
        first_chunk_s: float,
        silence_s: float,
        has_chunks: bool,
        submit_again: Callable[[], str] | None = None,
    ) -> None:
        """Follow the task from `state` on; `has_chunks`: chunks of it were relayed before.

        `submit_again` is for a source in Framewire's own S3. If the upstream read it while S3 was
        unavailable, the task does not end, but another one is submitted there. Returns that task's
        id, or raises `UploadsUnavailableError`.
        """
        self._client, self._state = client, state
        self._at = state  # the relay thread's position, ahead of the session's
        self._repeat: _Repeat | None = None
        self._first_chunk_s, self._silence_s = first_chunk_s, silence_s
        self._has_chunks = has_chunks
        self._submit_again = submit_again
        self._chunks = ChunkReader()
        self._items: queue.Queue[_Item] = queue.Queue(_DEPTH)
        self._closing = threading.Event()
        self._ended = False
        self._progress_s = time.monotonic()
        self._thread = threading.Thread(target=self._relay, name="upstream", daemon=True)
        self._thread.start()

    @property
    def pin(self) -> str:
        return self._state.task_id

    def next(self, timeout_s: float) -> FrameResult | EndOfStream | None:
        try:
            item, state = self._items.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(item, StreamprocError):
            raise item
        self._state = state
        return item

    def state(self) -> bytes:
        return msgspec.msgpack.encode(self._state)

    def abandon(self) -> None:
        """Stop following, and cancel the upstream's task unless it has ended."""
        self.close()
        if not self._ended and not self._client.cancel(self._at.task_id):
            _log.warning("the upstream did not accept the cancellation", upstream=self._at.task_id)

    def close(self) -> None:
        self._closing.set()
        self._client.abort()
        self._thread.join(_JOIN_S)

    def _relay(self) -> None:
        """Follow the stream to its end; a failure here also cancels the upstream's task."""
        try:
            self._follow_until_read()
        except (TaskFailedError, OtherResultsError) as exc:
            failure: StreamprocError = exc
            if self._repeat is not None and isinstance(exc, OtherResultsError):
                failure = self._repeat.lacked
                _log.warning("a task cannot continue", reason=str(exc))
            self._put(failure)
            if not self._ended:
                self._client.cancel(self._at.task_id)
        except UploadsUnavailableError as exc:
            self._put(exc)
        except BaseException as exc:  # noqa: BLE001 - the thread's edge: the session re-raises it
            if not self._closing.is_set():
                _log.exception("the relay failed")
                self._put(UnforeseenError(exc))

    def _follow_until_read(self) -> None:
        """Follow, and resubmit the task a few times if the upstream could not read our S3."""
        for pause_s in PAUSES_OF_SOURCE_S:
            try:
                self._follow()
            except TaskFailedError as exc:
                if self._submit_again is None or not self._lacked_source(exc):
                    raise
                _log.warning("the upstream could not read from S3", code=exc.code)
                lacked = exc
            else:
                return
            if self._closing.wait(pause_s):
                return
            self._begin_again(self._submit_again(), lacked)
        self._follow()

    def _begin_again(self, task_id: str, lacked: TaskFailedError) -> None:
        """Follow another task from its start, and relay only what was not relayed before."""
        relayed = self._relayed
        self._at = UpstreamState(task_id, 0)
        if relayed.n_frames:
            self._repeat = _Repeat(relayed, lacked)
        else:
            self._state = self._at
        self._chunks, self._ended = ChunkReader(), False
        self._progress_s = time.monotonic()

    @property
    def _relayed(self) -> UpstreamState:
        return self._at if self._repeat is None else self._repeat.relayed

    def _lacked_source(self, exc: TaskFailedError) -> bool:
        is_of_source = exc.code.startswith("source_") and exc.code not in _OF_WHAT_WAS_READ
        return self._ended and is_of_source and self._relayed.can_be_repeated

    def _follow(self) -> None:
        pause_s, n_refusals = _FIRST_PAUSE_S, 0
        while not self._closing.is_set():
            before = self._at.offset
            try:
                self._connection()
            except UpstreamCutError as exc:
                _log.debug("the upstream's stream broke", reason=str(exc))
                n_refusals = 0 if exc.opened else n_refusals + 1
                if n_refusals == _MAX_REFUSALS and not self._has_chunks:
                    raise TaskFailedError(
                        "upstream_unavailable", "the upstream refuses its stream"
                    ) from exc
            except TaskFailedError as exc:
                raise self._placed(exc) from exc
            if self._ended:
                return
            if self._left_s() <= 0:
                raise self._silent()
            pause_s = _FIRST_PAUSE_S if self._at.offset > before else min(2 * pause_s, _MAX_PAUSE_S)
            self._closing.wait(min(pause_s, max(0.0, self._left_s())))

    def _connection(self) -> None:
        """Relay one connection's events. Raises `UpstreamCutError` and `TaskFailedError`."""
        splitter = EventSplitter(self._at.offset)
        left_s = max(_POLL_S, self._left_s())
        with closing(self._client.stream(self._at.task_id, self._at.offset, left_s)) as stream:
            for data in stream:
                for event in splitter.feed(data):
                    self._take(event)
                    if self._ended or self._closing.is_set():
                        return
                if self._left_s() <= 0:
                    return

    def _take(self, event: UpstreamEvent) -> None:
        try:
            item = self._chunks.read(event.data)
        except TaskFailedError as exc:
            self._ended = exc.code != "upstream_invalid"
            raise
        self._ended = isinstance(item, EndOfStream)
        at = self._at.after(item, event.end)
        if self._is_new(item, at):
            if not self._put(item, at):
                return
            self._has_chunks = self._has_chunks or isinstance(item, FrameResult)
        self._at = at
        self._progress_s = time.monotonic()

    def _is_new(self, item: FrameResult | EndOfStream, at: UpstreamState) -> bool:
        """Return whether the item, which ends at `at`, was not relayed yet."""
        if self._repeat is None:
            return True
        if isinstance(item, EndOfStream):
            raise OtherResultsError("the upstream's second run ended sooner")
        if is_repeated(self._repeat.relayed, at):
            self._repeat = None
        return False

    def _left_s(self) -> float:
        """Return the remaining silence limit in seconds; waiting for our reader does not count."""
        limit_s = self._silence_s if self._has_chunks else self._first_chunk_s
        return limit_s - (time.monotonic() - self._progress_s)

    def _silent(self) -> TaskFailedError:
        if self._has_chunks:
            return TaskFailedError(
                "upstream_failed", f"the upstream sent nothing for {self._silence_s:g} s"
            )
        return TaskFailedError(
            "upstream_timeout", f"the upstream sent no chunk within {self._first_chunk_s:g} s"
        )

    def _placed(self, exc: TaskFailedError) -> TaskFailedError:
        """Return `exc`, or after the first chunk `upstream_failed` unless the upstream ended."""
        if self._ended or not self._has_chunks:
            return exc
        return TaskFailedError("upstream_failed", exc.message)

    def _put(
        self, item: FrameResult | EndOfStream | StreamprocError, at: UpstreamState | None = None
    ) -> bool:
        """Queue an item; False if the engine is being closed."""
        while not self._closing.is_set():
            with suppress(queue.Full):
                self._items.put((item, at or self._at), timeout=_POLL_S)
                return True
        return False
