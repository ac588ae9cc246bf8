"""Chromium reads a running task by a plain EventSource while the api is killed three times."""

import asyncio
import functools
import http.server
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Page, Response, async_playwright

from streamproc.contract import env
from streamproc.contract.framing import parse_events
from tests.brokers import KafkaNode
from tests.clients.stack import Stack, pause, resume, running_stack
from tests.data.clips import looped_clip
from tests.engines import S3Server
from tests.plugins.missing import find_program, needs_program

CHROMIUM = find_program("chromium")
N_LOOPS = 5
N_KILLS = 3
N_EVENTS_BETWEEN = 30
PAGE_MS = 120_000

pytestmark = [
    pytest.mark.timeout(600),
    needs_program("chromium", promise="a browser's EventSource while the api is killed"),
]


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The page's own origin: another one than the api's."""
    handler = functools.partial(QuietFiles, directory=str(Path(__file__).parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def stack(kafka: KafkaNode, s3_server: S3Server, directory: Path, origin: str) -> Iterator[Stack]:
    # The worker is stopped for seconds while the api starts: Kafka must not take its task away.
    settings = {env.SESSION_TIMEOUT_S: "30"}
    with running_stack(kafka, s3_server, directory, cors_origin=origin, **settings) as found:
        yield found


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield await browser.new_page()
        await browser.close()


async def n_events(page: Page, at_least: int) -> int:
    """Wait until the page has that many events; return how many it has."""
    await page.wait_for_function(f"events.length >= {at_least}", timeout=PAGE_MS)
    return int(await page.evaluate("events.length"))


def let_work(stack: Stack, task: str, n_frames: int) -> int:
    """Let the worker write that many frames more; return how many it has written.

    Between two calls it stands still: however slow the page is, the task still runs then.
    """

    def state() -> dict[str, Any]:
        found: dict[str, Any] = stack.http.get(f"/v1/video/tasks/{task}").json()
        return found

    until = state()["progress"]["processed_frames"] + n_frames
    resume(stack.worker)
    while (found := state())["progress"]["processed_frames"] < until:
        assert found["status"] != "succeeded", "the task ended before the next kill"
    pause(stack.worker)
    found = state()
    assert found["status"] == "running"
    return int(found["progress"]["processed_frames"])


async def test_every_event_once_and_in_order_over_three_kills_of_the_api(
    stack: Stack, directory: Path, origin: str, page: Page
) -> None:
    answers: list[int] = []

    def note(answer: Response) -> None:
        if "/stream?" in answer.url and "page.html" not in answer.url:
            answers.append(answer.status)

    page.on("response", note)
    clip = looped_clip(directory / "long.mp4", N_LOOPS)
    pause(stack.worker)
    task = await asyncio.to_thread(stack.submit, clip)
    stream = await asyncio.to_thread(stack.token_url, task)
    await page.goto(f"{origin}/page.html?stream={quote(stream, safe='')}")
    for _ in range(N_KILLS):
        n_written = await asyncio.to_thread(let_work, stack, task, N_EVENTS_BETWEEN)
        await n_events(page, n_written)
        stack.api.kill()
        await page.wait_for_function("states.at(-1) === 'lost'", timeout=PAGE_MS)
        await asyncio.to_thread(stack.api.start)
        await asyncio.to_thread(stack.wait_for_api)
    resume(stack.worker)
    await page.wait_for_function("states.at(-1) === 'closed'", timeout=PAGE_MS)
    log = await asyncio.to_thread(stack.whole_log, task)
    events = await page.evaluate("events")
    assert events == [[str(event.end), event.data.decode()] for event in parse_events(log)]
    assert events[-1][1] == "[DONE]"
    assert len(events) > N_LOOPS * 100
    states = await page.evaluate("states")
    assert states.count("open") >= 1 + N_KILLS
    assert states.count("closed") == 1
    assert answers[-1] == 204, "what stops an EventSource"
    assert set(answers) == {200, 204}
