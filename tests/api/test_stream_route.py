"""A task's stream over HTTP, on real Kafka and S3: every offset, every mode, every cut."""

import asyncio
import http.client
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from api.settings import Settings
from streamproc.contract import objects
from streamproc.contract.env import KAFKA
from streamproc.sinks.archive_role import run_archive
from tests.api.server import LiveApi, until
from tests.api.test_tasks_route import submit
from tests.api.worker import StandInWorker
from tests.engines import S3Server
from tests.streamproc.sinks.logs import target

N_CHUNKS = 20
SEED = 20


@pytest.fixture(scope="module")
def archive(settings: Settings, s3_server: S3Server) -> Iterator[None]:
    """The archive role, at work in this process."""
    stop = threading.Event()
    environ = {**s3_server.environ, KAFKA: settings.kafka}
    thread = threading.Thread(target=run_archive, args=(environ, stop))
    thread.start()
    yield
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
async def fresh(settings: Settings, live: LiveApi) -> AsyncIterator[Callable[..., Any]]:
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


class Raw:
    """Requests over one kept connection of the standard library's client."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(str(client.base_url)).netloc)
        self._key = client.headers["authorization"]

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        self._connection.request("GET", path, headers={"Authorization": self._key, **headers})
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        self._connection.close()


def stream_path(task: str, query: str = "") -> str:
    return f"/v1/video/tasks/{task}/stream" + (f"?{query}" if query else "")


def begin(worker: StandInWorker, client: Any, task: str, n_chunks: int) -> None:
    worker.claim(client.project, task)
    for _ in range(n_chunks):
        worker.chunk(task, target())


async def seen(client: httpx.AsyncClient, task: str, length: int) -> None:
    """Wait until the server's tail holds `length` bytes of the task."""

    async def there() -> bool:
        answer = await client.get(stream_path(task, "live=false"))
        return answer.headers.get("stream-next-offset") == str(length)

    await until(there)


async def archived(api: LiveApi, project: str, task: str) -> None:
    """Wait until the log is closed in S3."""

    async def there() -> bool:
        found = await asyncio.to_thread(
            lambda: api.services.objects._get(objects.final_key(project, task), None)
        )
        return found is not None

    await until(there, within_s=30)


def every_suffix(client: httpx.AsyncClient, task: str, log: bytes, query: str = "") -> None:
    raw = Raw(client)
    more = f"&{query}" if query else ""
    for offset in range(len(log)):
        answer = raw.get(stream_path(task, f"offset={offset}{more}"))
        assert answer == (200, log[offset:]), f"at offset {offset}"
    raw.close()


async def test_every_offset_of_a_closed_log_gives_exactly_the_suffix(
    project: Any, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, N_CHUNKS)
    log = worker.end(task)
    await seen(project, task, len(log))
    await asyncio.to_thread(every_suffix, project, task, log)
    assert (await project.get(stream_path(task, f"offset={len(log)}"))).status_code == 204
    beyond = await project.get(stream_path(task, f"offset={len(log) + 1}"))
    assert beyond.status_code == 416
    assert beyond.json()["length"] == len(log)


async def test_every_offset_of_an_open_log_gives_exactly_the_suffix(
    project: Any, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, N_CHUNKS)
    log = worker.logs[task].log
    await seen(project, task, len(log))
    await asyncio.to_thread(every_suffix, project, task, log, "live=false")
    at_end = await project.get(stream_path(task, f"offset={len(log)}&live=false"))
    assert (at_end.status_code, at_end.content) == (200, b"")
    assert at_end.headers["stream-next-offset"] == str(len(log))
    assert at_end.headers["stream-closed"] == "false"


