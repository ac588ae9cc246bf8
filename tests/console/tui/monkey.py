"""A seeded monkey at the console's keyboard: `python -m tests.console.tui.monkey --keys 100000`.

It types keys in bursts, back to back, over the recorded api, which records what it is asked. Each
request that changes something has to be one that the screen named, in a dialog that was confirmed.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from inspect import isawaitable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from console.client.endpoint import Endpoint
from console.tui import app
from console.tui.app import ConsoleApp
from console.tui.console_settings import ConsoleSettings
from console.tui.keys import KEYS
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.confirm_many import ConfirmManyScreen
from console.tui.screens.submit import SubmitScreen
from console.tui.view_models.submit_form import FormValues
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import StoppedClock
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import KEY, Script, recorded_api

BURST = 8
_LEAVES = {"q", "ctrl+q"}
_EDITS = ("enter", "escape", "tab", "shift+tab", "backspace", "left", "right", "ctrl+s", "ctrl+y")
_CHORD_SHARE = 0.25
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789 /?[]"
_CHORDS = (
    ("c", "y"),
    ("r", "y"),
    ("down", "c", "y"),
    ("up", "r", "y"),
    ("2", "c", "y"),
    ("enter", "c", "y"),
    ("c", "enter"),
    ("r", "enter"),
    ("/", "c", "r", "y"),
    ("space", "c", "y"),
    ("space", "down", "v", "r", "y"),
    ("asterisk", "c", "y"),
    ("u", "r", "n"),
    ("w", "enter", "c", "y"),
    ("w", "plus", "2", "1"),
    ("escape", "escape", "escape"),
    ("e", "ctrl+s"),
    ("escape", "escape", "1"),
)
"""What a person types to change something, or nearly."""
ALPHABET = sorted(
    {name for keys in KEYS.values() for key in keys for name in key.keys.split(",")} - _LEAVES
)


class WatchedConsole(ConsoleApp):
    """The console; `confirmed` counts what its dialogs named when they were confirmed."""

    CSS_PATH = str(Path(app.__file__).with_name("console.tcss"))

    def __init__(self, url: str, *, readonly: bool) -> None:
        settings = ConsoleSettings(tasks_s=0.3, system_s=0.3, tracks_s=1.0, readonly=readonly)
        super().__init__(Endpoint(url, KEY, project="shop-floor"), settings, StoppedClock())
        self.confirmed: Counter[tuple[str, str]] = Counter()

    def push_screen(  # type: ignore[override] # one of its overloads
        self, screen: Any, callback: Callable[[Any], object] | None = None, **options: Any
    ) -> Any:
        async def answered(answer: Any) -> None:
            if answer and isinstance(screen, ConfirmScreen):
                self.confirmed.update(_named(screen))
            done = None if callback is None else callback(answer)
            if isawaitable(done):
                await done

        if isinstance(screen, SubmitScreen):
            send = screen._send

            def sent(values: FormValues) -> object:
                self.confirmed["submit", ""] += 1
                return send(values)

            screen._send = sent  # type: ignore[method-assign,assignment] # counted, then done
        return super().push_screen(screen, answered, **options)

    def deliver_screenshot(self, *_: object, **__: object) -> None:
        """Do nothing: it would write to the home directory."""

    async def action_quit(self) -> None:
        """Do nothing: the monkey is to stay."""


async def play(script: Script, url: str, *, seed: int, n_keys: int, readonly: bool = False) -> None:
    """Type `n_keys` random keys or some more; AssertionError for a request that no dialog named."""
    rng = random.Random(seed)
    console = WatchedConsole(url, readonly=readonly)
    n_known = len(script.tasks())
    async with console.run_test(size=(rng.choice((80, 120, 200)), 40)) as pilot:
        left = n_keys
        while left > 0:
            burst = [key for _ in range(rng.randint(1, BURST)) for key in _keys(rng)]
            left -= len(burst)
            await typed(pilot, console, *burst)
            _check(console, script, burst)
            if len(script.tasks()) > n_known + 30:  # the fake api's list stays short
                del script.tasks()[: len(script.tasks()) - n_known - 30]
        for screen in list(console.screen_stack[1:]):
            screen.dismiss(None)
        await pilot.pause()
        _check(console, script, [])


def _keys(rng: random.Random) -> tuple[str, ...]:
    """Return a key, or one of the sequences by which something is changed."""
    if rng.random() < _CHORD_SHARE:
        return rng.choice(_CHORDS)
    return (rng.choice(rng.choice((ALPHABET, _LETTERS, _EDITS))),)


def _named(screen: ConfirmScreen) -> list[tuple[str, str]]:
    """Return what the dialog said: (Cancel, Run or Replace; the task's id) for each task."""
    what = screen._question.split()[0]
    if isinstance(screen, ConfirmManyScreen):
        rows = screen.query_one(Listing).rows
        assert f" {len(rows)} task" in screen._question
        return [(what, row.key) for row in rows]
    lines = () if screen._facts is None else screen._facts()
    said = {line[0][0].strip(): "".join(text for text, _ in line[1:]) for line in lines if line}
    return [(what, said.get("task", ""))]


def _check(console: WatchedConsole, script: Script, burst: list[str]) -> None:
    """Every request was named by a dialog; each dialog that was confirmed allows one."""
    changing = [(m, path, body) for m, path, body in script.requests if m != "GET"]
    cancels = Counter(
        unquote(path.split("/")[4]) for _, path, _ in changing if path.endswith("/cancel")
    )
    submits = [body for _, path, body in changing if path == "/v1/video/process"]
    assert len(changing) == cancels.total() + len(submits), f"{changing[-1]} after {burst}"
    for task, n_times in cancels.items():
        named = console.confirmed["Cancel", task]
        assert n_times <= named, f"{task} was cancelled {n_times} times, confirmed {named}: {burst}"
    runs = Counter(kind for kind, _ in console.confirmed.elements())
    allowed = runs["Run"] + runs["submit"]
    assert len(submits) <= allowed, f"{len(submits)} submitted, {allowed} confirmed: {burst}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--readonly", action="store_true")
    given = parser.parse_args()
    started_s = time.monotonic()
    script = Script()
    with tempfile.TemporaryDirectory() as folder, recorded_api(script) as url:
        os.chdir(folder)  # exports are written to the current directory
        asyncio.run(play(script, url, seed=given.seed, n_keys=given.keys, readonly=given.readonly))
        os.chdir(Path(folder).parent)
    n_changing = sum(method != "GET" for method, _, _ in script.requests)
    took_s = time.monotonic() - started_s
    sys.stdout.write(
        f"{given.keys} keys in {took_s:.0f} s, seed {given.seed}: {len(script.requests)} requests,"
        f" {n_changing} of them changed something, each was confirmed\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
