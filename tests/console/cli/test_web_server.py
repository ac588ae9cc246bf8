"""`framewire console --serve`: who is let in, over real HTTP and WebSockets."""

import asyncio
import json
import shlex
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp import web

from console.cli.main import run
from console.cli.web_server import GuardedServer, console_command
from console.errors import ConsoleError
from tests.console.tui.recorded_api import Script
from tests.ports import free_ports

# Speaks as a Textual application does: a greeting, then what is typed.
_ECHO = """
import sys
out, into = sys.stdout.buffer, sys.stdin.buffer
out.write(b"__GANGLION__\\n" + b"D" + (5).to_bytes(4, "big") + b"hello")
out.flush()
while head := into.read(5):
    body = into.read(int.from_bytes(head[1:], "big"))
    if head[:1] == b"M" and b"quit" in body:
        break
    open(sys.argv[1], "ab").write(body)
"""
N_VISITORS = 2


class Served:
    """The server at a port of its own; `typed` is the file of what its consoles were told."""

    def __init__(self, server: GuardedServer, port: int, typed: Path) -> None:
        self.server, self.port, self.typed = server, port, typed

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def page(self) -> str:
        return f"{self.origin}/{self.server.token}"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    typed = tmp_path / "typed"
    (port,) = free_ports(1)
    command = shlex.join([sys.executable, "-c", _ECHO, str(typed)])
    server = GuardedServer(command, host="127.0.0.1", port=port, max_visitors=N_VISITORS)
    runner = web.AppRunner(await server._make_app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    others = set(psutil.Process().children())
    yield Served(server, port, typed)
    await runner.cleanup()
    await exits_noted(others)


async def exits_noted(others: set[psutil.Process]) -> None:
    """Return once the loop knows that all children but `others` have ended.

    textual-serve waits for the end of a console's output alone. A loop that is closed before it
    hears of the exit leaves a process behind that is said to be running, in whatever test is next.
    """
    async with asyncio.timeout(20):
        while set(psutil.Process().children()) - others:  # noqa: ASYNC110 - its owner is hidden
            await asyncio.sleep(0.01)
    for thread in threading.enumerate():
        if thread.name.startswith(("waitpid-", "asyncio-waitpid-")):
            await asyncio.to_thread(thread.join, 10)
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
        yield session


@pytest.mark.usefixtures("processes")
async def test_the_owner_of_the_url_gets_the_console(
    served: Served, browser: aiohttp.ClientSession
) -> None:
    async with browser.get(f"{served.page}/") as answer:
        text = await answer.text()
        assert answer.status == 200
        assert f"ws://127.0.0.1:{served.port}/{served.server.token}/ws" in text
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    for origin in (served.origin, f"http://localhost:{served.port}"):
        async with browser.ws_connect(f"{served.page}/ws", origin=origin) as socket:
            assert await socket.receive_bytes() == b"hello"
            await socket.send_str(json.dumps(["stdin", "typed"]))
    async with asyncio.timeout(10):
        while not served.typed.exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.02)


FOREIGN: list[dict[str, str]] = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:{port}.evil.example"},
    {"Host": "evil.example:{port}"},
    {"Host": "127.0.0.1:{port}", "Origin": "http://rebound.example:{port}"},
    {"Host": "rebound.example:{port}", "Origin": "http://rebound.example:{port}"},
    {"Host": "127.0.0.1"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_foreign_page_gets_nothing_even_with_the_token(
    served: Served, browser: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    told = {name: value.format(port=served.port) for name, value in headers.items()}
    for path in ("/", "/static/css/xterm.css", "/ws", "/download/x"):
        async with browser.get(served.page + path, headers=told) as answer:
            assert answer.status == 403
            assert b"xterm" not in await answer.read()
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await browser.ws_connect(f"{served.page}/ws", headers=told)
    assert caught.value.status == 403
    assert not served.typed.exists()


@pytest.mark.parametrize("path", ["/", "/ws", "/static/css/xterm.css", "/download/x", "/{wrong}/"])
async def test_without_the_token_there_is_nothing(
    served: Served, browser: aiohttp.ClientSession, path: str
) -> None:
    wrong = served.server.token[:-1] + ("a" if served.server.token[-1] != "a" else "b")
    async with browser.get(served.origin + path.format(wrong=wrong)) as answer:
        assert answer.status == 404
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await browser.ws_connect(f"{served.origin}/{wrong}/ws")


@pytest.mark.usefixtures("processes")
async def test_consoles_have_a_number(served: Served, browser: aiohttp.ClientSession) -> None:
    visitors = [
        await browser.ws_connect(f"{served.page}/ws", origin=served.origin)
        for _ in range(N_VISITORS)
    ]
    for visitor in visitors:
        assert await visitor.receive_bytes() == b"hello"
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await browser.ws_connect(f"{served.page}/ws", origin=served.origin)
    assert caught.value.status == 503
    await visitors[0].close()

    async def connected() -> Any:
        try:
            return await browser.ws_connect(f"{served.page}/ws", origin=served.origin)
        except aiohttp.WSServerHandshakeError:
            return None

    async with asyncio.timeout(10):
        while (another := await connected()) is None:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)
    assert await another.receive_bytes() == b"hello"
    await another.close()
    await visitors[1].close()


def test_each_start_has_a_url_of_its_own() -> None:
    pages = {GuardedServer("true", host="127.0.0.1", port=8081).page_url for _ in range(20)}
    assert len(pages) == 20
    assert all(len(page) > 60 for page in pages)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_address_that_is_everywhere_needs_the_browsers_one(host: str) -> None:
    with pytest.raises(ConsoleError):
        GuardedServer("true", host=host, port=8081)
    server = GuardedServer("true", host=host, port=8081, public_url="https://console.example.com/")
    assert server.page_url.startswith("https://console.example.com/")


@pytest.mark.usefixtures("processes")
async def test_the_url_is_a_line_of_json_once_it_can_be_opened(
    script: Script, browser: aiohttp.ClientSession
) -> None:
    (port,) = free_ports(1)
    command = [*console_command(None, readonly=False), "--serve", "--json", "--port", str(port)]
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    assert server.stdout is not None
    url = json.loads(await server.stdout.readline())["url"]
    async with browser.get(url) as answer:  # the first try
        assert answer.status == 200
    second = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, err = await second.communicate()
    assert (second.returncode, out) == (1, b"")
    assert str(port) in json.loads(err)["error"]["message"]
    server.terminate()
    assert (await server.communicate())[0] == b""


@pytest.mark.usefixtures("no_settings")
def test_json_is_for_what_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["console", "--json"]) == 2
    assert "--serve" in json.loads(capsys.readouterr().err)["error"]["message"]
