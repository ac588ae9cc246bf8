"""The services of an api process (composition root): created once and passed to the routes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from api.audit import Audit
from api.auth import Authenticator
from api.contract.system import PartResource
from api.disk import DiskReserve
from api.errors import ProblemError, UnavailableError
from api.http.body_limits import Bodies
from api.kafka.consumer_health import role_parts
from api.kafka.consumer_lag import Lag
from api.kafka.global_table import GlobalTable, GlobalTableReader
from api.kafka.key_use import KeyUses
from api.kafka.producer import Publisher
from api.log.key_expiry import KeyExpiry
from api.log.metrics import LogCollector
from api.log.reader import LogReader
from api.metrics import Metrics
from api.projects import Projects
from api.quotas import Quotas
from api.settings import Settings
from api.store.clickhouse import Rows
from api.store.object_store import Objects
from api.store.usage_queries import stored_bytes
from api.tasks.listing import TaskListing
from api.tasks.live_admission import LiveAdmission
from api.tasks.model_use import ModelUse
from api.tasks.request_store import Requests
from api.tasks.service import Tasks
from api.tasks.source_secrets import SourceSecrets
from api.tasks.submission import RecentTasks, Submissions, now_ms
from api.tasks.text_vectors import TextVectors
from models.registry import Registry
from streamproc.clients.consumer_lag import ConsumerLag
from streamproc.clients.process_usage import ProcessUsage
from streamproc.contract import env
from streamproc.contract.providers import Provider, load_providers
from streamproc.contract.records import WorkerBeat

LOAD_WAIT_S = 10.0
PROBE_S = 4.0
_log = structlog.get_logger("framewire.api")


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts of one process. Create it on the event loop that uses it."""

    settings: Settings
    registry: Registry
    providers: Sequence[Provider]
    metrics: Metrics
    directory: GlobalTable
    directory_reader: GlobalTableReader
    authenticator: Authenticator
    audit: Audit
    key_expiry: KeyExpiry
    publisher: Publisher
    objects: Objects
    rows: Rows
    log: LogReader
    bodies: Bodies
    requests: Requests
    secrets: SourceSecrets
    submissions: Submissions
    tasks: Tasks
    texts: TextVectors
    model_use: ModelUse
    listing: TaskListing
    projects: Projects
    lag: Lag
    quotas: Quotas
    disk: DiskReserve
    usage: ProcessUsage
    started_ms: int

    @classmethod
    def create(cls, settings: Settings) -> "Services":
        """Create the parts without connecting them.

        Raises `models.errors.ModelError` and `SettingError` on files that cannot be used.
        """
        directory = GlobalTable()
        directory_reader = GlobalTableReader(settings, directory)
        publisher = Publisher(settings)
        authenticator = Authenticator(
            directory,
            settings.admin_key,
            loaded=lambda: directory_reader.loaded,
            uses=KeyUses(directory, publisher),
        )
        objects = Objects(settings.s3)
        rows = Rows(settings.clickhouse)
        log = LogReader(settings, objects)
        metrics = Metrics()
        metrics.registry.register(LogCollector(log))
        requests = Requests(objects)
        secrets = SourceSecrets(objects, settings.secret_key)
        recent = RecentTasks(settings.recent_tasks_s)
        models_dir = Path(settings.models) if settings.models else None
        quotas = Quotas(settings, directory, partial(stored_bytes, rows), log.open_tasks.count)
        return cls(
            settings=settings,
            registry=Registry(models_dir),
            providers=load_providers(Path(settings.providers) if settings.providers else None),
            metrics=metrics,
            directory=directory,
            directory_reader=directory_reader,
            authenticator=authenticator,
            audit=Audit(publisher, lost=metrics.audit_lost, suppressed=metrics.audit_suppressed),
            key_expiry=KeyExpiry(authenticator.is_alive),
            publisher=publisher,
            objects=objects,
            rows=rows,
            log=log,
            bodies=Bodies(settings),
            requests=requests,
            secrets=secrets,
            submissions=Submissions(
                publisher=publisher,
                objects=objects,
                requests=requests,
                secrets=secrets,
                log=log,
                recent=recent,
                live=LiveAdmission(lambda: directory.living_workers(now_ms())),
                weight_of=quotas.weight,
            ),
            tasks=Tasks(
                requests=requests,
                log=log,
                directory=directory,
                publisher=publisher,
                rows=rows,
                results_wait_s=settings.results_wait_s,
            ),
            texts=TextVectors(models_dir),
            model_use=ModelUse(rows, recent, directory),
            listing=TaskListing(directory=directory, rows=rows, recent=recent, clock_ms=now_ms),
            projects=Projects(directory, publisher),
            lag=Lag(settings),
            quotas=quotas,
            disk=DiskReserve(
                Path(settings.disk) if settings.disk else None, settings.disk_reserve_bytes
            ),
            usage=ProcessUsage(),
            started_ms=now_ms(),
        )

    async def start(self) -> None:
        """Start to read Kafka and wait for the keys, at most `LOAD_WAIT_S`.

        Without Kafka the api starts as well.
        """
        if self.settings.secret_key is None:
            _log.warning("URLs with a query or credentials are refused", unset=env.SECRET_KEY)
        self.directory_reader.start()
        self.log.start()
        self.key_expiry.start()
        if not await asyncio.to_thread(self.directory_reader.wait, LOAD_WAIT_S):
            _log.warning("started without Kafka: not ready")

    async def stop(self) -> None:
        """Stop all parts: readers first, then the parts that write."""
        await self.log.close()
        await self.key_expiry.close()
        await self.texts.close()
        await asyncio.to_thread(self.directory_reader.stop)
        await self.publisher.close()
        await asyncio.to_thread(self.rows.close)
        self.objects.close()

    async def consumer_lag(self) -> Sequence[ConsumerLag]:
        """Return the consumer lag of every role by partition; nothing while Kafka is down."""
        try:
            return await asyncio.wait_for(self._lag(), PROBE_S)
        except (UnavailableError, TimeoutError):
            return ()

    async def _lag(self) -> Sequence[ConsumerLag]:
        return await self.lag.get(await self.publisher.n_partitions())

    async def parts(self) -> list[PartResource]:
        """Probe every dependency of the service concurrently, for a few seconds at most."""
        kafka, s3, clickhouse, _ = await asyncio.gather(
            _part("kafka", self.publisher.check),
            _part("s3", self.objects.probe),
            _part("clickhouse", self.rows.probe),
            self.consumer_lag(),
        )
        loaded = self.directory_reader.loaded
        log = self.log.ready()
        return [
            kafka,
            s3,
            clickhouse,
            PartResource("directory", loaded, None if loaded else "The keys are still being read."),
            PartResource("log", log.ready, log.detail),
            *self.role_parts(),
        ]

    def living_workers(self) -> list[WorkerBeat]:
        """Return the last heartbeat of each worker that is alive."""
        return self.directory.living_workers(now_ms())

    def role_parts(self) -> list[PartResource]:
        """Return whether each role makes progress, by its heartbeats and the last lag query."""
        now = now_ms()
        workers, consumers = self.directory.workers(now), self.directory.consumers(now)
        return role_parts(workers, consumers, self.lag.stalled, now)


async def _part(name: str, probe: Callable[[], Awaitable[None]]) -> PartResource:
    started_s = time.monotonic()
    try:
        await asyncio.wait_for(probe(), PROBE_S)
    except ProblemError as exc:
        return PartResource(name, ready=False, detail=exc.detail)
    except TimeoutError:
        waited_s = time.monotonic() - started_s
        return PartResource(name, ready=False, detail=f"No answer within {waited_s:.0f} s.")
    return PartResource(name, ready=True)
