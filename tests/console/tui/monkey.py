"""A seeded monkey at the console's keyboard: `python -m tests.console.tui.monkey --minutes 60`.

It types keys in bursts, back to back, over the recorded api, which records what it is asked. Each
request that changes something has to be one that the screen named, in a dialog that was confirmed.
"""

import argparse
import asyncio
import math
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from console.client.endpoint import Endpoint
from console.tui import app
from console.tui.app import ConsoleApp
from console.tui.console_settings import ConsoleSettings
from console.tui.keys import KEYS
from console.tui.screens.compare_with import Asked
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.confirm_many import ConfirmManyScreen
from console.tui.screens.submit import SubmitScreen
from console.tui.view_models.submit_form import FormValues
from console.tui.widgets.table import Listing
from tests.console.tui.conftest import StoppedClock
from tests.console.tui.keyboard import post_keys
from tests.console.tui.recorded_api import KEY, Script, recorded_api

BURST = 8
SIZES = ((80, 24), (120, 36), (200, 60))
RESIZE_SHARE = 0.01
HANDLED_CPU_S = 30
HANDLED_S = 1200
"""For one burst; the first counts where other processes take most of the machine's time."""
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
            if isinstance(answer, Asked) and not isinstance(answer.other, str):
                self.confirmed["Run", answer.subject.task] += 1  # the second run that was chosen
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


@dataclass
class Run:
    """What was typed and asked so far. AssertionError for a request that no dialog named."""

    console: WatchedConsole
    script: Script
    n_keys: int = 0
    n_read: int = 0
    """Requests that were looked at."""
    n_submits: int = 0
    cancels: Counter[str] = field(default_factory=Counter)

    @property
    def n_changing(self) -> int:
        return self.n_submits + self.cancels.total()

    def check(self, burst: list[str]) -> None:
        """Every request was named by a dialog; each dialog that was confirmed allows one."""
        new = self.script.requests[self.n_read :]
        self.n_read += len(new)
        for method, path, _ in new:
            if method == "GET":
                continue
            typed_so_far = f"key {self.n_keys}, {burst}"
            if path == "/v1/video/process":
                self.n_submits += 1
                runs = Counter(kind for kind, _ in self.console.confirmed.elements())
                allowed = runs["Run"] + runs["submit"]
                submitted = f"{self.n_submits} submitted, {allowed} confirmed"
                assert self.n_submits <= allowed, f"{submitted}: {typed_so_far}"
            else:
                assert path.endswith("/cancel"), f"{method} {path}: {typed_so_far}"
                task = unquote(path.split("/")[4])
                self.cancels[task] += 1
                named = self.console.confirmed["Cancel", task]
                cancelled = f"{task} was cancelled {self.cancels[task]} times, confirmed {named}"
                assert self.cancels[task] <= named, f"{cancelled}: {typed_so_far}"


async def play(
    script: Script,
    url: str,
    *,
    seed: int,
    n_keys: float,
    readonly: bool = False,
    until_s: float = math.inf,
    tell: Callable[[Run], None] = lambda _: None,
) -> Run:
    """Type `n_keys` random keys or some more; stop when `time.monotonic()` reaches `until_s`."""
    rng = random.Random(seed)
    run = Run(WatchedConsole(url, readonly=readonly), script)
    n_known = len(script.tasks())
    async with run.console.run_test(size=rng.choice(SIZES)) as pilot:
        while run.n_keys < n_keys and time.monotonic() < until_s:
            burst = [key for _ in range(rng.randint(1, BURST)) for key in _keys(rng)]
            run.n_keys += len(burst)
            await _type(run.console, burst, f"key {run.n_keys}, {burst}")
            run.check(burst)
            if len(script.tasks()) > n_known + 30:  # the fake api's list stays short
                del script.tasks()[: len(script.tasks()) - n_known - 30]
            if rng.random() < RESIZE_SHARE:
                await pilot.resize_terminal(*rng.choice(SIZES))
            tell(run)
        for screen in reversed(run.console.screen_stack[1:]):
            screen.dismiss(None)
        await pilot.pause()
        run.check([])
    return run


async def _type(console: WatchedConsole, burst: list[str], told: str) -> None:
    """Send the keys in one go, and wait until all of them are handled."""
    post_keys(console, *burst)
    posted = asyncio.Event()
    assert console.call_later(posted.set), told
    used_s, began_s = time.process_time(), time.monotonic()
    while not posted.is_set() or console.is_handling_keys:
        assert console.is_running, f"the console ended: {told}"
        is_late = time.process_time() - used_s > HANDLED_CPU_S
        is_late = is_late or time.monotonic() - began_s > HANDLED_S
        assert not is_late, f"never handled: {told}"
        await asyncio.sleep(0.005)


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


def _every_minute(seed: int) -> Callable[[Run], None]:
    """Return what says once a minute how far a run is."""
    started_s = last_s = time.monotonic()

    def tell(run: Run) -> None:
        nonlocal last_s
        if time.monotonic() - last_s < 60:
            return
        last_s = time.monotonic()
        sys.stdout.write(
            f"{(last_s - started_s) / 60:.0f} min, seed {seed}: {run.n_keys} keys,"
            f" {run.n_read} requests, {run.n_changing} of them changed something,"
            f" at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB\n"
        )
        sys.stdout.flush()

    return tell


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int)
    parser.add_argument("--minutes", type=float, help="how long, instead of how many keys")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--readonly", action="store_true")
    given = parser.parse_args()
    started_s = time.monotonic()
    until_s = math.inf if given.minutes is None else started_s + 60 * given.minutes
    n_keys = given.keys or (20_000 if given.minutes is None else math.inf)
    script = Script()
    with tempfile.TemporaryDirectory() as folder, recorded_api(script) as url:
        os.chdir(folder)  # exports are written to the current directory
        run = asyncio.run(
            play(
                script,
                url,
                seed=given.seed,
                n_keys=n_keys,
                readonly=given.readonly,
                until_s=until_s,
                tell=_every_minute(given.seed),
            )
        )
        os.chdir(Path(folder).parent)
    took_s = time.monotonic() - started_s
    sys.stdout.write(
        f"{run.n_keys} keys in {took_s:.0f} s, seed {given.seed}: {run.n_read} requests,"
        f" {run.n_changing} of them changed something, each was confirmed;"
        f" {len(script.repeated)} came twice with their key\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
