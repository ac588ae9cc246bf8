"""Watchdog thread for a role's Kafka consumer: detects a stall and sends the heartbeat.

It reads the partitions' end offsets from Kafka over its own connection, because a stalled consumer
may not receive them. When partitions stall, the role must renew its consumer. When renewing does
not help, or the role does not get to it, the process exits at once, and its supervisor starts
another one.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec
import structlog
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # no __all__

from streamproc.clients.background_producer import Outbox
from streamproc.clients.group_offsets import GroupOffsets, Place
from streamproc.clients.process_usage import ProcessUsage
from streamproc.contract.records import CONSUMER_KEY, ConsumerBeat
from streamproc.contract.topics import WORKERS
from streamproc.contract.watchdog import Watchdog

_log = structlog.get_logger("framewire.watchdog")

BEAT_S = 2.0
_ASK_S = 5.0
_MUST_LEAVE_S = 60.0
"""Time that a role has to renew its consumer, or to exit; the limit, if that is longer."""


class Watched(Protocol):
    """A consumer loop as the watchdog sees it, from another thread."""

    renew: threading.Event
    """Set by the watchdog: continue with another consumer, or exit."""

    def positions(self) -> Mapping[Place, int | None]:
        """Return the next offset of each assigned partition, None before its first record."""

    @property
    def waiting_for(self) -> str | None:
        """What the reader waits for on purpose; None while it does not wait."""


class ConsumerWatch:
    """Context manager: watches the last reader given to `look_at`; sends a heartbeat every 2 s."""

    def __init__(
        self,
        config: Mapping[str, Any],
        role: str,
        group: str,
        limit_s: float,
        beat: Callable[[ConsumerBeat], None],
        end_process: Callable[[int], Any] = os._exit,
    ) -> None:
        """`config`: properties of an admin client; `limit_s` 0: only observe and report."""
        self._config, self._role, self._group, self._limit_s = config, role, group, limit_s
        self._beat, self._end_process = beat, end_process
        self._dog: Watchdog[Place] = Watchdog(limit_s)
        self._reader: Watched | None = None
        self._renewed_s: float | None = None
        self._stopping = threading.Event()
        self._started_ms = _now_ms()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._admin: Any = None
        self._offsets_of_group = GroupOffsets(config, group)
        self._starts: dict[Place, int] = {}
        self._usage = ProcessUsage()

    @classmethod
    def reporting(
        cls, config: Mapping[str, Any], role: str, group: str, limit_s: float, outbox: Outbox
    ) -> Self:
        """Return a watchdog whose reports go to video.workers."""

        def beat(report: ConsumerBeat) -> None:
            key = f"{CONSUMER_KEY}{report.role}/{report.host}-{report.pid}"
            outbox.publish(WORKERS, key, msgspec.msgpack.encode(report))

        return cls(config, role, group, limit_s, beat)

    def look_at(self, reader: Watched | None) -> None:
        """Watch this reader from now on; None: there is no reader at the moment."""
        self._reader, self._renewed_s = reader, None
        self._starts = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(2 * _ASK_S)
        if not self._thread.is_alive():
            self._offsets_of_group.close()

    def _run(self) -> None:
        period_s = min(BEAT_S, self._limit_s / 4) if self._limit_s else BEAT_S
        while not self._stopping.wait(period_s):
            try:
                self._look()
            except Exception:  # noqa: BLE001 - the thread's edge: the watchdog must survive
                _log.exception("the watchdog check failed")

    def _look(self) -> None:
        reader = self._reader
        if reader is None:
            return
        places = reader.positions()
        waiting_for = reader.waiting_for
        try:
            ends = self._ends(list(places))
            positions = self._known(places)
        except (KafkaException, TimeoutError):
            self._admin = None  # its cached leader epochs are stale: Kafka would refuse them
            waiting_for, ends, positions = waiting_for or "kafka", {}, {}
        now_s = time.monotonic()
        stalled = self._dog.look(now_s, positions, ends, waiting_for=waiting_for)
        self._tell(places, stalled, waiting_for)
        if reader.renew.is_set():
            self._insist(now_s)
        elif stalled and reader is self._reader:
            self._renew(reader, stalled, now_s)

    def _renew(self, reader: Watched, stalled: Sequence[Place], now_s: float) -> None:
        _log.error(
            "consumer stalled with records waiting: recreating it",
            role=self._role,
            partitions=[f"{topic}/{partition}" for topic, partition in stalled],
            after_s=self._limit_s,
        )
        if self._dog.is_hopeless:
            _log.error("recreating the consumer did not help: the process exits", role=self._role)
            self._end_process(1)
        self._dog.renewed()
        self._renewed_s = now_s
        reader.renew.set()

    def _insist(self, now_s: float) -> None:
        if self._renewed_s is None or now_s - self._renewed_s < max(self._limit_s, _MUST_LEAVE_S):
            return
        _log.error(
            "the role did not renew its consumer in time: the process exits", role=self._role
        )
        self._end_process(1)

    def _tell(
        self, places: Mapping[Place, int | None], stalled: Sequence[Place], waiting_for: str | None
    ) -> None:
        usage = self._usage.read()
        self._beat(
            ConsumerBeat(
                role=self._role,
                host=socket.gethostname(),
                pid=os.getpid(),
                started_ms=self._started_ms,
                beat_ms=_now_ms(),
                partitions=tuple(sorted({partition for _, partition in places})),
                standing=tuple(sorted({partition for _, partition in stalled})),
                waiting_for=waiting_for,
                n_renewals=self._dog.n_renewals,
                cpu_percent=usage.cpu_percent,
                rss_bytes=usage.rss_bytes,
            )
        )

    def _known(self, places: Mapping[Place, int | None]) -> dict[Place, int]:
        """Return the positions; before the first record, the group's committed offset counts."""
        fresh = [place for place, position in places.items() if position is None]
        unknown = [place for place in fresh if place not in self._starts]
        if unknown:
            committed = self._offsets_of_group.committed(unknown, _ASK_S)
            lows = self._offsets(unknown, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
            self._starts |= {
                place: max(committed.get(place, 0), lows.get(place, 0)) for place in unknown
            }
        return {
            place: self._starts[place] if position is None else position
            for place, position in places.items()
        }

    def _ends(self, places: Sequence[Place]) -> dict[Place, int]:
        return self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def _offsets(self, places: Sequence[Place], which: Any) -> dict[Place, int]:
        if not places:
            return {}
        asked = {TopicPartition(*place): which for place in places}
        futures = self._client().list_offsets(asked, request_timeout=_ASK_S)
        return {
            (place.topic, place.partition): future.result(_ASK_S).offset
            for place, future in futures.items()
        }

    def _client(self) -> Any:
        if self._admin is None:
            self._admin = AdminClient(dict(self._config))
        return self._admin


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
