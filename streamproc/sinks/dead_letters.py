"""Dead-letter queue of the sinks: each skipped record or task is reported on video.dlq.

A letter names the record's offset in Kafka (kept for seven days), or the end of the batch that its
rows were part of. The api reads the letters: `/v1/system`, `/metrics`, the System tab.
"""

import time
from collections.abc import Callable

import msgspec
from structlog.typing import FilteringBoundLogger

from streamproc.clients.background_producer import Outbox
from streamproc.contract.bounds import plain_line
from streamproc.contract.records import DeadLetter
from streamproc.contract.topics import DLQ
from streamproc.sinks.skipped_records import LeftOut

MAX_PER_MINUTE = 200
"""Rate limit: otherwise a partition that is read again would repeat its letters at full speed."""
_MINUTE_S = 60.0


class LoggedLetters:
    """Dead letters only as log lines: for `reindex` and for tests."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self.n_left_out = 0

    def put(self, left_out: LeftOut) -> None:
        self.n_left_out += 1
        self._log.error(
            "record skipped",
            task=left_out.task or None,
            code=left_out.code,
            reason=left_out.message,
            topic=left_out.topic,
            partition=left_out.partition,
            position=left_out.position,
        )


class KafkaLetters(LoggedLetters):
    """Dead letters on video.dlq, and as log lines."""

    def __init__(
        self,
        outbox: Outbox,
        role: str,
        log: FilteringBoundLogger,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`role`: the role that writes the letters."""
        super().__init__(log)
        self._outbox, self._role = outbox, role
        self._clock_s = clock_s
        self._minute_s = float("-inf")
        self._n_in_minute = 0

    def put(self, left_out: LeftOut) -> None:
        super().put(left_out)
        now_s = self._clock_s()
        if now_s - self._minute_s >= _MINUTE_S:
            self._minute_s, self._n_in_minute = now_s, 0
        self._n_in_minute += 1
        if self._n_in_minute > MAX_PER_MINUTE:
            return
        letter = DeadLetter(
            task=left_out.task,
            project=left_out.project,
            code=left_out.code,
            message=plain_line(left_out.message),
            dead_ms=time.time_ns() // 1_000_000,
            role=self._role,
            topic=left_out.topic,
            partition=left_out.partition,
            position=left_out.position,
        )
        self._outbox.publish(DLQ, letter.task, msgspec.msgpack.encode(letter))
