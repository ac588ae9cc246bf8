"""Prometheus metrics of one api process. Labels are routes and codes, never ids or projects."""

from collections.abc import Iterable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from api.contract.system import PartResource
from api.live_lag import LiveLagCollector
from streamproc.clients.consumer_lag import ConsumerLag
from streamproc.contract.chunk import DropReason
from streamproc.contract.records import LIVE_STATES, PictureResult, RecordingResult, WorkerBeat

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Metrics in a registry of their own, so that two instances in one process do not conflict."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "framewire_api_requests",
            "Answered requests",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_s = Histogram(
            "framewire_api_request_seconds",
            "Time from a request's head to its answer's head",
            ["method", "route"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.open_requests = Gauge(
            "framewire_api_open_requests", "Requests under way", registry=self.registry
        )
        self.submitted = Counter(
            "framewire_api_tasks_submitted",
            "Tasks acknowledged by Kafka, repeats with an Idempotency-Key among them",
            registry=self.registry,
        )
        self.audit_lost = Counter(
            "framewire_audit_lost",
            "Audit records that Kafka did not take",
            registry=self.registry,
        )
        self.audit_suppressed = Counter(
            "framewire_audit_suppressed",
            "Denied attempts that were too many to have an audit record each",
            registry=self.registry,
        )
        self.lag = Gauge(
            "framewire_lag_messages",
            "Messages of a topic that a role has not committed; nothing while Kafka is away",
            ["group", "topic", "partition"],
            registry=self.registry,
        )

        self.stalled = Gauge(
            "framewire_consumer_standing",
            "1 when a role's records wait and are not read",
            ["role"],
            registry=self.registry,
        )
        self.waiting_for_store = Gauge(
            "framewire_tasks_waiting_for_store",
            "Tasks that workers hold, in no slot, until the object store answers again",
            registry=self.registry,
        )
        self.device_faults = Gauge(
            "framewire_worker_device_faults",
            "Workers that take no tasks, because their device computes wrongly or not at all",
            registry=self.registry,
        )
        self.live_sources = Gauge(
            "framewire_live_sources",
            "Sources of live tasks at workers, by state",
            ["state"],
            registry=self.registry,
        )
        self.live_lag = Gauge(
            "framewire_live_lag_seconds",
            "The largest time from a frame's capture to its chunk, of sources that are live",
            registry=self.registry,
        )
        self.live_lags = LiveLagCollector()
        self.registry.register(self.live_lags)
        self.live_dropped = Gauge(
            "framewire_live_dropped_frames",
            "Received frames that were not processed, by reason, since the workers' start",
            ["reason"],
            registry=self.registry,
        )
        self.live_pictures = Gauge(
            "framewire_live_pictures",
            "Pictures of live tasks for frames/latest.jpg, by result, since the workers' start",
            ["result"],
            registry=self.registry,
        )
        self.live_recordings = Gauge(
            "framewire_live_recordings",
            "Pieces of live tasks' recordings, by result, since the workers' start",
            ["result"],
            registry=self.registry,
        )
        self.live_slots = Gauge(
            "framewire_live_slots",
            "Live tasks that the workers take, together",
            registry=self.registry,
        )
        self.live_busy = Gauge(
            "framewire_live_busy",
            "Live tasks that the workers have",
            registry=self.registry,
        )
        self.letters = Gauge(
            "framewire_dead_letters",
            "What a role left out, or ended, in the last 30 days",
            ["role", "code"],
            registry=self.registry,
        )

    def set_consumers(self, parts: Iterable[PartResource]) -> None:
        """Replace the roles' stalled gauges: 1 when records wait and are not read."""
        for part in parts:
            self.stalled.labels(part.name).set(0 if part.ready else 1)

    def set_workers(self, workers: Iterable[WorkerBeat]) -> None:
        """Replace the gauges that come from the last heartbeats of the workers that are alive."""
        beats = list(workers)
        self.waiting_for_store.set(sum(beat.waiting_for_store for beat in beats))
        self.device_faults.set(sum(beat.device_fault is not None for beat in beats))
        live = [one for beat in beats for one in beat.live]
        for state in LIVE_STATES:
            self.live_sources.labels(state).set(sum(one.state == state for one in live))
        lags_ms = [one.lag_ms for one in live if one.state == "live" and one.lag_ms is not None]
        self.live_lag.set(max(lags_ms, default=0) / 1000)
        self.live_lags.set(beat.lags for beat in beats if beat.lags is not None)
        for reason in get_args(DropReason):
            self.live_dropped.labels(reason).set(sum(b.dropped.get(reason, 0) for b in beats))
        for result in get_args(RecordingResult):
            n_pieces = sum(beat.recordings.get(result, 0) for beat in beats)
            self.live_recordings.labels(result).set(n_pieces)
        for result in get_args(PictureResult):
            self.live_pictures.labels(result).set(sum(b.pictures.get(result, 0) for b in beats))
        self.live_slots.set(sum(beat.live_slots for beat in beats))
        self.live_busy.set(sum(beat.live_busy for beat in beats))

    def set_letters(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Replace the counts of dead letters, by role and code."""
        for (role, code), n_letters in counts.items():
            self.letters.labels(role, code).set(n_letters)

    def set_lag(self, places: Iterable[ConsumerLag]) -> None:
        """Replace the consumer lag of all roles."""
        self.lag.clear()
        for place in places:
            self.lag.labels(place.group, place.topic, place.partition).set(place.messages)

    def render(self) -> bytes:
        return generate_latest(self.registry)
