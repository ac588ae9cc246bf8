"""Service state routes: workers, consumer lag, dependencies, health probes, metrics."""

import os
import socket
from typing import Annotated, Literal

from litestar import MediaType, Response, get
from litestar.params import QueryParameter

from api.contract import paths
from api.contract.system import (
    ApiProcessResource,
    FailureGroup,
    FailureGroups,
    HealthResource,
    LagHistoryResource,
    LagSampleResource,
    SandboxResource,
    SystemHistory,
    SystemResource,
    WorkerHistoryResource,
    WorkerResource,
    WorkerSampleResource,
)
from api.contract.version import VERSION
from api.errors import InvalidRequestError
from api.kafka.consumer_health import consumer_resource, letter_resources
from api.kafka.consumer_lag import lag_resource
from api.kafka.global_table import WORKER_ALIVE_MS
from api.metrics import CONTENT_TYPE
from api.routes.dependencies import ThePrincipal, TheProject, TheServices
from api.routes.listing import From, To
from api.routes.openapi import PUBLIC, problems
from api.services import Services
from api.store.clickhouse import Rows
from api.store.failure_queries import list_failures
from api.store.history_queries import Steps, WorkerPoint, list_lag_points, list_worker_points
from api.tasks.submission import now_ms
from api.timestamps import parse_time_ms
from streamproc.contract.records import WorkerBeat
from streamproc.contract.sandbox import Sandbox
from streamproc.contract.timestamps import rfc3339
from streamproc.contract.worker_history import KEEP_DAYS, SAMPLE_S

HOUR_S = 3600
MAX_RANGE_S = KEEP_DAYS * 86400
MAX_POINTS = 240
MAX_GROUPS = 100
MAX_HISTORY_POINTS = 20_000
"""Of all workers together; those whose names come last are cut."""


@get(paths.SYSTEM, operation_id="getSystem", responses=problems())
async def get_system(services: TheServices, principal: ThePrincipal) -> SystemResource:
    """Return workers, devices, consumer lag, the state of every part, and the caller's project."""
    lag = [lag_resource(place) for place in await services.consumer_lag()]
    now = now_ms()
    workers = [_worker(beat, now) for beat in services.directory.workers(now)]
    return SystemResource(
        version=VERSION,
        partitions=services.publisher.known_partitions,
        parts=await services.parts(),
        workers=workers,
        devices=sorted({worker.device for worker in workers if worker.alive}),
        lag=lag,
        project=principal.project,
        consumers=[consumer_resource(beat, now) for beat in services.directory.consumers(now)],
        dead_letters=letter_resources(services.directory.letters(), principal.project),
        api=_this_process(services),
    )


