"""One slice of work, from a message of video.tasks to its acknowledgement.

    read the log ► may this message go on? ► claim ► read up to the claim ► open or keep the
    session ► work until the slice's end ► `continue` message, or the terminal

Everything is synchronous and runs in a slot's thread. Whatever happens inside a task ends in its
log; what Kafka cannot take now is tried again. `run` returns whether the message is done.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog

from streamproc.agents.beats import Beats
from streamproc.agents.cancels import Cancels
from streamproc.agents.handover import hand_over
from streamproc.agents.log import LogReader, LogWriter, Pending
from streamproc.agents.session import NoEngine, Session
from streamproc.agents.sessions import Sessions
from streamproc.agents.solitude import Solitude
from streamproc.agents.standing import (
    MAX_CRASHES,
    Life,
    Standing,
    parent_of,
    slice_of,
    submission,
)
from streamproc.contract.chunk import ChunkError
from streamproc.contract.records import (
    Attempt,
    ChunkRecord,
    Claim,
    DeadLetter,
    FoldPoint,
    Submitted,
    TaskMessage,
)
from streamproc.errors import StandingLostError, TaskFailedError
from streamproc.providers.engines import Engines
from streamproc.stages.checkpoint import BadCheckpointError, Checkpoint, decode_checkpoint

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Taken:
    """A claimed task: where it stands, under which claim."""

    standing: Standing
    claim: Claim


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
        self._writer, self._beats, self._cancels = writer, beats, cancels
        self._engines, self._sessions = engines, sessions
        self._stopping, self._now_ms = stopping, now_ms
        self._solitude = Solitude()

    def run(self, message: TaskMessage, reader: LogReader) -> int:
        """Run the slice that `message` begins; returns the frames processed.

        When it returns, the message may be acknowledged. Raises `LogUnavailableError` or
        `StandingLostError` when it must be tried again.
        """
        submitted = submission(message)
        log = _log.bind(task=submitted.task, slice=slice_of(message))
        standing = self._stand(message, reader)
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
        with self._solitude.entered(alone=bool(suspects)):
            return self._work(message, standing, reader)

    def _stand(self, message: TaskMessage, reader: LogReader) -> Standing:
        """Fold the task's log up to its present end."""
        submitted = submission(message)
        standing = Standing.at(message)
        end = reader.end(submitted.partition)
        for record in reader.read(submitted.partition, standing.fold.position, end, submitted.task):
            standing.take(record)
        return standing

    def _claim(
        self, submitted: Submitted, standing: Standing, claim: Claim, reader: LogReader
    ) -> None:
        """Append the claim and fold up to it, or to the log's end if it has closed meanwhile.

        Raises `StandingLostError` when the claim was not read back.
        """
        pending = Pending()
        record = ChunkRecord(
            task=submitted.task,
            project=submitted.project,
            kind="claim",
            epoch=-1,
            seq=standing.fold.next_seq,
            off=standing.fold.next_off,
            frame=-1,
            pts=-1,
            value=msgspec.msgpack.encode(claim),
        )
        self._writer.append(record, submitted.partition, pending)
        position = self._writer.settle(pending)
        for found in reader.read(
            submitted.partition, standing.fold.position, position + 1, submitted.task
        ):
            standing.take(found)
        if standing.fold.epoch != position and not standing.fold.closed:
            raise StandingLostError(f"the claim of {submitted.task} was not read back")

    def _work(self, message: TaskMessage, standing: Standing, reader: LogReader) -> int:
        """Claim and work, with the next provider when one fails before the first chunk."""
        submitted = submission(message)
        deadline_s = time.monotonic() + self._slice_s
        while True:
            claim = self._next_claim(message, standing)
            self._claim(submitted, standing, claim, reader)
            if standing.fold.closed:
                self._sessions.discard(submitted.task)
                return 0
            taken = Taken(standing, claim)
            # After this, the standing is folded no further: its point is the claim's.
            after_claim = standing.fold.point()
            try:
                session = self._session(submitted, taken, reader)
                n_frames = self._run_session(session, deadline_s)
            except TaskFailedError as failure:
                if self._tries_next(submitted, taken, failure, reader):
                    continue
                self._end(message, claim, after_claim, standing, reader)
                return 0
            if session.finished:
                self._sessions.discard(submitted.task)
                session.close()
            else:
                self._sessions.keep(submitted.task, session)
            hand_over(
                self._writer,
                reader,
                message,
                claim,
                after_claim,
                started_ms=session.started_ms,
                closes=session.finished,
                n_records=session.n_records,
            )
            return n_frames

    def _next_claim(self, message: TaskMessage, standing: Standing) -> Claim:
        """Return the claim to make: same provider and precision as before, if any was chosen."""
        submitted = submission(message)
        last = standing.last_claim
        attempts = standing.attempts
        order = submitted.spec.providers
        name = order[min(len(attempts), len(order) - 1)]
        if last is not None and last.provider == name and last.precision:
            device, precision = last.device, last.precision
        else:
            try:
                device, precision = self._engines.resolve(name)
            except TaskFailedError:
                device, precision = "", ""  # opening it will fail and say why
        return Claim(
            worker=self._life.worker,
            life=self._life.started_ms,
            slice=slice_of(message),
            provider=name,
            precision=precision,
            device=device,
            parent=parent_of(message),
            attempts=attempts,
        )

    def _session(self, submitted: Submitted, taken: Taken, reader: LogReader) -> Session:
        """Return the warm session if it stands exactly where the log does, else a new one."""
        fold = taken.standing.fold
        warm = self._sessions.take(submitted.task)
        if warm is not None:
            if warm.stands_at(fold) and warm.claim.provider == taken.claim.provider:
                warm.adopt(taken.standing, taken.claim)
                return warm
            warm.close()
        checkpoint = self._checkpoint(submitted, taken.standing, reader)
        known = _known_pin(taken.standing, checkpoint)
        if self._cancels.requested(submitted.task):
            self._engines.abandon(taken.claim.provider, known)
            return self._bare(submitted, taken)
        engine = self._engines.open(
            taken.claim.provider,
            submitted,
            taken.claim.precision,
            None if checkpoint is None else checkpoint.engine,
            known,
        )
        return Session(
            submitted,
            taken.standing,
            taken.claim,
            engine,
            processed=0 if checkpoint is None else checkpoint.processed,
            now_ms=self._now_ms,
        )

    def _checkpoint(
        self, submitted: Submitted, standing: Standing, reader: LogReader
    ) -> Checkpoint | None:
        """Return the last accepted checkpoint; None starts over, silently up to the log's end."""
        if standing.ckpt is None and standing.fold.ckpt_position is not None:
            record = reader.record_at(
                submitted.partition, standing.fold.ckpt_position, submitted.task
            )
            if record is not None:
                standing.look_back(record)
        data = standing.ckpt
        if data is None:
            return None
        try:
            return decode_checkpoint(data)
        except BadCheckpointError as exc:
            _log.warning("checkpoint refused", task=submitted.task, reason=str(exc))
            return None

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

    def _tries_next(
        self, submitted: Submitted, taken: Taken, failure: TaskFailedError, reader: LogReader
    ) -> bool:
        """Note the attempt and return True when another provider is left, else write the error.

        Nothing is written when another claim has come or the log is closed.
        """
        standing, claim = taken.standing, taken.claim
        epoch = standing.fold.epoch
        for record in reader.read(
            submitted.partition,
            standing.fold.position,
            reader.end(submitted.partition),
            submitted.task,
        ):
            standing.take(record)
        if standing.fold.closed or standing.fold.epoch != epoch:
            return False
        attempts = (*claim.attempts, Attempt(claim.provider, failure.code, failure.message))
        if standing.fold.next_off == 0 and len(attempts) < len(submitted.spec.providers):
            standing.last_claim = msgspec.structs.replace(claim, attempts=attempts, precision="")
            return True
        _log.info("task failed", task=submitted.task, code=failure.code)
        self._terminate(submitted, taken, failure.code, failure.message)
        return False

    def _end(
        self,
        message: TaskMessage,
        claim: Claim,
        after_claim: FoldPoint,
        standing: Standing,
        reader: LogReader,
    ) -> None:
        """Hand over after a terminal that need not have been accepted."""
        started_ms = standing.started_ms if standing.started_ms is not None else self._now_ms()
        hand_over(
            self._writer,
            reader,
            message,
            claim,
            after_claim,
            started_ms=started_ms,
            closes=False,
        )

    def _terminate(self, submitted: Submitted, taken: Taken, code: str, message: str) -> None:
        session = self._bare(submitted, taken)
        pending = Pending()
        session.finish(self._writer, pending, "error", ChunkError(code, message))
        self._writer.settle(pending)

    def _bare(self, submitted: Submitted, taken: Taken) -> Session:
        """Return a session that can do no more than end the task."""
        return Session(
            submitted,
            taken.standing,
            taken.claim,
            NoEngine(),
            processed=taken.standing.processed,
            now_ms=self._now_ms,
        )

    def _bury(self, message: TaskMessage, standing: Standing, reader: LogReader) -> None:
        """End a task that took its worker down time and again."""
        submitted = submission(message)
        text = f"the worker was lost {MAX_CRASHES} times on the same part of this task"
        claim = self._next_claim(message, standing)
        self._claim(submitted, standing, claim, reader)
        if standing.fold.closed:
            return
        after_claim = standing.fold.point()
        _log.error("task buried", task=submitted.task)
        known = _known_pin(standing, self._checkpoint(submitted, standing, reader))
        self._engines.abandon(claim.provider, known)
        self._writer.send_dead(
            DeadLetter(submitted.task, submitted.project, "worker_crash", text, self._now_ms())
        )
        self._terminate(submitted, Taken(standing, claim), "worker_crash", text)
        self._end(message, claim, after_claim, standing, reader)


def _known_pin(standing: Standing, checkpoint: Checkpoint | None) -> str | None:
    """Return what the task's log has been computed from: the source's hash, the upstream's task."""
    if checkpoint is not None:
        return checkpoint.pin
    return standing.pin.decode() if standing.pin else None
