"""State of one message while a worker processes it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from streamproc.contract.records import TaskMessage
from streamproc.errors import TaskStateLostError
from streamproc.source.errors import SourceClosedError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.worker.checkpoint import Checkpoint
from streamproc.worker.claims import ClaimedSlice
from streamproc.worker.session import Session
from streamproc.worker.task_log import LogReader
from streamproc.worker.task_state import TaskState, submission


class Readers(Protocol):
    """Pool of log readers."""

    def lent(self) -> AbstractContextManager[LogReader]:
        """Borrow a reader; waits until one is free."""


@dataclass(eq=False, slots=True)
class Slice:
    """One try of a message: its progress and its resources."""

    message: TaskMessage
    task_state: TaskState
    alone: bool = False
    taken: ClaimedSlice | None = None
    checkpoint: Checkpoint | None = None
    session: Session | None = None
    interrupt: Interrupt = field(default_factory=Interrupt)
    is_open: bool = False
    n_frames: int = 0
    gives_way: bool = False
    lacks_store: bool = False
    """It was handed over because S3 is unavailable: the next slice first waits for S3."""
    done: bool = False
    """The message may be acknowledged."""

    @property
    def task(self) -> str:
        return submission(self.message).task

    @property
    def is_live(self) -> bool:
        return submission(self.message).spec.live is not None

    def need_taken(self) -> ClaimedSlice:
        if self.taken is None:
            raise TaskStateLostError("the slice was not claimed")
        return self.taken

    def give_up(self) -> None:
        """Abort a running opening; no effect once the source is open. Thread-safe."""
        if not self.is_open:
            self.interrupt.set(SourceClosedError("the source opening was aborted"))

    def give_way(self) -> None:
        """End the slice as soon as it has saved its results. Thread-safe."""
        self.gives_way = True

    def close(self) -> None:
        """Close a session that was opened and not used."""
        session, self.session = self.session, None
        if session is not None:
            session.close()
