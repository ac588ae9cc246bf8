"""Every client gets exactly the log's bytes while the task runs."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import pytest

from console.client.async_client import AsyncClient
from console.client.log_stream import Following
from console.client.sync_client import Client
from console.tui.view_models.live_stream import LiveFold
from streamproc.contract import env
from streamproc.contract.framing import DONE, parse_events
from tests.brokers import KafkaNode
from tests.clients.stack import Stack, pause, resume, running_stack
from tests.data.clips import looped_clip
from tests.engines import S3Server
from tests.plugins.missing import find_program, needs_program
from tests.ports import die_with_parent, free_ports, wait_for_port

CURL = find_program("curl")
NGINX = find_program("nginx")
N_BEFORE = 10_000
WAIT_S = 60.0

NGINX_CONF = """
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {upstream}; }}
    }}
}}
"""

pytestmark = [
    pytest.mark.timeout(600),
    needs_program("curl", promise="clients over kills of the api"),
    needs_program("nginx", promise="clients behind nginx over kills of the api"),
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def stack(kafka: KafkaNode, s3_server: S3Server, directory: Path) -> Iterator[Stack]:
    with running_stack(kafka, s3_server, directory) as found:
        yield found


@pytest.fixture(scope="module")
def nginx(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """nginx in front of the api, with nothing configured but where to pass requests."""
    assert NGINX is not None
    directory = tmp_path_factory.mktemp("nginx")
    (port,) = free_ports(1)
    conf = directory / "nginx.conf"
    conf.write_text(NGINX_CONF.format(directory=directory, port=port, upstream=stack.url))
    process = subprocess.Popen(
        [NGINX, "-p", str(directory), "-c", str(conf)],
        preexec_fn=die_with_parent,  # noqa: PLW1509 - no lock is held here
        stderr=subprocess.DEVNULL,
    )
    wait_for_port(port)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


class Taken:
    """What a client has taken of a task so far."""

    def __init__(self, task: str) -> None:
        self.task = task
        self.data = b""

    def take(self, data: bytes) -> None:
        self.data += data


Read = Callable[[Stack, Taken], None]


def by_curl(stack: Stack, taken: Taken) -> None:
    """The reference's own command."""
    assert CURL is not None
    url = f"{stack.url}/v1/video/tasks/{taken.task}/stream"
    command = [CURL, "-sN", url, "-H", f"Authorization: Bearer {stack.key}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as curl:
        assert curl.stdout is not None
        while data := curl.stdout.read(65536):
            taken.take(data)
    assert curl.returncode == 0


def by_httpx_sse(stack: Stack, taken: Taken) -> None:
    url = f"{stack.url}/v1/video/tasks/{taken.task}/stream"
    headers = {"Authorization": f"Bearer {stack.key}"}
    with (
        httpx.Client(headers=headers, timeout=WAIT_S) as client,
        httpx_sse.connect_sse(client, "GET", url) as source,
    ):
        for event in source.iter_sse():
            # An event's bytes are its data and its id: rebuilt, they must be the log's.
            taken.take(f"data: {event.data}\nid: {event.id}\n\n".encode())


def by_client(stack: Stack, taken: Taken) -> None:
    with Client(stack.url, stack.key) as client:
        for piece in client.follow(Following(taken.task)):
            taken.take(piece.data)


def by_feed(stack: Stack, taken: Taken) -> None:
    """What the console's Live tab does: the feed's lines are the log's events."""

    async def follow() -> None:
        feed = LiveFold()
        async with AsyncClient(stack.url, stack.key) as client:
            async for piece in client.follow(Following(taken.task)):
                feed.apply(piece.events, time.monotonic())
                taken.take(piece.data)
        shown = feed.snapshot(time.monotonic())
        assert shown.offset == len(taken.data)
        assert [(line.start, line.end, line.data) for line in shown.lines] == [
            (event.start, event.end, event.data) for event in parse_events(taken.data)
        ]

    asyncio.run(follow())


def by_command(stack: Stack, taken: Taken) -> None:
    """`framewire stream`: the log's bytes on standard output."""
    command = [sys.executable, "-m", "console", "stream", taken.task]
    environ = {**os.environ, env.URL: stack.url, env.KEY: stack.key}
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0, env=environ) as process:
        assert process.stdout is not None
        while data := process.stdout.read(65536):
            taken.take(data)
    assert process.returncode == 0


@pytest.mark.parametrize("read", [by_curl, by_httpx_sse, by_command, by_client, by_feed])
def test_client_gets_every_byte_of_a_running_task(
    stack: Stack, directory: Path, read: Read
) -> None:
    follow_live(stack, directory, lambda taken: read(stack, taken))


def test_client_behind_a_plain_nginx_gets_every_byte_at_once(
    stack: Stack, directory: Path, nginx: str
) -> None:
    def through_nginx(taken: Taken) -> None:
        url = f"{nginx}/v1/video/tasks/{taken.task}/stream"
        headers = {"Authorization": f"Bearer {stack.key}"}
        with httpx.stream("GET", url, headers=headers, timeout=WAIT_S) as answer:
            assert answer.status_code == 200
            assert answer.headers["server"].startswith("nginx")
            for data in answer.iter_raw():
                taken.take(data)

    follow_live(stack, directory, through_nginx)


def follow_live(stack: Stack, directory: Path, read: Callable[[Taken], None]) -> None:
    """Read a task from its first second on; the worker waits until the reader has caught up."""
    clip = directory / "clip.mp4"
    if not clip.exists():
        looped_clip(clip, 1)
    taken = Taken(stack.submit(clip))
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(read, taken)
        until(lambda: stack.length(taken.task) > N_BEFORE, reading)
        pause(stack.worker)
        try:
            until(lambda: len(taken.data) >= stack.length(taken.task), reading)
            assert DONE not in taken.data, "the task was over before it was looked at"
        finally:
            resume(stack.worker)
        reading.result(WAIT_S)
    log = stack.whole_log(taken.task)
    assert taken.data == log
    assert list(parse_events(log))[-1].data == DONE


def until(reached: Callable[[], Any], reading: Any) -> None:
    """Wait for the condition, as long as the reader reads."""
    deadline_s = time.monotonic() + WAIT_S
    while not reached():
        assert not reading.done(), reading.exception()
        assert time.monotonic() < deadline_s, "the bytes do not come"
        time.sleep(0.02)
