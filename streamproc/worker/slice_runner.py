"""Runs one slice of work, from a message of video.tasks to the point where it can be acknowledged.

    read the log ► may this message continue? ► claim ► read up to the claim ► open or keep the
    session ► work until the slice's end ► `continue` message, or the terminal

Opening may take long, and is done outside of the slots (`worker.scheduler`): `open` claims and
opens, `work` does the rest in a slot; with a warm session `work` does all of it. A slice that must
run alone (`shared_lock`) is done completely by the first of the two: once it has its claim, it
waits for nothing.
Everything is synchronous. The result of a task is always in its log. If Kafka cannot accept a
record now, the message is retried. An unexpected failure in `open` or `work` is also retried, a few
times (`retries`), and then `end` ends the task.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from streamproc.contract.chunk import ChunkError
from streamproc.contract.records import Submitted, TaskMessage
from streamproc.errors import (
    StreamprocError,
    TaskFailedError,
    UnforeseenError,
    UploadsUnavailableError,
)
from streamproc.providers.engine_factory import Engines
from streamproc.source.errors import SourceClosedError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.worker.cancellations import Cancellations
from streamproc.worker.checkpoint import BadCheckpointError, Checkpoint, decode_checkpoint
from streamproc.worker.claims import ClaimedSlice, SliceClaimer
from streamproc.worker.continuation import schedule_continuation
from streamproc.worker.heartbeats import Heartbeats
from streamproc.worker.retries import MAX_TRIES
from streamproc.worker.session import Session
from streamproc.worker.session_cache import SessionCache
from streamproc.worker.shared_lock import SharedLock
from streamproc.worker.slice import Readers, Slice
from streamproc.worker.task_endings import Endings
from streamproc.worker.task_log import LogReader, LogWriter
from streamproc.worker.task_state import (
    ALONE_FROM,
    MAX_LOST_ALONE,
    Incarnation,
    TaskState,
    slice_of,
    submission,
)

_log = structlog.get_logger()
_UNFORESEEN = ChunkError(
    "internal_error", f"the task failed {MAX_TRIES} times with an unexpected error"
)
_STUCK = ChunkError("task_stuck", "the task can be neither continued nor ended")


class SliceRunner:
    """Runs slices; shared by all threads of a worker.

    `open`, `work`, `end` and `leave` raise only `StreamprocError`: `LogUnavailableError`,
    `UploadsUnavailableError` and `TaskStateLostError` if the message must be retried, and
    `UnforeseenError` for all other failures.
    """

    def __init__(
        self,
        life: Incarnation,
        slice_s: float,
        readers: Readers,
        writer: LogWriter,
        beats: Heartbeats,
        cancels: Cancellations,
        engines: Engines,
        sessions: SessionCache,
        *,
        stopping: Callable[[], bool],
        now_ms: Callable[[], int],
        on_frame: Callable[[], None] = lambda: None,
        live_slice_s: float = 10.0,
    ) -> None:
        """`on_frame` is called for each processed frame, from any thread.

        `live_slice_s` is `slice_s` for live tasks.
        """
        self._on_frame = on_frame
        self._life, self._slice_s, self._live_slice_s = life, slice_s, live_slice_s
        self._claimant = SliceClaimer(life, writer, engines)
        self._endings = Endings(writer, now_ms)
        self._readers = readers
        self._writer, self._beats, self._cancels = writer, beats, cancels
        self._engines, self._sessions = engines, sessions
        self._stopping, self._now_ms = stopping, now_ms
        self._lock = SharedLock()

    def slice(self, message: TaskMessage) -> Slice:
        """Return the slice that `message` starts, for one try."""
        return Slice(message, TaskState.at(message))

    def needs_opening(self, one: Slice) -> bool:
        """Return whether `open` comes next, not `work`: there is no session, warm or open."""
        return one.session is None and (one.taken is not None or not self._sessions.has(one.task))

    def store_key(self, one: Slice) -> str:
        """Return the key of the object that the task reads, or may find, in S3."""
        return self._engines.store_key(submission(one.message))

    def open(self, one: Slice) -> None:
        """Claim the slice, and open its source with the first provider that can.

        `Slice.give_up` aborts it: then the task is cancelled, or handed over unchanged.
        """
        with _edge(one):
            if one.taken is None and not one.done:
                with self._readers.lent() as reader:
                    if not self._may_go_on(one, reader):
                        return
                if not self._cancels.requested(one.task):
                    # Before the claim: a crash while the task waits must not make it a suspect.
                    self._engines.check_store(submission(one.message))
            with self._lock.held(exclusive=one.alone):
                self._go_on(one)

    def work(self, one: Slice) -> None:
        """Work until the slice is done, or must be opened (again)."""
        with _edge(one):
            if one.taken is None:
                with self._readers.lent() as reader:
                    if not self._may_go_on(one, reader):
                        return
            with self._lock.held(exclusive=one.alone):
                if one.taken is None:
                    self._claim(one)
                    self._take_warm(one)
                if not one.done and one.session is not None:
                    self._run(one, one.session)
                if one.alone:
                    self._go_on(one)

    def end(self, one: Slice) -> None:
        """End a task whose slice cannot run, unless another provider may try it from its start.

        In that case the slice is not done, and continues with `open`.
        """
        message, task_state = one.message, one.task_state
        submitted = submission(message)
        with _edge(one), self._readers.lent() as reader:
            self._sessions.discard(one.task)
            reader.read_on(task_state, submitted)
            taken = None
            if task_state.accepts(message):
                taken = self._claimant.take(message, task_state, reader)
            if taken is not None:
                failure = TaskFailedError(_UNFORESEEN.code, _UNFORESEEN.message)
                if self._cancels.requested(one.task):
                    self._endings.terminate(taken, None)
                elif self._endings.tries_next(taken, failure, reader):
                    return
                else:
                    self._endings.send_dead(submitted, _UNFORESEEN, taken.point.epoch)
                schedule_continuation(self._writer, reader, taken)
            one.done = True

    def leave(self, one: Slice) -> None:
        """Give the task up without a terminal, which cannot be written; only send a dead letter."""
        with _edge(one):
            self._endings.send_dead(submission(one.message), _STUCK, -1)
            one.done = True

    def _go_on(self, one: Slice) -> None:
        """Claim and open until there is a session; a slice that runs alone: until it is done."""
        while not one.done and one.session is None:
            if one.taken is None:
                self._claim(one)
            else:
                self._open_session(one)
            if one.alone and one.session is not None:
                self._run(one, one.session)

    def _may_go_on(self, one: Slice, reader: LogReader) -> bool:
        """Read the log; return False after handling a slice that must not continue, or must end."""
        message, task_state = one.message, one.task_state
        submitted = submission(message)
        reader.read_on(task_state, submitted)
        if not task_state.accepts(message):
            _log.info(
                "stale slice message skipped",
                task=submitted.task,
                slice=slice_of(message),
                closed=task_state.fold.closed,
            )
            self._sessions.discard(submitted.task)
            one.done = True
            return False
        suspects = task_state.suspects(message, self._life)
        alone = [suspect for suspect in suspects if suspect.alone]
        if len(alone) >= MAX_LOST_ALONE and self._beats.crashed(alone, MAX_LOST_ALONE):
            self._dead_letter(message, task_state, reader)
            one.done = True
            return False
        if isinstance(message, Submitted):
            self._cancels.catch_up()
        one.alone = len(suspects) >= ALONE_FROM
        return True

    def _claim(self, one: Slice) -> None:
        with self._readers.lent() as reader:
            one.taken = self._claimant.take(one.message, one.task_state, reader, alone=one.alone)
            if one.taken is None:
                self._sessions.discard(one.task)
                one.done = True
            elif not self._sessions.has(one.task):
                one.checkpoint = _checkpoint(one.taken, reader)

    def _take_warm(self, one: Slice) -> None:
        """Continue with the warm session if it is exactly at the log's position."""
        taken, warm = one.taken, self._sessions.take(one.task)
        if taken is None or warm is None:
            return
        if warm.matches(taken.task_state.fold) and warm.claim.provider == taken.claim.provider:
            warm.rebind(taken.task_state, taken.claim)
            one.session = warm
            return
        warm.close()
        with self._readers.lent() as reader:
            one.checkpoint = _checkpoint(taken, reader)

    def _open_session(self, one: Slice) -> None:
        taken = one.need_taken()
        submitted, claim, checkpoint = taken.submitted, taken.claim, one.checkpoint
        known = _known_pin(taken.task_state, checkpoint)
        if self._cancels.requested(one.task):
            one.give_up()
        try:
            one.interrupt.raise_if_set()
            engine = self._engines.open(
                claim.provider,
                submitted,
                claim.precision,
                None if checkpoint is None else checkpoint.engine,
                known,
                one.interrupt,
                taken.task_state.chunks_since_checkpoint(),
                taken.point.epoch,
                taken.task_state.last_pts,
            )
        except (TaskFailedError, SourceClosedError) as failure:
            self._fail(one, failure)
            return
        except UploadsUnavailableError as exc:
            self._put_off(one, exc)
            return
        one.session = Session(
            submitted,
            taken.task_state,
            claim,
            engine,
            processed=0 if checkpoint is None else checkpoint.processed,
            now_ms=self._now_ms,
        )
        one.is_open = True

    def _run(self, one: Slice, session: Session) -> None:
        taken = one.need_taken()
        one.session = None
        try:
            one.n_frames = self._run_session(one, session)
        except TaskFailedError as failure:
            self._fail(one, failure)
            return
        except UploadsUnavailableError as exc:
            self._put_off(one, exc)
            return
        if session.finished:
            self._sessions.discard(one.task)
            session.close()
        else:
            self._sessions.keep(one.task, session)
        with self._readers.lent() as reader:
            schedule_continuation(
                self._writer,
                reader,
                taken,
                closes=session.finished,
                n_records=session.n_records,
            )
        one.done = True

    def _fail(self, one: Slice, failure: TaskFailedError | SourceClosedError) -> None:
        """Let the next provider claim after a failure before the first chunk, else end the task.

        A slice that failed because it was aborted ends as cancelled, or continues elsewhere.
        """
        taken = one.need_taken()
        if self._cancels.requested(one.task):
            self._engines.abandon(
                taken.claim.provider, _known_pin(taken.task_state, one.checkpoint)
            )
            self._run(one, self._endings.bare_session(taken))
            return
        with self._readers.lent() as reader:
            if (
                # Closing a source also sets its interrupt; so does the deadline of its opening.
                not isinstance(one.interrupt.given, SourceClosedError)
                and isinstance(failure, TaskFailedError)
                and self._endings.tries_next(taken, failure, reader)
            ):
                one.taken, one.interrupt, one.is_open = None, Interrupt(), False
                return
            schedule_continuation(self._writer, reader, taken)
        one.done = True

    def _put_off(self, one: Slice, reason: UploadsUnavailableError) -> None:
        """Hand the task over unchanged: its next slice waits for S3, and then claims again.

        So it has no open claim while it waits, and a worker's crash does not count against it.
        """
        _log.warning(
            "task postponed: the object store is unavailable", task=one.task, reason=str(reason)
        )
        with self._readers.lent() as reader:
            schedule_continuation(self._writer, reader, one.need_taken())
        one.lacks_store = one.done = True

    def _run_session(self, one: Slice, session: Session) -> int:
        # Nobody waits for a live task's place, but one that runs alone stops all others.
        is_long = one.is_live and not one.alone
        slice_s = self._live_slice_s if is_long else self._slice_s
        try:
            return session.run(
                self._writer,
                deadline_s=time.monotonic() + slice_s,
                cancelled=lambda: self._cancels.requested(one.task),
                stopping=self._stopping,
                gives_way=lambda: one.gives_way or (is_long and self._lock.is_awaited),
                on_frame=self._on_frame,
            )
        except BaseException:
            session.close()
            raise

    def _dead_letter(self, message: TaskMessage, task_state: TaskState, reader: LogReader) -> None:
        """End a poison task, which crashed its worker repeatedly, and send a dead letter."""
        taken = self._claimant.take(message, task_state, reader)
        if taken is None:
            return
        error = ChunkError(
            "worker_crash",
            f"{MAX_LOST_ALONE} workers crashed while they ran only this slice",
        )
        _log.error("task sent to the dead-letter queue", task=taken.submitted.task)
        known = _known_pin(task_state, _checkpoint(taken, reader))
        self._engines.abandon(taken.claim.provider, known)
        self._endings.send_dead(taken.submitted, error, taken.point.epoch)
        self._endings.terminate(taken, error)
        schedule_continuation(self._writer, reader, taken)


