"""`framewire console --serve`: the same application in a headless Chromium."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.console.tui.recorded_api import KEY, Script
from tests.plugins.missing import find_program, needs_program

ROOT = Path(__file__).resolve().parents[3]
BROWSERS = ("chromium", "chromium-browser")
CHROMIUM = find_program(*BROWSERS)

pytestmark = [
    pytest.mark.usefixtures("processes"),
    needs_program(*BROWSERS, promise="the console in a browser"),
]


@pytest.fixture
def page_url(url: str, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = os.environ | {
        "FRAMEWIRE_URL": url,
        "FRAMEWIRE_KEY": KEY,
        "FRAMEWIRE_DATA": str(tmp_path),
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "console", "console", "--serve", "--port", str(port)],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert server.stdout is not None
    lines = iter(server.stdout.readline, b"")
    try:
        yield next(line.decode().strip() for line in lines if line.startswith(b"http://"))
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if server.stdout is not None:
            server.stdout.close()


def test_the_console_runs_in_a_browser(page_url: str, script: Script) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 860})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_url)
        page.wait_for_selector(".xterm", state="attached")
        wait_asked(page, script, "/v1/video/tasks")
        assert page.title() == "framewire console"
        page.wait_for_selector(".xterm-helper-textarea:focus", state="attached")
        page.keyboard.press("4")  # without a click
        wait_asked(page, script, "/v1/system")
        page.keyboard.press("3")
        wait_asked(page, script, "/v1/video/tracks")
        page.wait_for_timeout(500)  # the page draws what the console sent
        png = page.screenshot()
        own = page_url.partition("://")[2].partition("/")[0]
        hosts = {urlsplit(url).netloc for url in asked if not url.startswith("data:")}
        assert hosts == {own}
        browser.close()
    assert_colourful(png)


def wait_asked(page: Any, script: Script, path: str) -> None:
    deadline_s = time.monotonic() + 60
    while not script.asked("GET", path):
        assert time.monotonic() < deadline_s, f"{path} was never asked for"
        page.wait_for_timeout(100)


def assert_colourful(png: bytes) -> None:
    """The page shows the console's own colours, not an empty terminal."""
    import io

    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        colours = image.convert("RGB").getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 50
