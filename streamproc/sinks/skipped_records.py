"""What a sink goes on without, and where it tells so."""

from typing import Protocol

import msgspec


class LeftOut(msgspec.Struct, frozen=True):
    """A record, or a task from there on, that a role goes on without.

    `code`: `bad_record`, `unreadable_chunk`, `row_refused`, `task_damaged`,
    `internal_error`. `position` -1: not known.
    """

    code: str
    message: str
    task: str = ""
    project: str = ""
    topic: str = ""
    partition: int = -1
    position: int = -1


class DeadLetters(Protocol):
    """Where a role tells what it left out."""

    def put(self, left_out: LeftOut) -> None:
        """Write a letter; never raises, never waits for long."""