@contextmanager
def _edge(one: Slice) -> Iterator[None]:
    """Convert every exception to `StreamprocError`: an executor would pass some others on."""
    try:
        yield
    except StreamprocError:
        raise
    except BaseException as exc:
        _log.exception("slice failed with an unexpected error", task=one.task)
        raise UnforeseenError(exc) from exc


def _checkpoint(taken: ClaimedSlice, reader: LogReader) -> Checkpoint | None:
    """Return the last accepted checkpoint; None: restart, without output up to the log's end."""
    submitted, task_state = taken.submitted, taken.task_state
    start = task_state.fold.ckpt_position
    if start is None and task_state.is_live:
        start = submitted.point.position
    if task_state.ckpt is None and start is not None:
        # What a live source gave since the checkpoint is in the log alone.
        end = taken.message.point.position if task_state.is_live else start + 1
        records = reader.read(submitted.partition, start, end, submitted.task)
        task_state.restore_checkpoint([*records])
    if task_state.ckpt is None:
        return None
    try:
        return decode_checkpoint(task_state.ckpt)
    except BadCheckpointError as exc:
        _log.warning("checkpoint refused", task=submitted.task, reason=str(exc))
        return None


def _known_pin(task_state: TaskState, checkpoint: Checkpoint | None) -> str | None:
    """Return the pin that the log was computed from: the source's hash, or the upstream's task."""
    if checkpoint is not None:
        return checkpoint.pin
    return task_state.pin.decode(errors="replace") if task_state.pin else None
