"""One slice of work, from a message of video.tasks to its acknowledgement.

    read the log ► may this message go on? ► claim ► read up to the claim ► open or keep the
    session ► work until the slice's end ► `continue` message, or the terminal

Everything is synchronous and runs in a slot's thread. Whatever happens inside a task ends in its
log; what Kafka cannot take now is tried again. What nobody foresaw is tried again as well, a few
times (`tries`), and then `fail` ends the task.
"""

import time
from collections.abc import Callable

import msgspec
import structlog

from streamproc.agents.beats import Beats
from streamproc.agents.cancels import Cancels
from streamproc.agents.claims import Claimant, Taken
from streamproc.agents.handover import hand_over
from streamproc.agents.log import LogReader, LogWriter, Pending
from streamproc.agents.session import NoEngine, Session
from streamproc.agents.sessions import Sessions
from streamproc.agents.solitude import Solitude
from streamproc.agents.standing import ALONE_FROM, MAX_CRASHES, Life, Standing, slice_of, submission
from streamproc.agents.tries import MAX_TRIES, Step
from streamproc.contract.bounds import plain_line
from streamproc.contract.chunk import ChunkError, FinishReason
from streamproc.contract.records import Attempt, DeadLetter, Submitted, TaskMessage
from streamproc.contract.topics import CHUNKS
from streamproc.errors import StreamprocError, TaskFailedError, UnforeseenError
from streamproc.providers.engines import Engines
from streamproc.stages.checkpoint import BadCheckpointError, Checkpoint, decode_checkpoint

_log = structlog.get_logger()
_UNFORESEEN = ChunkError(
    "internal_error", f"the task failed {MAX_TRIES} times in a way that nobody foresaw"
)
_MAX_ATTEMPT_CHARS = 150  # attempts travel in a segment's metadata, of 2 kB in all


