"""How the console looks, at a small, a usual and a large terminal. `--snapshot-update` accepts."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from textual.widgets import Input

from console.tui.app import ConsoleApp
from console.tui.screens.live import LiveTab
from console.tui.screens.wall import WallScreen
from console.tui.widgets.preview import Preview
from tests.console.tui.conftest import make_console, text_of, until
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_submit import opened

SIZES = ((80, 24), (120, 36), (200, 60))
Look = Callable[[Any, ConsoleApp, Script], Awaitable[None]]


def still_console(url: str, **settings: Any) -> ConsoleApp:
    """Return a console that asks once; the server's port would differ from run to run."""
    console = make_console(url, tasks_s=3600.0, system_s=3600.0, **settings)
    console.shown_url = "127.0.0.1:8080"
    # The form's curl command names it, too; what is asked goes to the client's own URL.
    console.backend.endpoint = replace(console.backend.endpoint, url="http://127.0.0.1:8080")
    return console


async def tasks(pilot: Any, console: ConsoleApp, script: Script) -> None:
    listing = console.query_one("#task-list")
    await until(
        pilot, lambda: text_of(listing).count("vtest.avi") == 4 and "upload" in text_of(listing)
    )
    await until(pilot, lambda: "model" in text_of(console.query_one("#task-facts")))
    await until(pilot, lambda: "ready" in text_of(console.query_one("#topbar")))


async def live(pilot: Any, console: ConsoleApp, script: Script) -> None:
    await tasks(pilot, console, script)
    await pilot.press("2")
    tab = console.query_one(LiveTab)
    tab.task_id = script.log_task
    await until(pilot, lambda: tab.snapshot.offset == len(script.log))
    await until(pilot, lambda: tab.view(script.log_task))  # the head shows the task, too
    await pilot.press("space", "comma")
    preview = console.query_one("#preview", Preview)
    held = tab.held
    await until(
        pilot,
        lambda: (
            preview.shown is not None
            and held is not None
            and preview.shown.frame == held.line.frame
        ),
    )


async def tracks(pilot: Any, console: ConsoleApp, script: Script) -> None:
    await tasks(pilot, console, script)
    await pilot.press("3")
    await until(pilot, lambda: "○" in text_of(console.query_one("#trajectory")))
    await until(pilot, lambda: console.query_one("#crop", Preview).shown is not None)


async def system(pilot: Any, console: ConsoleApp, script: Script) -> None:
    await tasks(pilot, console, script)
    await pilot.press("4")
    await until(pilot, lambda: "source_forbidden" in text_of(console.query_one("#failures")))


async def submit(pilot: Any, console: ConsoleApp, script: Script) -> None:
    await tasks(pilot, console, script)
    screen = await opened(pilot, console)
    await until(pilot, lambda: "feature" in str(screen.query_one("#submit-curl").render()))
    for field in screen.query(Input):
        field.cursor_blink = False
    focused = screen.query_one("#source Input", Input)
    focused.focus()
    await until(pilot, lambda: focused.has_focus)


async def settled(pilot: Any, console: ConsoleApp) -> None:
    """Wait until two pictures in a row are the same, all that waited drawn in between."""
    before, now = "", console.export_screenshot()
    for _ in range(100):
        if before == now:
            return
        await pilot.pause()
        before, now = now, console.export_screenshot()
    raise AssertionError("the picture never stands still")


async def asking(pilot: Any, console: ConsoleApp, script: Script) -> None:
    await tasks(pilot, console, script)
    await pilot.press("c")
    await until(pilot, lambda: "vtest.avi" in text_of(console.screen.query_one("#facts")))


async def asking_many(pilot: Any, console: ConsoleApp, script: Script) -> None:
    await tasks(pilot, console, script)
    await pilot.press("space", "space", "space", "r")
    await until(pilot, lambda: "vtest.avi" in text_of(console.screen.query_one("#asked-about")))


async def wall(pilot: Any, console: ConsoleApp, script: Script) -> None:
    await tasks(pilot, console, script)
    await pilot.press("space", "space", "space", "w")
    screen = console.screen
    assert isinstance(screen, WallScreen)
    for pane in screen.panes[:3]:
        await until(pilot, lambda pane=pane: pane.query_one(Preview).shown is not None)  # type: ignore[misc]
        foot = pane.query_one(".pane-foot")
        await until(pilot, lambda foot=foot: "pedestrian" in text_of(foot))  # type: ignore[misc]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    "look",
    [tasks, live, tracks, system, submit, asking, asking_many, wall],
    ids=lambda f: f.__name__,
)
def test_look(
    snap_compare: Any, url: str, script: Script, look: Look, size: tuple[int, int]
) -> None:
    console = still_console(url)

    async def prepare(pilot: Any) -> None:
        await look(pilot, console, script)
        console.screen.set_focus(console.screen.focused, scroll_visible=False)
        await settled(pilot, console)

    assert snap_compare(console, terminal_size=size, run_before=prepare)


@pytest.mark.parametrize("look", [tasks, live], ids=lambda f: f.__name__)
@pytest.mark.parametrize("theme", ["framewire-light", "framewire-contrast"])
def test_theme(snap_compare: Any, url: str, script: Script, look: Look, theme: str) -> None:
    console = still_console(url, theme=theme)

    async def prepare(pilot: Any) -> None:
        await look(pilot, console, script)
        await settled(pilot, console)

    assert snap_compare(console, terminal_size=(120, 36), run_before=prepare)
