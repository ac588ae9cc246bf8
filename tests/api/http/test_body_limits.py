"""Bodies at the real service: how large, how many at once, what one that breaks off leaves."""

import asyncio
import base64
import json
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog

from api.routes.sql import SQL
from tests.api.bare import read_answer
from tests.api.server import Fresh, LiveApi, until

PROCESS = "/v1/video/process"
KIB = 1024


def submission(n_bytes: int) -> bytes:
    data = base64.b64encode(bytes(n_bytes)).decode()
    value = {"input": [{"type": "video_base64", "data": data}], "steps": [{"model": "detect"}]}
    return json.dumps(value).encode()


@pytest.fixture
async def tight(fresh: Fresh) -> LiveApi:
    """A server with room for 2.8 MB of bodies; a project may have 2 MB."""
    return await fresh(body_budget_bytes=2_800_000)


@pytest.fixture
async def keys(tight: LiveApi) -> list[str]:
    """Keys of three projects."""
    async with tight.admin() as admin:
        found = []
        for _ in range(3):
            project = (await admin.post("/v1/admin/projects", json={"name": "p"})).json()["id"]
            answer = await admin.post("/v1/admin/keys", json={"project": project})
            found.append(answer.json()["key"])
        return found


class Unfinished:
    """A submission of which all but the last bytes were sent."""

    def __init__(self, api: LiveApi, key: str, body: bytes) -> None:
        url = httpx.URL(api.url)
        self._connection = socket.create_connection((url.host, url.port), 20)
        head = (
            f"POST {PROCESS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._connection.sendall(head.encode() + body[:-1])
        self._last = body[-1:]
        self.retry_after = False

    def finish(self) -> int:
        self._connection.sendall(self._last)
        return self.status()

    def status(self) -> int:
        answer = read_answer(self._connection)
        self.retry_after = b"retry-after: " in answer
        return int(answer[9:12])

    def close(self) -> None:
        self._connection.close()


@pytest.mark.parametrize(
    ("path", "n_bytes", "limit"),
    [
        (PROCESS, 2_000_001, 2_000_000),
        (PROCESS, 10**30, 2_000_000),
        ("/v1/admin/projects", 100 * KIB, 64 * KIB),
        ("/v1/admin/keys", 100 * KIB, 64 * KIB),
        (SQL, 100 * KIB, 64 * KIB),
    ],
)
async def test_a_declared_length_above_the_limit_is_refused_before_the_body(
    live: LiveApi, project: httpx.AsyncClient, path: str, n_bytes: int, limit: int
) -> None:
    key = (
        project.headers["authorization"] if path == PROCESS else f"Bearer {live.settings.admin_key}"
    )
    url = httpx.URL(live.url)
    with socket.create_connection((url.host, url.port), 20) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n"
            f"Content-Length: {n_bytes}\r\n\r\n".encode()
        )
        answer = await asyncio.to_thread(read_answer, connection)
    if n_bytes > 2**64:
        assert answer.startswith(b"HTTP/1.1 400 ")  # the parser reads no such number
        return
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["limit_bytes"] == limit


@pytest.mark.parametrize("path", [PROCESS, "/v1/admin/projects", SQL])
async def test_an_undeclared_length_is_counted(
    live: LiveApi, project: httpx.AsyncClient, path: str
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"[]," * 20_000

    headers = {} if path == PROCESS else {"Authorization": f"Bearer {live.settings.admin_key}"}
    answer = await project.post(path, content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_project_has_a_share_of_the_bodies_and_the_others_the_rest(
    tight: LiveApi, keys: list[str]
) -> None:
    budget = tight.services.bodies.budget
    one, two, three = keys
    mine = [Unfinished(tight, one, submission(950_000)) for _ in range(2)]
    await until(lambda: _true(budget.held_bytes >= 1_890_000))
    refused = Unfinished(tight, one, submission(300_000))
    assert await asyncio.to_thread(refused.status) == 429
    assert refused.retry_after
    other = Unfinished(tight, two, submission(950_000))
    assert await asyncio.to_thread(other.status) == 503
    for key in (two, three):
        async with tight.client(key) as client:
            answer = await client.post(PROCESS, content=submission(300_000))
            assert answer.status_code == 202
    for connection in mine:
        assert await asyncio.to_thread(connection.finish) == 202
    await until(lambda: _true(budget.held_bytes == 0))
    async with tight.client(two) as client:
        assert (await client.post(PROCESS, content=submission(950_000))).status_code == 202
    for connection in (*mine, refused, other):
        connection.close()


async def test_a_client_that_hangs_up_leaves_neither_a_failure_nor_its_bytes(
    tight: LiveApi, keys: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    metrics = tight.services.metrics.registry

    def answered(status: str) -> float:
        labels = {"method": "POST", "route": PROCESS, "status": status}
        return metrics.get_sample_value("framewire_api_requests_total", labels) or 0.0

    with structlog.testing.capture_logs() as logs, caplog.at_level(logging.WARNING):
        for n_bytes in (10, 30_000, 300_000):
            connection = Unfinished(tight, keys[0], submission(n_bytes))
            connection.close()
        await until(lambda: _true(answered("499") == 3))
    assert answered("500") == 0
    assert [entry for entry in logs if entry["log_level"] == "error"] == []
    assert caplog.records == []
    assert tight.services.bodies.budget.held_bytes == 0


async def test_keys_and_tokens_are_stored_by_no_cache(
    admin: httpx.AsyncClient, project: httpx.AsyncClient
) -> None:
    made = await admin.post("/v1/admin/projects", json={"name": "x"})
    key = await admin.post("/v1/admin/keys", json={"project": made.json()["id"]})
    task = (await project.post(PROCESS, content=submission(10))).json()["id"]
    token = await project.post(f"/v1/video/tasks/{task}/token")
    for answer in (key, token):
        assert answer.status_code == 201
        assert answer.headers["cache-control"] == "no-store"


async def test_connections_are_counted(live: LiveApi, project: httpx.AsyncClient) -> None:
    url = httpx.URL(live.url)
    with socket.create_connection((url.host, url.port), 20) as connection:
        connection.sendall(b"no HTTP\r\n\r\n")
        await asyncio.to_thread(read_answer, connection)
        told = (await project.get("/metrics")).text
    assert 'framewire_api_connections_refused_total{reason="malformed"}' in told
    assert "\nframewire_api_connections " in told


@pytest.mark.parametrize("path", ["/v1/models", "/health/live", "/nothing", "/schema", "/metrics"])
async def test_no_answer_is_sniffed(project: httpx.AsyncClient, path: str) -> None:
    answer = await project.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["\x1b]0;x\x07", "a\x9b2J", "\u202etxt", "a\nb", "\u2066x", "\x7f"]
)
async def test_names_hold_nothing_that_a_terminal_obeys(
    admin: httpx.AsyncClient, project: httpx.AsyncClient, name: str
) -> None:
    made = (await admin.post("/v1/admin/projects", json={"name": "x"})).json()["id"]
    steps = [{"model": "detect"}]
    video = [{"type": "video_url", "url": "https://example.com/a.mp4"}]
    for client, path, body, field in (
        (admin, "/v1/admin/projects", {"name": name}, "name"),
        (admin, "/v1/admin/keys", {"project": made, "name": name}, "name"),
        (project, PROCESS, {"input": video, "steps": steps, "model": name}, "model"),
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field
        assert answer.text.isprintable()


async def _true(value: Any) -> Any:
    return value
