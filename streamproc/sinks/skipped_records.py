"""Skipped records of the sinks, and the interface that reports them."""

from typing import Protocol

import msgspec


class LeftOut(msgspec.Struct, frozen=True):
    """A record, or a task from there on, that a role skips.

    `code`: `bad_record`, `unreadable_chunk`, `row_refused`, `task_damaged`,
    `internal_error`. `position` -1: unknown.
    """

    code: str
    message: str
    task: str = ""
    project: str = ""
    topic: str = ""
    partition: int = -1
    position: int = -1


class DeadLetters(Protocol):
    """Interface to the dead-letter queue, for skipped records."""

    def put(self, left_out: LeftOut) -> None:
        """Write a dead letter; never raises, and never waits for long."""
