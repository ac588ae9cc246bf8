"""One slice of work, from a message of video.tasks to its acknowledgement.

    read the log ► may this message go on? ► claim ► read up to the claim ► open or keep the
    session ► work until the slice's end ► `continue` message, or the terminal

Everything is synchronous and runs in a slot's thread. Whatever happens inside a task ends in its
log; what Kafka cannot take now is tried again. `run` returns whether the message is done.
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
from streamproc.contract.chunk import ChunkError
from streamproc.contract.records import Attempt, DeadLetter, Submitted, TaskMessage
from streamproc.errors import TaskFailedError
from streamproc.providers.engines import Engines
from streamproc.stages.checkpoint import BadCheckpointError, Checkpoint, decode_checkpoint

_log = structlog.get_logger()


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
        attempts = (*claim.attempts, Attempt(claim.provider, failure.code, failure.message))
        if standing.fold.next_off == 0 and len(attempts) < len(submitted.spec.providers):
            standing.last_claim = msgspec.structs.replace(claim, attempts=attempts, precision="")
            return True
        _log.info("task failed", task=submitted.task, code=failure.code)
        self._terminate(taken, ChunkError(failure.code, failure.message))
        return False

    def _bury(self, message: TaskMessage, standing: Standing, reader: LogReader) -> None:
        """End a task that took its worker down time and again."""
        taken = self._claimant.take(message, standing, reader)
        if taken is None:
            return
        task, project = taken.submitted.task, taken.submitted.project
        error = ChunkError(
            "worker_crash", f"the worker was lost {MAX_CRASHES} times on the same part of this task"
        )
        _log.error("task buried", task=task)
        known = _known_pin(standing, _checkpoint(taken, reader))
        self._engines.abandon(taken.claim.provider, known)
        self._writer.send_dead(DeadLetter(task, project, error.code, error.message, self._now_ms()))
        self._terminate(taken, error)
        hand_over(self._writer, reader, taken)

    def _terminate(self, taken: Taken, error: ChunkError) -> None:
        pending = Pending()
        self._bare(taken).finish(self._writer, pending, "error", error)
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
    return standing.pin.decode() if standing.pin else None
