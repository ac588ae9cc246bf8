"""Answers for a task's log to the byte, over raw sockets to a real server."""

import asyncio
from typing import Self
from urllib.parse import urlsplit

import pytest

from tests.api.server import LiveApi, ProjectClient
from tests.api.streams import begin, seen, stream_path
from tests.api.test_tasks_route import submit
from tests.api.worker import StandInWorker
from tests.streamproc.sinks.logs import target

WAIT_S = 30.0


class Connection:
    """A socket to the server; heads are given in lower case."""

    def __init__(self, live: LiveApi, project: ProjectClient) -> None:
        self._url = urlsplit(live.url)
        self._key = project.headers["authorization"]

    async def __aenter__(self) -> Self:
        self.reader, self._writer = await asyncio.open_connection(
            self._url.hostname, self._url.port
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, method: str, path: str, *fields: str, version: str = "1.1") -> str:
        """Send a request and return the head of its answer."""
        lines = [f"{method} {path} HTTP/{version}", "Host: x", f"Authorization: {self._key}"]
        self._writer.write("\r\n".join([*lines, *fields, "", ""]).encode())
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT_S)
        return head.decode().lower()

    async def rest(self) -> bytes:
        """Return all that comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(), WAIT_S)


async def closed_log(project: ProjectClient, worker: StandInWorker) -> tuple[str, bytes]:
    task = await submit(project)
    begin(worker, project, task, 2)
    log = worker.end(task)
    await seen(project, task, len(log))
    return task, log


@pytest.mark.parametrize("query", ["", "heartbeat=300"])
async def test_a_live_stream_over_http_1_0_is_plain_bytes_until_it_closes(
    project: ProjectClient, worker: StandInWorker, live: LiveApi, query: str
) -> None:
    task = await submit(project)
    begin(worker, project, task, 1)
    log = worker.logs[task].log
    await seen(project, task, len(log))
    async with Connection(live, project) as one:
        head = await one.ask("GET", stream_path(task, query), version="1.0")
        assert head.startswith("http/1.1 200 ")
        assert "transfer-encoding" not in head
        assert "content-length" not in head
        assert "connection: close" in head
        if query:
            assert (await one.reader.readuntil(b"\n\n")).startswith(b"retry: ")
        got = await asyncio.wait_for(one.reader.readexactly(len(log)), WAIT_S)
        for _ in range(3):
            await asyncio.to_thread(worker.chunk, task, target())
            more = len(worker.logs[task].log) - len(got)
            got += await asyncio.wait_for(one.reader.readexactly(more), WAIT_S)
        log = await asyncio.to_thread(worker.end, task)
        assert got + await one.rest() == log


@pytest.mark.parametrize("query", ["", "live=false", "live=long-poll"])
async def test_a_known_length_is_told_over_http_1_0(
    project: ProjectClient, worker: StandInWorker, live: LiveApi, query: str
) -> None:
    task, log = await closed_log(project, worker)
    async with Connection(live, project) as one:
        head = await one.ask("GET", stream_path(task, query), version="1.0")
        assert "transfer-encoding" not in head
        assert f"content-length: {len(log)}\r\n" in head
        assert await one.rest() == log


async def test_a_closed_log_with_heartbeats_over_http_1_0_is_plain(
    project: ProjectClient, worker: StandInWorker, live: LiveApi
) -> None:
    task, log = await closed_log(project, worker)
    async with Connection(live, project) as one:
        head = await one.ask("GET", stream_path(task, "heartbeat=1"), version="1.0")
        assert "transfer-encoding" not in head
        retry, _, rest = (await one.rest()).partition(b"\n\n")
        assert retry.startswith(b"retry: ")
        assert rest == log


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("query", ["", "&live=false", "&live=long-poll", "&heartbeat=1"])
async def test_the_logs_end_is_a_bare_204(
    project: ProjectClient,
    worker: StandInWorker,
    live: LiveApi,
    method: str,
    query: str,
    version: str,
) -> None:
    task, log = await closed_log(project, worker)
    path = stream_path(task, f"offset={len(log)}{query}")
    async with Connection(live, project) as one:
        head = await one.ask(method, path, "Connection: close", version=version)
        assert head.startswith("http/1.1 204 ")
        for name in ("content-type", "content-length", "transfer-encoding"):
            assert f"\n{name}:" not in head
        assert f"stream-next-offset: {len(log)}\r\n" in head
        assert "stream-closed: true\r\n" in head
        assert await one.rest() == b""


async def test_a_304_names_no_type(
    project: ProjectClient, worker: StandInWorker, live: LiveApi
) -> None:
    task, _ = await closed_log(project, worker)
    path = stream_path(task, "live=false")
    tag = (await project.get(path)).headers["etag"]
    async with Connection(live, project) as one:
        head = await one.ask("GET", path, f"If-None-Match: {tag}", "Connection: close")
        assert head.startswith("http/1.1 304 ")
        assert "\ncontent-type:" not in head
        assert await one.rest() == b""


async def test_two_last_event_ids_are_400_and_the_same_twice_is_one(
    project: ProjectClient, worker: StandInWorker, live: LiveApi
) -> None:
    task, log = await closed_log(project, worker)
    async with Connection(live, project) as one:
        fields = ("Last-Event-ID: 3", "Last-Event-ID: 5", "Connection: close")
        head = await one.ask("GET", stream_path(task), *fields)
        assert head.startswith("http/1.1 400 ")
        assert b"Last-Event-ID must be given once" in await one.rest()
    async with Connection(live, project) as one:
        fields = ("Last-Event-ID: 3", "Last-Event-ID: 3", "Connection: close")
        assert (await one.ask("GET", stream_path(task), *fields)).startswith("http/1.1 200 ")
        assert await one.rest() == log[3:]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("OPTIONS", "/v1/video/tasks/vt_x/stream", {"get", "head", "options"}),
        ("POST", "/v1/video/tasks/vt_x/stream", {"get", "head", "options"}),
        ("OPTIONS", "/v1/models", {"get", "options"}),
        ("OPTIONS", "/v1/admin/keys", {"get", "options", "post"}),
    ],
)
async def test_allow_names_every_method_of_a_path(
    project: ProjectClient, live: LiveApi, method: str, path: str, allow: set[str]
) -> None:
    async with Connection(live, project) as one:
        head = await one.ask(method, path, "Connection: close")
        (line,) = (line for line in head.split("\r\n") if line.startswith("allow: "))
        assert set(line.removeprefix("allow: ").split(", ")) == allow
