"""Two real api servers over real Kafka, S3 and ClickHouse, shared by a module."""

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from confluent_kafka import Producer

from api.settings import Settings
from streamproc.clients.clickhouse import client_factory
from streamproc.clients.kafka import KafkaSettings
from streamproc.contract import tables
from streamproc.contract.env import KAFKA
from streamproc.contract.store_settings import StoreSettings
from streamproc.sinks.archive.consumer import run_archive
from streamproc.sinks.index.consumer import run_index
from streamproc.sinks.settings import ArchiveSettings, IndexSettings
from tests.api.server import Fresh, LiveApi, NewKey, ProjectClient
from tests.api.worker import StandInWorker
from tests.brokers import KafkaNode
from tests.engines import S3Server

ADMIN_KEY = "admin-key-of-the-tests"
SECRET_KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(scope="module")
def clickhouse(chdb_url: str) -> Iterator[Any]:
    """A client of the tables, which the index role would have made."""
    client = client_factory(chdb_url)()
    for statement in tables.DDL:
        client.command(statement)
    yield client
    client.close()


@pytest.fixture(scope="module")
def settings(kafka: KafkaNode, s3_server: S3Server, chdb_url: str, clickhouse: Any) -> Settings:
    return Settings(
        kafka=kafka.bootstrap,
        s3=StoreSettings(
            endpoint=s3_server.endpoint,
            bucket=s3_server.bucket,
            key=s3_server.access_key,
            secret=s3_server.secret_key,
            tried=True,
        ),
        clickhouse=chdb_url,
        admin_key=ADMIN_KEY,
        token_secret="a secret that signs",
        secret_key=SECRET_KEY,
        max_body_bytes=2_000_000,
        max_upload_bytes=1_000_000,
        results_wait_s=1.0,
        watchdog_s=0,  # no worker and no index runs here, for as long as the session lasts
    )


@pytest.fixture(scope="module")
def live(settings: Settings) -> Iterator[LiveApi]:
    api = LiveApi(settings)
    api.start()
    yield api
    api.stop()


@pytest.fixture(scope="module")
def other_live(settings: Settings, live: LiveApi) -> Iterator[LiveApi]:
    """A second api process's worth, over the same engines."""
    api = LiveApi(settings)
    api.start()
    yield api
    api.stop()


@pytest.fixture
async def admin(live: LiveApi) -> AsyncIterator[httpx.AsyncClient]:
    async with live.admin() as client:
        yield client


@pytest.fixture
def new_key(admin: httpx.AsyncClient) -> NewKey:
    """Make a project and return its id and a key of it."""

    async def make() -> tuple[str, str]:
        project = (await admin.post("/v1/admin/projects", json={"name": "tests"})).json()
        answer = await admin.post("/v1/admin/keys", json={"project": project["id"]})
        return project["id"], answer.json()["key"]

    return make


@pytest.fixture
async def project(new_key: NewKey, live: LiveApi) -> AsyncIterator[ProjectClient]:
    """A client with the key of a project of its own; `.project` is the project's id."""
    project_id, key = await new_key()
    async with ProjectClient(live, project_id, key) as client:
        yield client


@pytest.fixture
async def other(
    project: httpx.AsyncClient, other_live: LiveApi
) -> AsyncIterator[httpx.AsyncClient]:
    """The project's client on the other server, which hears of a new key within a second."""
    async with other_live.client(project.headers["authorization"].split()[1]) as client:
        async with asyncio.timeout(10):
            while (await client.get("/v1/models")).status_code == 401:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)
        yield client


@pytest.fixture
def worker(settings: Settings) -> Iterator[StandInWorker]:
    producer = Producer({"bootstrap.servers": settings.kafka, "acks": "all"})
    yield StandInWorker(producer)
    producer.flush(10)


@pytest.fixture(scope="module")
def archive(settings: Settings, s3_server: S3Server) -> Iterator[None]:
    """The archive role, at work in this process."""
    stop = threading.Event()
    environ = {**s3_server.environ, KAFKA: settings.kafka}
    thread = threading.Thread(
        target=run_archive, args=(ArchiveSettings.from_environ(environ), stop)
    )
    thread.start()
    yield
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def index(settings: Settings, live: Any) -> Iterator[None]:
    """The real index role in this process, as the api runs it where chDB is embedded."""
    index_settings = IndexSettings(KafkaSettings(settings.kafka))
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=run_index,
        args=(index_settings, client_factory(settings.clickhouse), stop, ready.set),
    )
    thread.start()
    assert ready.wait(30)
    yield
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
async def fresh(settings: Settings, live: LiveApi) -> AsyncIterator[Fresh]:
    """Start another server, which knows nothing but what Kafka and S3 tell it."""
    started: list[LiveApi] = []

    async def start(**changes: Any) -> LiveApi:
        api = LiveApi(msgspec.structs.replace(settings, **changes))
        started.append(api)
        await asyncio.to_thread(api.start)
        return api

    yield start
    for api in started:
        await asyncio.to_thread(api.stop)
