"""The state of the service: workers, consumers, lag, failures, history, health."""

from typing import Literal

import msgspec


class SandboxResource(msgspec.Struct, frozen=True):
    """The sandbox of a worker's decoders; `missing` names the parts that its host refused."""

    level: Literal["full", "partial", "none"]
    missing: list[str]


class WorkerResource(msgspec.Struct, frozen=True):
    """A worker as its last heartbeat reported it; `alive` if the heartbeat is recent.

    `fps`: frames per second over about ten seconds. `device` is the one that computes;
    `device_fault` says why it computes nothing. `cpu_percent`: CPU time of its process over about
    two seconds, 100 is one core; null of a worker of an older version. `live_slots` and `live_busy`
    are as `slots` and `busy`, for live tasks. `sources` has the names of up to 1,000 of its named
    sources.
    """

    id: str
    host: str
    pid: int
    alive: bool
    started_at: str
    seen_at: str
    device: str
    precision: str
    models: list[str]
    slots: int
    busy: int
    fps: float
    processed_frames: int
    partitions: list[int]
    rss_bytes: int
    sandbox: SandboxResource | None = None
    device_fault: str | None = None
    cpu_percent: float | None = None
    live_slots: int = 0
    live_busy: int = 0
    sources: list[str] = []


class WorkerSampleResource(msgspec.Struct, frozen=True):
    """A worker in one step of time from `at` on.

    `fps`, `cpu_percent` (100 is one core; null if unknown) and `busy` are means, `rss_bytes` and
    `slots` maxima, `processed_frames` is the last count.
    """

    at: str
    fps: float
    cpu_percent: float | None
    rss_bytes: int
    busy: float
    slots: int
    processed_frames: int


class WorkerHistoryResource(msgspec.Struct, frozen=True):
    """A worker's history, oldest first; steps without a heartbeat are left out."""

    id: str
    samples: list[WorkerSampleResource]


class FailureGroup(msgspec.Struct, frozen=True):
    """The number of a project's failed tasks with one error `code` and one source (its name).

    `last_at` is the end of the latest of them, `last_task`.
    """

    code: str
    source: str
    tasks: int
    last_at: str
    last_task: str


class FailureGroups(msgspec.Struct, frozen=True):
    """Failed tasks by code and source, the largest group first, 100 at most."""

    data: list[FailureGroup]


class LagSampleResource(msgspec.Struct, frozen=True):
    """The largest lag in one step of time from `at` on, of all partitions together."""

    at: str
    lag: int


class LagHistoryResource(msgspec.Struct, frozen=True):
    """A consumer group's lag in a topic, oldest first; steps without a sample are left out."""

    group: str
    topic: str
    samples: list[LagSampleResource]


class SystemHistory(msgspec.Struct, frozen=True):
    """History of the workers and of consumer lag in `[from, to)`, in steps of `step_s` seconds.

    `lag` is empty if one worker alone was asked for.
    """

    from_: str = msgspec.field(name="from")
    to: str
    step_s: int
    workers: list[WorkerHistoryResource]
    lag: list[LagHistoryResource] = []


class LagResource(msgspec.Struct, frozen=True):
    """Consumer lag: messages that a group has not committed; `lag` is null if it never did."""

    group: str
    topic: str
    partition: int
    lag: int | None


class ConsumerResource(msgspec.Struct, frozen=True):
    """A process of the archive or the index, as its last heartbeat reported it.

    `standing`: partitions where records wait and nothing was read for a minute, or the limit set.
    `waiting_for`: what it waits for on purpose. `renewals`: how often its consumer was recreated.
    `cpu_percent` and `rss_bytes` are as those of a worker, null of a process of an older version.
    """

    role: str
    host: str
    pid: int
    alive: bool
    started_at: str
    seen_at: str
    partitions: list[int]
    standing: list[int]
    waiting_for: str | None
    renewals: int
    cpu_percent: float | None = None
    rss_bytes: int | None = None


class ApiProcessResource(msgspec.Struct, frozen=True):
    """The api process that answers; there may be others."""

    host: str
    pid: int
    started_at: str
    cpu_percent: float | None
    rss_bytes: int


class DeadLetterResource(msgspec.Struct, frozen=True):
    """A dead letter: a task that a role ended, or a record that it skipped."""

    at: str
    role: str
    code: str
    message: str
    task: str | None
    topic: str | None
    partition: int | None
    offset: int | None


class PartResource(msgspec.Struct, frozen=True):
    """The state of one dependency of the service; `detail` names the fault, without addresses."""

    name: str
    ready: bool
    detail: str | None = None


class SystemResource(msgspec.Struct, frozen=True):
    """State of the service. `project` is that of the caller's key, null for the operator.

    `dead_letters`: the last ones, newest first; the operator sees all, a key its project's own.
    """

    version: str
    partitions: int | None
    parts: list[PartResource]
    workers: list[WorkerResource]
    devices: list[str]
    lag: list[LagResource]
    project: str | None = None
    consumers: list[ConsumerResource] = []
    dead_letters: list[DeadLetterResource] = []
    api: ApiProcessResource | None = None


class HealthResource(msgspec.Struct, frozen=True):
    status: Literal["ready", "not_ready", "live"]
    parts: list[PartResource]