@get(paths.SYSTEM_HISTORY, operation_id="getSystemHistory", responses=problems(400, 422, 503))
async def get_system_history(
    services: TheServices,
    principal: ThePrincipal,  # noqa: ARG001 - every key may read it, as the state of the service
    since: From = None,
    until: To = None,
    points: Annotated[
        int, QueryParameter(ge=1, le=MAX_POINTS, required=False, description="steps of time")
    ] = 60,
    worker: Annotated[
        str | None, QueryParameter(required=False, min_length=1, max_length=256)
    ] = None,
    only: Annotated[
        Literal["lag", "workers"] | None, QueryParameter(required=False, description="this alone")
    ] = None,
) -> SystemHistory:
    """Return each worker's CPU, memory, tasks at work and rate over the last hour, or `from`-`to`.

    And each group's consumer lag, unless one worker alone is asked for; `only` leaves one of both
    out. A step of time has at least one sample (10 s). Samples are kept for seven days.
    """
    to_s = (now_ms() if until is None else parse_time_ms(until, "to")) // 1000
    from_s = to_s - HOUR_S if since is None else parse_time_ms(since, "from") // 1000
    if not 0 < to_s - from_s <= MAX_RANGE_S:
        message = f"must be before `to`, by at most {MAX_RANGE_S} s"
        raise InvalidRequestError.at("from", message)
    steps = Steps(from_s, to_s, max(SAMPLE_S, -(-(to_s - from_s) // points)), MAX_HISTORY_POINTS)
    workers = [] if only == "lag" else await _worker_history(services.rows, steps, worker)
    lag = [] if worker or only == "workers" else await _lag_history(services.rows, steps)
    return SystemHistory(rfc3339(from_s * 1000), rfc3339(to_s * 1000), steps.step_s, workers, lag)


@get(paths.SYSTEM_FAILURES, operation_id="listFailures", responses=problems(400, 403, 422, 503))
async def get_failures(
    services: TheServices, project: TheProject, created_from: From = None, created_to: To = None
) -> FailureGroups:
    """Count the project's failed tasks by error code and source; the largest 100 groups."""
    found = await list_failures(
        services.rows,
        project,
        None if created_from is None else parse_time_ms(created_from, "from"),
        None if created_to is None else parse_time_ms(created_to, "to"),
        MAX_GROUPS,
    )
    groups = [
        FailureGroup(one.code, one.source, one.tasks, rfc3339(one.last_ms), one.last_task)
        for one in found
    ]
    return FailureGroups(groups)


@get("/health/live", operation_id="live", security=PUBLIC)
async def live() -> HealthResource:
    """Liveness probe: answer 200 while the process runs."""
    return HealthResource("live", [])


@get("/health/ready", operation_id="ready", security=PUBLIC)
async def ready(services: TheServices) -> Response[HealthResource]:
    """Readiness probe: answer 200 if every part is ready, else 503; both list the parts."""
    parts = await services.parts()
    is_ready = all(part.ready for part in parts)
    return Response(
        HealthResource("ready" if is_ready else "not_ready", parts),
        status_code=200 if is_ready else 503,
    )


@get("/metrics", operation_id="metrics", media_type=MediaType.TEXT, security=PUBLIC)
async def metrics(services: TheServices) -> Response[bytes]:
    """Return the Prometheus metrics: this process's counters and the consumer lag of each role."""
    services.metrics.set_lag(await services.consumer_lag())
    services.metrics.set_consumers(services.role_parts())
    services.metrics.set_workers(services.living_workers())
    services.metrics.set_letters(services.directory.n_letters())
    return Response(services.metrics.render(), media_type=CONTENT_TYPE)


def _this_process(services: Services) -> ApiProcessResource:
    usage = services.usage.read()
    return ApiProcessResource(
        host=socket.gethostname(),
        pid=os.getpid(),
        started_at=rfc3339(services.started_ms),
        cpu_percent=usage.cpu_percent,
        rss_bytes=usage.rss_bytes,
    )


async def _worker_history(
    rows: Rows, steps: Steps, worker: str | None
) -> list[WorkerHistoryResource]:
    by_worker: dict[str, list[WorkerSampleResource]] = {}
    for point in await list_worker_points(rows, steps, worker):
        by_worker.setdefault(point.worker, []).append(_sample(point))
    return [WorkerHistoryResource(name, samples) for name, samples in by_worker.items()]


async def _lag_history(rows: Rows, steps: Steps) -> list[LagHistoryResource]:
    by_group: dict[tuple[str, str], list[LagSampleResource]] = {}
    for point in await list_lag_points(rows, steps):
        sample = LagSampleResource(rfc3339(point.at_s * 1000), point.lag)
        by_group.setdefault((point.group, point.topic), []).append(sample)
    return [LagHistoryResource(*place, samples) for place, samples in by_group.items()]


def _sample(point: WorkerPoint) -> WorkerSampleResource:
    return WorkerSampleResource(
        at=rfc3339(point.at_s * 1000),
        fps=round(point.fps, 2),
        cpu_percent=None if point.cpu_percent is None else round(point.cpu_percent, 1),
        rss_bytes=point.rss_bytes,
        busy=round(point.busy, 2),
        slots=point.slots,
        processed_frames=point.processed_frames,
    )


def _worker(beat: WorkerBeat, now: int) -> WorkerResource:
    return WorkerResource(
        id=beat.worker,
        host=beat.host,
        pid=beat.pid,
        alive=beat.beat_ms > now - WORKER_ALIVE_MS,
        started_at=rfc3339(beat.started_ms),
        seen_at=rfc3339(beat.beat_ms),
        device=beat.device,
        precision=beat.precision,
        models=list(beat.models),
        slots=beat.slots,
        busy=beat.busy,
        fps=beat.fps,
        processed_frames=beat.processed_frames,
        partitions=list(beat.partitions),
        rss_bytes=beat.rss_bytes,
        sandbox=None if beat.sandbox is None else _sandbox(beat.sandbox),
        device_fault=beat.device_fault,
        cpu_percent=beat.cpu_percent,
        live_slots=beat.live_slots,
        live_busy=beat.live_busy,
        sources=list(beat.sources),
    )


def _sandbox(sandbox: Sandbox) -> SandboxResource:
    return SandboxResource(sandbox.level, list(sandbox.missing))


HANDLERS = [get_system, get_system_history, get_failures, live, ready, metrics]
