"""`python -m api` as a process: its port file, the index inside it, its end."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.settings import Settings
from streamproc.contract import env
from tests.api.conftest import ADMIN_KEY
from tests.api.server import until
from tests.api.test_tasks_route import BODY
from tests.ports import die_with_parent


@pytest.fixture
def environ(settings: Settings, tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("FRAMEWIRE_")},
        env.KAFKA: settings.kafka,
        env.S3_ENDPOINT: str(settings.s3.endpoint),
        env.S3_BUCKET: settings.s3.bucket,
        env.S3_KEY: str(settings.s3.key),
        env.S3_SECRET: str(settings.s3.secret),
        env.CLICKHOUSE: f"chdb://{tmp_path / 'chdb'}",
        env.INDEX_IN_API: "1",
        env.PORT: "0",
        env.PORT_FILE: str(tmp_path / "port"),
        env.ADMIN_KEY: ADMIN_KEY,
    }


@pytest.fixture
def process(environ: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "log").open("wb") as log:
        found = subprocess.Popen(
            [sys.executable, "-m", "api"],
            env=environ,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no lock is held here
        )
    yield found
    found.kill()
    found.wait()


async def announced_port(process: subprocess.Popen[bytes], directory: Path) -> int:
    """Return the port once the process answers there."""
    port_file = directory / "port"

    async def announced() -> bool:
        assert process.poll() is None, (directory / "log").read_text()
        return port_file.exists()

    await until(announced, within_s=40)
    return int(port_file.read_text())


async def test_process_announces_its_port_indexes_and_ends_cleanly(
    process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{await announced_port(process, tmp_path)}"
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        assert (await client.get("/health/live")).status_code == 200

        async def ready() -> bool:
            return (await client.get("/health/ready")).status_code == 200

        await until(ready, within_s=30)
        client.headers["Authorization"] = f"Bearer {ADMIN_KEY}"
        project = (await client.post("/v1/admin/projects", json={"name": "m"})).json()["id"]
        key = (await client.post("/v1/admin/keys", json={"project": project})).json()["key"]
        client.headers["Authorization"] = f"Bearer {key}"
        task = (await client.post("/v1/video/process", json=BODY)).json()["id"]

        async def indexed() -> Any:
            rows = (await client.get("/v1/video/tracks?limit=1")).status_code
            listed = (await client.get("/v1/video/tasks")).json()["data"]
            return rows == 200 and [found["id"] for found in listed] == [task]

        await until(indexed)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    log = (tmp_path / "log").read_text()
    assert key not in log
    assert ADMIN_KEY not in log
    assert "Traceback" not in log


async def test_a_request_that_the_end_cuts_off_is_told_to_come_again(
    process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    port = await announced_port(process, tmp_path)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = ["POST /v1/admin/projects HTTP/1.1", "host: here", "content-length: 99"]
    head += [f"authorization: Bearer {ADMIN_KEY}", "content-type: application/json"]
    writer.write("\r\n".join([*head, "", '{"name":']).encode())
    await writer.drain()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:

        async def is_open() -> bool:
            metrics = (await client.get("/metrics")).text
            return "framewire_api_open_requests 2.0" in metrics

        await until(is_open)
    process.send_signal(signal.SIGTERM)
    answer = (await asyncio.wait_for(reader.read(), 30)).decode()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith("HTTP/1.1 503 ")
    assert "retry-after: 2" in answer.lower()
    assert '"code":"unavailable"' in answer
    assert process.wait(20) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_unusable_settings_end_with_2_and_the_variable(environ: dict[str, str]) -> None:
    for name, value in ((env.KAFKA, ""), (env.PORT, "eighty"), (env.CLICKHOUSE, "mysql://u:pw@h")):
        done = subprocess.run(
            [sys.executable, "-m", "api"],
            env={**environ, name: value},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "pw" not in done.stderr
        assert len(done.stderr.splitlines()) == 1
