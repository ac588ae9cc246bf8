"""The console over the recorded api, with stopped clocks."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from weakref import WeakSet

import pytest
from rich.console import RenderableType
from textual._compositor import Compositor
from textual.pilot import Pilot
from textual.screen import Screen

from console.client.endpoint import Endpoint
from console.tui.app import ConsoleApp
from console.tui.clock import Clock
from console.tui.console_settings import ConsoleSettings
from tests.console.tui.recorded_api import KEY, NOW, Script, recorded_api

RARELY_S = 3600.0
"""Poll interval for tests that wait for no second answer: each answer costs a redraw."""

_PAUSE = Pilot.pause
_SETTLED: list[Compositor] = []
"""What may draw now; see `drawn_when_settled`."""


class StoppedClock(Clock):
    """Always the moment of the recording."""

    def now(self) -> datetime:
        return NOW

    def local(self, ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, UTC)  # wherever the tests run

    def monotonic_s(self) -> float:
        return 1000.0


@pytest.fixture(autouse=True)
def handled_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `pilot.press` return when the console, which holds keys back, has handled them all."""
    press = Pilot.press

    async def press_and_wait(self: Pilot[Any], *keys: str) -> None:
        await press(self, *keys)
        console = self.app
        assert isinstance(console, ConsoleApp)
        deadline_s = time.monotonic() + 20
        while console.is_handling_keys:
            assert time.monotonic() < deadline_s, f"never handled: {keys}"
            await asyncio.sleep(0.005)
        await self.pause()

    monkeypatch.setattr(Pilot, "press", press_and_wait)


@pytest.fixture(autouse=True)
def drawn_when_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw what has changed when the console has settled, and not some ten times until then.

    Nobody sees these pictures, and they were a third of the work. What is drawn later is all that
    has changed in the meantime. The first picture of a screen is drawn at once, since it may be
    closed before anything settles; so is one that a test asks for, and each one if the test has a
    display of its own.
    """
    render_update = Compositor.render_update
    begun: WeakSet[Compositor] = WeakSet()

    def render_when_settled(
        self: Compositor,
        full: bool = False,
        screen_stack: list[Screen[Any]] | None = None,
        simplify: bool = False,
    ) -> RenderableType | None:
        is_shown = self.root is not None and "_display" in vars(self.root.app)
        if full or is_shown or self in _SETTLED or self not in begun:
            begun.add(self)
            return render_update(self, full, screen_stack, simplify)
        return None

    async def pause_and_draw(self: Pilot[Any], delay: float | None = None) -> None:
        await _PAUSE(self, delay)
        _draw(self)

    monkeypatch.setattr(Compositor, "render_update", render_when_settled)
    monkeypatch.setattr(Pilot, "pause", pause_and_draw)


def _draw(pilot: Pilot[Any]) -> None:
    screen = pilot.app.screen
    _SETTLED.append(screen._compositor)
    try:
        screen._compositor_refresh()
    finally:
        _SETTLED.clear()


@pytest.fixture
def script(screens: None) -> Script:
    return Script()


@pytest.fixture
def url(script: Script) -> Iterator[str]:
    with recorded_api(script) as url:
        yield url


@pytest.fixture
def poll_s() -> float:
    """Return how often `console` reads the api; a file whose tests need no reading says so."""
    return 0.3


@pytest.fixture
def console(url: str, poll_s: float) -> ConsoleApp:
    return make_console(url, poll_s)


@pytest.fixture
def polling_console(url: str) -> ConsoleApp:
    """Return a console that reads the api again and again, in any file."""
    return make_console(url)


def make_console(
    url: str,
    poll_s: float = 0.3,
    *,
    key: str = KEY,
    project: str | None = "shop-floor",
    **settings: Any,
) -> ConsoleApp:
    endpoint = Endpoint(url, key, project=project)
    polls = dict.fromkeys(("tasks_s", "system_s", "health_s"), poll_s)
    given = polls | {"draw_s": 0.03, "tracks_s": 3600.0} | settings
    return ConsoleApp(endpoint, ConsoleSettings(**given), StoppedClock())


async def until(pilot: Pilot[Any], holds: Callable[[], object], *, within_s: float = 20.0) -> None:
    """Let the app work until the condition holds, settle and draw; fails when it never holds."""
    deadline_s = time.monotonic() + within_s
    await _PAUSE(pilot)
    asked_s = time.monotonic()
    while not holds():
        now_s = time.monotonic()
        assert now_s < deadline_s, f"never held: {holds}"
        await asyncio.sleep(max(0.01, 4 * (now_s - asked_s)))  # it may draw a whole widget
        asked_s = time.monotonic()
        if holds():
            await _PAUSE(pilot)
            asked_s = time.monotonic()
    _draw(pilot)


def text_of(widget: Any) -> str:
    """Return what a drawn widget shows, line by line."""
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height))
