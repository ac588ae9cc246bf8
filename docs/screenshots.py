"""Make pictures of the console from a running stack, or from the tests' recorded api.

`python docs/screenshots.py [NAME …]` makes those of `docs/images`. With `--all DIR` every picture
is made in 80x24, 120x36 and 200x60, dark and light, as `DIR/console-NAME-SIZE-THEME.png`.

Needs an api with some finished tasks (FRAMEWIRE_URL and FRAMEWIRE_KEY, or a running local stack),
or `--recorded`, and Chromium, which turns Textual's SVG into PNG. `SHOW_TASK` names the task of the
Live pictures.
"""

# ruff: noqa: INP001, S101, ASYNC110 - a script that waits for what it is about to photograph

import argparse
import asyncio
import io
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.async_api import Browser, async_playwright
from textual.pilot import Pilot

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from console.client.endpoint import Endpoint
from console.stack.discovery import discover
from console.tui.app import ConsoleApp
from console.tui.clock import Clock
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
"""Of the pictures in the documents."""
SIZES = ((80, 24), (120, 36), (200, 60))
THEMES = {"dark": "framewire-dark", "light": "framewire-light"}
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
    crop = tab.query_one("#crop", Preview)
    for _ in tab.found:  # not every task of the recorded api has a log of its own
        await until(pilot, lambda: crop.shown or "reading" not in crop.text)
        if crop.shown:
            break
        await pilot.press("down")


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
    """Compare the newest task that succeeded with the oldest one of the same video."""
    await tasks(pilot, console)
    listing = console.query_one(TasksTab).query_one("#task-list", Listing)
    done = next(row.key for row in listing.rows if "succeeded" in str(row.cells))
    listing.move_to(done)
    await pilot.press("equals_sign")
    await until(pilot, lambda: isinstance(console.screen, CompareWithScreen))
    choices = console.screen.query_one("#choices", Listing)
    await until(pilot, lambda: choices.rows and choices.rows[-1].key.startswith("vt_"))
    await pilot.press("end", "enter")
    await until(pilot, lambda: isinstance(console.screen, ComparisonScreen))
    await until(pilot, lambda: console.screen.query_one("#differences", Listing).rows)


SHOTS: dict[str, Shot] = {
    "tasks": tasks,
    "live": live,
    "tracks": tracks,
    "system": system,
    "submit": submit,
    "compare": compare,
}
IN_DOCUMENTS = {**{name: (name, "dark") for name in SHOTS}, "light": ("live", "light")}
"""The pictures of `docs/images`: what they show, and the theme."""


class Picture(NamedTuple):
    shot: Shot
    size: tuple[int, int]
    theme: str
    path: Path


def pictures(names: Sequence[str], folder: Path | None) -> list[Picture]:
    """Return the pictures of the documents, or with a folder those in all sizes and themes."""
    if folder is None:
        chosen = {name: IN_DOCUMENTS[name] for name in names or IN_DOCUMENTS}
        return [
            Picture(SHOTS[shot], SIZE, THEMES[theme], IMAGES / f"console-{name}.png")
            for name, (shot, theme) in chosen.items()
        ]
    return [
        Picture(SHOTS[name], size, theme, folder / f"console-{name}-{size[0]}x{size[1]}-{word}.png")
        for name in names or SHOTS
        for size in SIZES
        for word, theme in THEMES.items()
    ]


class RecordedClock(Clock):
    """Begins at the moment of the recording, so that ages and rates are those of then."""

    def __init__(self) -> None:
        from tests.console.tui.recorded_api import NOW  # noqa: PLC0415 - of tests

        self._ahead = datetime.now(UTC) - NOW

    def now(self) -> datetime:
        return super().now() - self._ahead

    def local(self, ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, UTC)


class Photographed(NamedTuple):
    """An api, and the clock of a console that shows it; None: this machine's."""

    endpoint: Endpoint
    clock: Clock | None = None


async def take(picture: Picture, api: Photographed) -> str:
    """Return the console's screen as SVG."""
    console = ConsoleApp(api.endpoint, ConsoleSettings(theme=picture.theme), api.clock)
    async with console.run_test(size=picture.size) as pilot:
        await picture.shot(pilot, console)
        return console.export_screenshot(title="framewire console")


@contextmanager
def an_api(*, recorded: bool) -> Iterator[Photographed]:
    """Yield the running api, or the one that the tests have recorded, at that time."""
    if not recorded:
        yield Photographed(discover(os.environ))
        return
    from tests.console.tui import test_comparison as of_tests  # noqa: PLC0415 - of tests
    from tests.console.tui.recorded_api import KEY, Script, recorded_api  # noqa: PLC0415 - as above

    script = Script()
    other_log = of_tests.altered(script.log, of_tests.without_the_second)
    script.logs[of_tests.other_task(script)] = other_log
    with recorded_api(script) as url:
        yield Photographed(Endpoint(url, KEY, project="shop-floor"), RecordedClock())


def save_small(png: bytes, path: Path) -> None:
    """Write the picture with 256 colours: a third of the size, the same to the eye."""
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


async def make(wanted: Sequence[Picture], api: Photographed) -> None:
    """Take the pictures and write them."""
    async with a_browser() as browser:
        for picture in wanted:
            await paint(browser, await take(picture, api), picture.path)


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """Run Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser
        await browser.close()


async def paint(browser: Browser, svg: str, path: Path) -> None:
    """Write an SVG as PNG."""
    box = _VIEW_BOX.search(svg)
    if box is None:
        raise SystemExit(f"{path.name}: no SVG with a size")
    width, height = (int(float(side)) for side in box.groups())
    page = await browser.new_page(viewport={"width": width, "height": height})
    await page.set_content(f'<body style="margin:0;background:transparent">{svg}</body>')
    path.parent.mkdir(parents=True, exist_ok=True)
    save_small(await page.screenshot(), path)
    await page.close()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(IN_DOCUMENTS))
    parser.add_argument("--all", type=Path, metavar="DIR", help="all sizes and themes, into DIR")
    parser.add_argument("--recorded", action="store_true", help="use the tests' recorded api")
    given = parser.parse_args(arguments)
    known = IN_DOCUMENTS if given.all is None else SHOTS
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"no picture is called {', '.join(unknown)}; there are {', '.join(known)}")
    with an_api(recorded=given.recorded) as api:
        asyncio.run(make(pictures(given.names, given.all), api))


if __name__ == "__main__":
    main()
