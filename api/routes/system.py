"""Service state routes: workers, consumer lag, dependencies, health probes, metrics."""

from litestar import MediaType, Response, get

from api.contract import paths
from api.contract.resources import HealthResource, SandboxResource, SystemResource, WorkerResource
from api.contract.version import VERSION
from api.kafka.consumer_health import consumer_resource, letter_resources
from api.kafka.global_table import WORKER_ALIVE_MS
from api.metrics import CONTENT_TYPE
from api.routes.dependencies import ThePrincipal, TheServices
from api.routes.openapi import PUBLIC, problems
from api.tasks.submission import now_ms
from api.timestamps import rfc3339
from streamproc.contract.records import WorkerBeat
from streamproc.contract.sandbox import Sandbox


@get(paths.SYSTEM, operation_id="getSystem", responses=problems())
async def get_system(services: TheServices, principal: ThePrincipal) -> SystemResource:
    """Return workers, devices, consumer lag, the state of every part, and the caller's project."""
    lag = [place.resource() for place in await services.consumer_lag()]
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
    )


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
    )


def _sandbox(sandbox: Sandbox) -> SandboxResource:
    return SandboxResource(sandbox.level, list(sandbox.missing))


HANDLERS = [get_system, live, ready, metrics]
