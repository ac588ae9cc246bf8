"""Make the pictures of `docs/images` from a running stack: `python docs/screenshots.py`.

Needs an api with some finished tasks (FRAMEWIRE_URL and FRAMEWIRE_KEY, or a running local stack),
and Chromium, which turns Textual's SVG into PNG. `SHOW_TASK` names the task of the Live pictures.
"""

# ruff: noqa: INP001, S101, ASYNC110 - a script that waits for what it is about to photograph

import asyncio
import io
import os
import re
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import async_playwright
from textual.pilot import Pilot

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from console.stack.discovery import discover
from console.tui.app import ConsoleApp
from console.tui.console_settings import ConsoleSettings
from console.tui.screens.compare_with import CompareWithScreen
from console.tui.screens.comparison import ComparisonScreen
from console.tui.screens.live import LiveTab
from console.tui.screens.submit import SubmitScreen
from console.tui.screens.tasks import TasksTab
from console.tui.screens.tracks import TracksTab
from console.tui.widgets.preview import Preview
from console.tui.widgets.step_editor import StepEditor
from console.tui.widgets.table import Listing

IMAGES = Path(__file__).parent / "images"
SIZE = (132, 40)
WAIT_S = 60.0
_VIEW_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')

Shot = Callable[[Pilot[Any], ConsoleApp], Awaitable[None]]


async def until(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    """Let the console work until the condition holds."""
    async with asyncio.timeout(WAIT_S):
        while not holds():
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    await pilot.pause()


async def tasks(pilot: Pilot[Any], console: ConsoleApp) -> None:
    tab = console.query_one(TasksTab)
    await until(pilot, lambda: tab.query_one("#task-list", Listing).key in tab.requests)


async def live(pilot: Pilot[Any], console: ConsoleApp) -> None:
    await tasks(pilot, console)
    wanted = os.environ.get("SHOW_TASK")
    if wanted is None:
        await pilot.press("enter")
    else:
        await pilot.press("2")
        console.query_one(LiveTab).task_id = wanted
    tab = console.query_one(LiveTab)
    await until(pilot, lambda: tab.snapshot.n_chunks > 40)
    await pilot.press("space", *["less_than_sign"] * 3)
    preview = tab.query_one("#preview", Preview)
    await until(
        pilot,
        lambda: (
            preview.shown is not None
            and tab.held is not None
            and preview.shown.frame == tab.held.line.frame
        ),
    )


async def tracks(pilot: Pilot[Any], console: ConsoleApp) -> None:
    await pilot.press("3")
    tab = console.query_one(TracksTab)
    await until(pilot, lambda: tab.found)
    await pilot.press("slash", *"pedestrian", "enter")
    await until(pilot, lambda: tab.found and {t.class_name for t in tab.found} == {"pedestrian"})
    while tab.selected is not None and tab.selected.feature_digest is None:
        await pilot.press("down")
    await pilot.press(*["down"] * 3)
    await until(pilot, lambda: tab.query_one("#crop", Preview).shown)
    await pilot.press("m")
    await until(pilot, lambda: tab.search is not None and tab.search.is_by_likeness and tab.found)
    await until(pilot, lambda: tab.query_one("#crop", Preview).shown)


async def system(pilot: Pilot[Any], console: ConsoleApp) -> None:
    await pilot.press("4")
    await until(pilot, lambda: console.query_one("#workers").rows)  # type: ignore[attr-defined]
    await asyncio.sleep(8)


async def submit(pilot: Pilot[Any], console: ConsoleApp) -> None:
    await tasks(pilot, console)
    await pilot.press("n")
    screen = console.screen
    assert isinstance(screen, SubmitScreen)
    await until(pilot, lambda: len(screen.query(StepEditor)) == 2)
    await pilot.press(*"https://cameras.example.com/gate-3.mp4")
    await until(pilot, lambda: "gate-3" in str(screen.query_one("#submit-curl").render()))


async def compare(pilot: Pilot[Any], console: ConsoleApp) -> None:
    """Compare the last task with the one before it, of the same video."""
    await tasks(pilot, console)
    await pilot.press("equals_sign")
    await until(pilot, lambda: isinstance(console.screen, CompareWithScreen))
    choices = console.screen.query_one("#choices", Listing)
    await until(pilot, lambda: choices.rows and choices.rows[-1].key.startswith("vt_"))
    await pilot.press("end", "enter")
    await until(pilot, lambda: isinstance(console.screen, ComparisonScreen))
    await until(pilot, lambda: console.screen.query_one("#differences", Listing).rows)


SHOTS: dict[str, tuple[Shot, str]] = {
    "tasks": (tasks, "framewire-dark"),
    "live": (live, "framewire-dark"),
    "tracks": (tracks, "framewire-dark"),
    "system": (system, "framewire-dark"),
    "submit": (submit, "framewire-dark"),
    "compare": (compare, "framewire-dark"),
    "light": (live, "framewire-light"),
}


async def take(shot: Shot, theme: str) -> str:
    """Return the console's screen as SVG."""
    settings = ConsoleSettings(theme=theme)
    console = ConsoleApp(discover(os.environ), settings)
    async with console.run_test(size=SIZE) as pilot:
        await shot(pilot, console)
        return console.export_screenshot(title="framewire console")


def save_small(png: bytes, path: Path) -> None:
    """Write the picture with 256 colours: a third of the size, the same to the eye."""
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


async def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    names = sys.argv[1:] or list(SHOTS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name in names:
            svg = await take(*SHOTS[name])
            box = _VIEW_BOX.search(svg)
            if box is None:
                raise SystemExit(f"{name}: no SVG with a size")
            width, height = (int(float(side)) for side in box.groups())
            page = await browser.new_page(viewport={"width": width, "height": height})
            await page.set_content(f'<body style="margin:0;background:transparent">{svg}</body>')
            path = IMAGES / f"console-{name}.png"
            save_small(await page.screenshot(), path)
            await page.close()
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
