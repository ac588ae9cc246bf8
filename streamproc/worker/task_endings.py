"""Ending a task without its engine: a terminal, the next provider, or a dead letter."""

from collections.abc import Callable

import msgspec
import structlog

from streamproc.contract.bounds import plain_line
from streamproc.contract.chunk import ChunkError, FinishReason
from streamproc.contract.records import Attempt, DeadLetter, Submitted
from streamproc.contract.topics import CHUNKS
from streamproc.errors import TaskFailedError
from streamproc.worker.claims import ClaimedSlice
from streamproc.worker.session import NullEngine, Session
from streamproc.worker.task_log import LogReader, LogWriter, Pending

_log = structlog.get_logger()
_MAX_ATTEMPT_CHARS = 150  # attempts are stored in a segment's metadata, 2 kB in total


class Endings:
    """Writes terminals and dead letters; shared by all threads of a worker."""

    def __init__(self, writer: LogWriter, now_ms: Callable[[], int]) -> None:
        self._writer, self._now_ms = writer, now_ms

    def tries_next(self, taken: ClaimedSlice, failure: TaskFailedError, reader: LogReader) -> bool:
        """Record the attempt and return True if another provider is left, else write the error.

        Writes nothing if there is a newer claim or the log is closed.
        """
        submitted, task_state, claim = taken.submitted, taken.task_state, taken.claim
        reader.read_on(task_state, submitted)
        if task_state.fold.closed or task_state.fold.epoch != taken.point.epoch:
            return False
        message = plain_line(failure.message)[:_MAX_ATTEMPT_CHARS]
        attempts = (*claim.attempts, Attempt(claim.provider, failure.code, message))
        if task_state.fold.next_off == 0 and len(attempts) < len(submitted.spec.providers):
            task_state.last_claim = msgspec.structs.replace(claim, attempts=attempts, precision="")
            return True
        _log.info("task failed", task=submitted.task, code=failure.code)
        self.terminate(taken, ChunkError(failure.code, plain_line(failure.message)))
        return False

    def terminate(self, taken: ClaimedSlice, error: ChunkError | None) -> None:
        """Write the terminal; without an error the task ends as cancelled."""
        pending = Pending()
        reason: FinishReason = "cancelled" if error is None else "error"
        self.bare_session(taken).finish(self._writer, pending, reason, error)
        self._writer.settle(pending)

    def bare_session(self, taken: ClaimedSlice) -> Session:
        """Return a session that can only end the task."""
        return Session(
            taken.submitted,
            taken.task_state,
            taken.claim,
            NullEngine(),
            processed=taken.task_state.processed,
            now_ms=self._now_ms,
        )

    def send_dead(self, submitted: Submitted, error: ChunkError, position: int) -> None:
        """Write a dead letter; raises `LogUnavailableError` if Kafka does not accept it."""
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