class SliceRunner:
    """Runs slices; shared by all slots, each with a log reader of its own."""

    def __init__(
        self,
        life: Life,
        slice_s: float,
        writer: LogWriter,
        beats: Beats,
        cancels: Cancels,
        engines: Engines,
        sessions: Sessions,
        *,
        stopping: Callable[[], bool],
        now_ms: Callable[[], int],
    ) -> None:
        self._life, self._slice_s = life, slice_s
        self._claimant = Claimant(life, writer, engines)
        self._writer, self._beats, self._cancels = writer, beats, cancels
        self._engines, self._sessions = engines, sessions
        self._stopping, self._now_ms = stopping, now_ms
        self._solitude = Solitude()

    def step(self, message: TaskMessage, reader: LogReader, step: Step) -> int:
        """Run the slice, end its task or leave it; returns the frames processed.

        Raises what is to be tried again, and `UnforeseenError` for whatever else comes up.
        """
        try:
            if step == "again":
                return self.run(message, reader)
            if step == "end":
                return self.fail(message, reader, _UNFORESEEN)
            self.leave(message, "the task can neither go on nor be ended")
        except StreamprocError:
            raise
        except BaseException as exc:  # a slot's edge: an executor would hand some of them on
            _log.exception("a slice failed as nobody foresaw", task=submission(message).task)
            raise UnforeseenError(exc) from exc
        return 0

    def run(self, message: TaskMessage, reader: LogReader) -> int:
        """Run the slice that `message` begins; returns the frames processed.

        When it returns, the message may be acknowledged. Raises `LogUnavailableError`,
        `UploadsUnavailableError` or `StandingLostError` when it must be tried again.
        """
        submitted = submission(message)
        log = _log.bind(task=submitted.task, slice=slice_of(message))
        standing = Standing.at(message)
        reader.read_on(standing, submitted)
        if not standing.may_go_on(message):
            log.info("slice dropped", closed=standing.fold.closed)
            self._sessions.discard(submitted.task)
            return 0
        suspects = standing.suspects(message, self._life)
        if len(suspects) >= MAX_CRASHES and self._beats.crashed(suspects, MAX_CRASHES):
            self._bury(message, standing, reader)
            return 0
        if isinstance(message, Submitted):
            self._cancels.catch_up()
        with self._solitude.entered(alone=len(suspects) >= ALONE_FROM):
            return self._work(message, standing, reader)

    def fail(self, message: TaskMessage, reader: LogReader, error: ChunkError) -> int:
        """End a task whose slice cannot be run, unless another provider may try its beginning.

        Raises `LogUnavailableError` or `StandingLostError` when it must be tried again.
        """
        submitted = submission(message)
        self._sessions.discard(submitted.task)
        standing = Standing.at(message)
        reader.read_on(standing, submitted)
        if not standing.may_go_on(message):
            return 0
        taken = self._claimant.take(message, standing, reader)
        if taken is None:
            return 0
        if self._cancels.requested(submitted.task):
            self._terminate(taken, None)
        elif self._tries_next(taken, TaskFailedError(error.code, error.message), reader):
            return self._work(message, standing, reader)
        else:
            self._send_dead(submitted, error, taken.point.epoch)
        hand_over(self._writer, reader, taken)
        return 0

    def leave(self, message: TaskMessage, reason: str) -> None:
        """Write the task off without a terminal: not even that can be written.

        Raises `LogUnavailableError` when Kafka does not take the dead letter.
        """
        self._send_dead(submission(message), ChunkError("task_stuck", reason), -1)

    def _work(self, message: TaskMessage, standing: Standing, reader: LogReader) -> int:
        """Claim and work, with the next provider when one fails before the first chunk."""
        task = submission(message).task
        deadline_s = time.monotonic() + self._slice_s
        while True:
            taken = self._claimant.take(message, standing, reader)
            if taken is None:
                self._sessions.discard(task)
                return 0
            try:
                session = self._session(taken, reader)
                n_frames = self._run_session(session, deadline_s)
            except TaskFailedError as failure:
                if self._tries_next(taken, failure, reader):
                    continue
                hand_over(self._writer, reader, taken)
                return 0
            if session.finished:
                self._sessions.discard(task)
                session.close()
            else:
                self._sessions.keep(task, session)
            hand_over(
                self._writer,
                reader,
                taken,
                closes=session.finished,
                n_records=session.n_records,
            )
            return n_frames

    def _session(self, taken: Taken, reader: LogReader) -> Session:
        """Return the warm session if it stands exactly where the log does, else a new one."""
        submitted, claim = taken.submitted, taken.claim
        warm = self._sessions.take(submitted.task)
        if warm is not None:
            if warm.stands_at(taken.standing.fold) and warm.claim.provider == claim.provider:
                warm.adopt(taken.standing, claim)
                return warm
            warm.close()
        checkpoint = _checkpoint(taken, reader)
        known = _known_pin(taken.standing, checkpoint)
        if self._cancels.requested(submitted.task):
            self._engines.abandon(claim.provider, known)
            return self._bare(taken)
        engine = self._engines.open(
            claim.provider,
            submitted,
            claim.precision,
            None if checkpoint is None else checkpoint.engine,
            known,
        )
        return Session(
            submitted,
            taken.standing,
            claim,
            engine,
            processed=0 if checkpoint is None else checkpoint.processed,
            now_ms=self._now_ms,
        )

    def _run_session(self, session: Session, deadline_s: float) -> int:
        task = session.submitted.task
        try:
            return session.run(
                self._writer,
                deadline_s=max(deadline_s, time.monotonic()),
                cancelled=lambda: self._cancels.requested(task),
                stopping=self._stopping,
            )
        except BaseException:
            session.close()
            raise

    def _tries_next(self, taken: Taken, failure: TaskFailedError, reader: LogReader) -> bool:
        """Note the attempt and return True when another provider is left, else write the error.

        Nothing is written when another claim has come or the log is closed.
        """
        submitted, standing, claim = taken.submitted, taken.standing, taken.claim
        reader.read_on(standing, submitted)
        if standing.fold.closed or standing.fold.epoch != taken.point.epoch:
            return False
        message = plain_line(failure.message)[:_MAX_ATTEMPT_CHARS]
        attempts = (*claim.attempts, Attempt(claim.provider, failure.code, message))
        if standing.fold.next_off == 0 and len(attempts) < len(submitted.spec.providers):
            standing.last_claim = msgspec.structs.replace(claim, attempts=attempts, precision="")
            return True
        _log.info("task failed", task=submitted.task, code=failure.code)
        self._terminate(taken, ChunkError(failure.code, plain_line(failure.message)))
        return False

    def _bury(self, message: TaskMessage, standing: Standing, reader: LogReader) -> None:
        """End a task that took its worker down time and again."""
        taken = self._claimant.take(message, standing, reader)
        if taken is None:
            return
        task = taken.submitted.task
        error = ChunkError(
            "worker_crash", f"the worker was lost {MAX_CRASHES} times on the same part of this task"
        )
        _log.error("task buried", task=task)
        known = _known_pin(standing, _checkpoint(taken, reader))
        self._engines.abandon(taken.claim.provider, known)
        self._send_dead(taken.submitted, error, taken.point.epoch)
        self._terminate(taken, error)
        hand_over(self._writer, reader, taken)

    def _send_dead(self, submitted: Submitted, error: ChunkError, position: int) -> None:
        self._writer.send_dead(
            DeadLetter(
                submitted.task,
                submitted.project,
                error.code,
                error.message,
                self._now_ms(),
                topic=CHUNKS,
                partition=submitted.partition,
                position=position,
            )
        )

    def _terminate(self, taken: Taken, error: ChunkError | None) -> None:
        """Write the terminal; without an error the task ends as cancelled."""
        pending = Pending()
        reason: FinishReason = "cancelled" if error is None else "error"
        self._bare(taken).finish(self._writer, pending, reason, error)
        self._writer.settle(pending)

    def _bare(self, taken: Taken) -> Session:
        """Return a session that can do no more than end the task."""
        return Session(
            taken.submitted,
            taken.standing,
            taken.claim,
            NoEngine(),
            processed=taken.standing.processed,
            now_ms=self._now_ms,
        )


def _checkpoint(taken: Taken, reader: LogReader) -> Checkpoint | None:
    """Return the last accepted checkpoint; None starts over, silently up to the log's end."""
    submitted, standing = taken.submitted, taken.standing
    if standing.ckpt is None and standing.fold.ckpt_position is not None:
        record = reader.record_at(submitted.partition, standing.fold.ckpt_position, submitted.task)
        if record is not None:
            standing.look_back(record)
    if standing.ckpt is None:
        return None
    try:
        return decode_checkpoint(standing.ckpt)
    except BadCheckpointError as exc:
        _log.warning("checkpoint refused", task=submitted.task, reason=str(exc))
        return None


def _known_pin(standing: Standing, checkpoint: Checkpoint | None) -> str | None:
    """Return what the task's log has been computed from: the source's hash, the upstream's task."""
    if checkpoint is not None:
        return checkpoint.pin
    return standing.pin.decode(errors="replace") if standing.pin else None
