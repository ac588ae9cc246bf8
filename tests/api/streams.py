"""What the tests of a task's stream share: tasks with a log, and readers of every offset."""

import asyncio
import http.client
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

import httpx

from streamproc.contract import object_keys
from tests.api.server import LiveApi, ProjectClient, until
from tests.api.worker import StandInWorker
from tests.streamproc.sinks.logs import target


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


def begin(worker: StandInWorker, client: ProjectClient, task: str, n_chunks: int) -> None:
    worker.claim(client.project, task)
    for _ in range(n_chunks):
        worker.chunk(task, target())


async def seen(client: httpx.AsyncClient, task: str, length: int) -> None:
    """Wait until the server's tail holds `length` bytes of the task."""

    async def there() -> bool:
        answer = await client.get(stream_path(task, "live=false"))
        offset: str | None = answer.headers.get("stream-next-offset")
        return offset == str(length)

    await until(there)


async def archived(api: LiveApi, project: str, task: str) -> None:
    """Wait until the log is closed in S3."""

    async def there() -> bool:
        found = await asyncio.to_thread(
            lambda: api.services.objects._get(object_keys.final_key(project, task), None)
        )
        return found is not None

    await until(there, within_s=30)


def every_suffix(client: httpx.AsyncClient, task: str, log: bytes, query: str = "") -> None:
    suffixes(client, task, log, range(len(log)), query)


def suffixes(
    client: httpx.AsyncClient, task: str, log: bytes, offsets: Iterable[int], query: str = ""
) -> None:
    """Read the log from each offset over one connection."""
    raw = Raw(client)
    more = f"&{query}" if query else ""
    for offset in offsets:
        status, got = raw.get(stream_path(task, f"offset={offset}{more}"))
        assert status == 200, f"at offset {offset}"
        assert got == log[offset:], f"at offset {offset}"
    raw.close()


def archive_waits(api: LiveApi, project: str, task: str) -> None:
    """Wait until the archive has a first segment, so that the log has two of them."""
    until_s = time.monotonic() + 30
    while not api.services.objects._list_segments(project, task, None):
        assert time.monotonic() < until_s, "no segment"
        time.sleep(0.02)