async def test_every_offset_of_an_archived_log_gives_exactly_the_suffix_elsewhere(
    project: Any, worker: StandInWorker, archive: None, live: LiveApi, fresh: Any
) -> None:
    task = await submit(project)
    begin(worker, project, task, N_CHUNKS // 2)
    await asyncio.to_thread(archive_waits, live, project.project, task)
    for _ in range(N_CHUNKS // 2):
        worker.chunk(task, target())
    log = worker.end(task)
    await archived(live, project.project, task)
    api = await fresh()
    async with api.client(project.headers["authorization"].split()[1]) as client:
        await asyncio.to_thread(every_suffix, client, task, log)
        assert (await client.get(f"/v1/video/tasks/{task}")).json() == (
            await project.get(f"/v1/video/tasks/{task}")
        ).json()
    cache = api.services.log.cache
    assert cache.n_reads <= 3, "the segments of a small log are read once each"


def archive_waits(api: LiveApi, project: str, task: str) -> None:
    """Wait until the archive has a first segment, so that the log has two of them."""
    until_s = time.monotonic() + 30
    while not api.services.objects._list_segments(project, task, None):
        assert time.monotonic() < until_s, "no segment"
        time.sleep(0.02)


async def test_readers_of_a_growing_log_get_exactly_the_suffix(
    project: Any, worker: StandInWorker, archive: None
) -> None:
    task = await submit(project)
    begin(worker, project, task, 5)
    chance = random.Random(SEED)
    so_far = len(worker.logs[task].log)
    offsets = [0, so_far, *(chance.randrange(so_far) for _ in range(30))]
    await seen(project, task, so_far)

    async def read(offset: int) -> bytes:
        answer = await project.get(stream_path(task, f"offset={offset}"), timeout=60)
        assert answer.status_code == 200
        assert answer.headers["stream-start-offset"] == str(offset)
        return answer.content

    reading = [asyncio.create_task(read(offset)) for offset in offsets]
    for _ in range(40):
        await asyncio.to_thread(worker.chunk, task, target())
    log = await asyncio.to_thread(worker.end, task)
    for offset, got in zip(offsets, await asyncio.gather(*reading), strict=True):
        assert got == log[offset:], f"from offset {offset}"


async def test_a_ring_too_small_for_its_readers_falls_back_to_the_archive(
    project: Any, worker: StandInWorker, archive: None, live: LiveApi, fresh: Any
) -> None:
    api = await fresh(ring_bytes=20_000)
    task = await submit(project)
    begin(worker, project, task, 1)
    async with httpx.AsyncClient(base_url=api.url, headers=project.headers, timeout=60) as client:
        reading = [asyncio.create_task(client.get(stream_path(task))) for _ in range(5)]
        for n in range(200):
            await asyncio.to_thread(worker.chunk, task, target())
            if n % 50 == 49:
                reading.append(asyncio.create_task(client.get(stream_path(task))))
                await asyncio.to_thread(archive_waits, live, project.project, task)
        log = await asyncio.to_thread(worker.end, task)
        for answer in await asyncio.gather(*reading):
            assert answer.content == log
        await archived(live, project.project, task)

        async def evicted() -> bool:
            return api.services.log.hub.size_bytes <= 20_000

        await until(evicted)
        again = await client.get(stream_path(task, "offset=5"))
        assert again.content == log[5:]
    assert api.services.log.cache.n_reads > 0


async def test_headers_come_before_the_first_chunk(
    project: Any, live: LiveApi, worker: StandInWorker
) -> None:
    task = await submit(project)
    async with project.stream("GET", stream_path(task)) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-cache, no-transform"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["stream-start-offset"] == "0"
        assert answer.headers["stream-closed"] == "false"
        assert "content-encoding" not in answer.headers
        begin(worker, project, task, 1)
        log = worker.end(task)
        assert b"".join([piece async for piece in answer.aiter_raw()]) == log


async def test_last_event_id_wins_and_junk_is_refused(project: Any, worker: StandInWorker) -> None:
    task = await submit(project)
    begin(worker, project, task, 2)
    log = worker.end(task)
    await seen(project, task, len(log))
    answer = await project.get(stream_path(task, "offset=3"), headers={"Last-Event-ID": "11"})
    assert answer.content == log[11:]
    for query in ("offset=-1", "offset=x", "offset=1&offset=1", "live=maybe", "heartbeat=0"):
        refused = await project.get(stream_path(task, query))
        assert refused.status_code == 400, query
        assert refused.json()["code"] == "bad_request"


async def test_ahead_of_an_open_log_is_409_after_a_wait(
    project: Any, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, 1)
    length = len(worker.logs[task].log)
    await seen(project, task, length)
    refused = await project.get(stream_path(task, f"offset={length + 5}"))
    assert refused.status_code == 409
    assert refused.json()["length"] == length
    waiting = asyncio.create_task(project.get(stream_path(task, f"offset={length + 5}")))
    log = await asyncio.to_thread(worker.end, task)
    assert (await waiting).content == log[length + 5 :]


async def test_a_long_poll_waits_for_one_more_event(project: Any, worker: StandInWorker) -> None:
    task = await submit(project)
    begin(worker, project, task, 1)
    first = len(worker.logs[task].log)
    await seen(project, task, first)
    now = await project.get(stream_path(task, "live=long-poll"))
    assert now.content == worker.logs[task].log
    waiting = asyncio.create_task(project.get(stream_path(task, f"live=long-poll&offset={first}")))
    await asyncio.to_thread(worker.chunk, task, target())
    answer = await waiting
    assert answer.content == worker.logs[task].log[first:]
    assert answer.headers["stream-next-offset"] == str(len(worker.logs[task].log))


async def test_a_closed_log_answers_ranges(project: Any, worker: StandInWorker) -> None:
    task = await submit(project)
    begin(worker, project, task, 3)
    log = worker.end(task)
    await seen(project, task, len(log))
    path = stream_path(task, "live=false")
    whole = await project.get(path)
    tag = whole.headers["etag"]
    assert whole.content == log
    assert whole.headers["accept-ranges"] == "bytes"
    part = await project.get(path, headers={"Range": "bytes=7-19", "If-Range": tag})
    assert (part.status_code, part.content) == (206, log[7:20])
    assert part.headers["content-range"] == f"bytes 7-19/{len(log)}"
    assert (await project.get(path, headers={"Range": "bytes=-9"})).content == log[-9:]
    other = await project.get(path, headers={"Range": "bytes=7-19", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, log)
    assert (await project.get(path, headers={"If-None-Match": tag})).status_code == 304
    beyond = await project.get(path, headers={"Range": f"bytes={len(log)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(log)}"


async def test_heartbeats_come_on_demand_and_do_not_count(
    project: Any, worker: StandInWorker
) -> None:
    task = await submit(project)
    got = b""
    async with project.stream("GET", stream_path(task, "heartbeat=1")) as answer:
        async for piece in answer.aiter_raw():
            got += piece
            if b"\n:" in got and task not in worker.logs:
                begin(worker, project, task, 2)
                worker.end(task)
    lines = got.split(b"\n")
    assert lines[0].startswith(b"retry: ")
    rest = b"\n".join(line for line in lines if not line.startswith((b":", b"retry:")))
    assert any(line.startswith(b":") and len(line) > 1024 for line in lines)
    assert rest == worker.logs[task].log


async def test_a_token_opens_one_stream_alone(project: Any, worker: StandInWorker) -> None:
    task, other = await submit(project), await submit(project)
    begin(worker, project, task, 1)
    log = worker.end(task)
    answer = await project.post(f"/v1/video/tasks/{task}/token")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    async with httpx.AsyncClient(base_url=project.base_url) as anybody:
        assert (await anybody.get(made["stream_url"])).content == log
        for url in (
            stream_path(task),
            stream_path(task, "token=v1.99999999999.cDE.AAAA"),
            stream_path(task, f"token={made['token'][:-2]}AA"),
            stream_path(other, f"token={made['token']}"),
        ):
            assert (await anybody.get(url)).status_code == 401, url
        assert (
            await anybody.get(f"/v1/video/tasks/{task}?token={made['token']}")
        ).status_code == 401
    past = await project.post(f"/v1/video/tasks/{task}/token?ttl_s=0")
    assert past.status_code == 400


async def test_unknown_and_foreign_streams_are_the_same_404(
    project: Any, new_key: Any, live: LiveApi
) -> None:
    task = await submit(project)
    _, key = await new_key()
    async with live.client(key) as stranger:
        foreign = await stranger.get(stream_path(task))
        unknown = await stranger.get(stream_path("vt_01KAN7W0000000000000000000"))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content


async def test_a_client_that_leaves_is_forgotten_at_once(project: Any, live: LiveApi) -> None:
    task = await submit(project)
    waiting = live.services.log.wakes

    async def there() -> bool:
        return task in waiting._waiting

    async def gone() -> bool:
        return task not in waiting._waiting

    async with project.stream("GET", stream_path(task)) as answer:
        assert answer.status_code == 200
        await until(there)
    await until(gone, within_s=2)


async def test_two_hundred_readers_at_once_read_the_archive_once(
    project: Any, worker: StandInWorker, archive: None, live: LiveApi, fresh: Any
) -> None:
    task = await submit(project)
    begin(worker, project, task, N_CHUNKS)
    log = worker.end(task)
    await archived(live, project.project, task)
    api = await fresh()
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(
        base_url=api.url, headers=project.headers, limits=limits, timeout=60
    ) as client:
        answers = await asyncio.gather(*(client.get(stream_path(task)) for _ in range(200)))
    assert all(answer.content == log for answer in answers)
    assert api.services.log.cache.read_bytes <= 2 * len(log)


async def test_a_reader_that_takes_nothing_is_let_go(
    project: Any, worker: StandInWorker, fresh: Any
) -> None:
    task = await submit(project)
    worker.claim(project.project, task)
    many = [target(n) for n in range(4000)]
    for _ in range(30):
        worker.chunk(task, *many)
    api = await fresh(send_deadline_s=1.0)
    host, port = urlsplit(api.url).netloc.split(":")
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((host, int(port)))
        lazy.sendall(
            f"GET {stream_path(task)} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: {project.headers['authorization']}\r\n\r\n".encode()
        )

        async def expired() -> bool:
            return api.services.log.deadlines.n_expired == 1

        await until(expired, within_s=15)
        lazy.settimeout(5)
        taken = b""
        while piece := lazy.recv(65536):
            taken += piece
    assert len(taken) < len(worker.logs[task].log)
    assert not taken.endswith(b"0\r\n\r\n"), "a log that was cut off looked whole"
