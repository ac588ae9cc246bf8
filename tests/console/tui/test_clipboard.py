"""Copying: what is written to the terminal, which program is used, and what the user is told."""

import base64
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.tui.app import ConsoleApp
from console.tui.clipboard import MAX_SEQUENCE, MAX_TEXT, CopyPlan, plan_copy, run_program, said
from console.tui.terminal_environment import terminal_environment
from tests.console.tui.conftest import until
from tests.console.tui.keyboard import typed
from tests.console.tui.recorded_api import Script
from tests.console.tui.test_tasks_tab import notes, shown
from tests.plugins.missing import needs_program

DESKTOP = {"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}
SSH = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}


def everything(name: str) -> str:
    return f"/usr/bin/{name}"


def nothing(_: str) -> None:
    return None


def decoded(sequence: str) -> str:
    """Return the text of the OSC 52 sequence in `sequence`, with wrappers undone as tmux does."""
    found = re.search(r"\]52;c;([^\x07]*)\x07", sequence)
    assert found is not None
    return base64.b64decode(found[1]).decode()


@given(st.text(max_size=300))
def test_a_terminal_gets_the_whole_text(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    plan = plan_copy(text, {}, nothing)
    assert plan == (f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07", (), "")
    assert decoded(plan_copy(text, {"TMUX": "/tmp/x,1,0"}, nothing).sequence) == text
    pieces = plan_copy(text, {"STY": "1.pts"}, nothing).sequence
    assert decoded("".join(re.findall(r"\x1bP(.*?)\x1b\\", pieces, re.DOTALL))) == text


@pytest.mark.parametrize(
    ("environ", "installed", "program"),
    [
        (DESKTOP, ("wl-copy", "xclip", "xsel"), "wl-copy"),
        (DESKTOP, ("xclip", "xsel"), "xclip"),
        ({"DISPLAY": ":0"}, ("wl-copy", "xsel"), "xsel"),
        ({}, ("wl-copy", "xclip", "xsel"), None),
        ({}, ("pbcopy",), "pbcopy"),
        (SSH, ("pbcopy", "wl-copy", "xclip"), None),
        (SSH | {"DISPLAY": "localhost:10.0"}, ("pbcopy", "xclip"), "xclip"),
        (DESKTOP | {"TMUX": "/tmp/x,1,0"}, ("tmux", "wl-copy"), "tmux"),
    ],
)
def test_the_program_is_that_of_the_users_own_desktop(
    environ: dict[str, str], installed: tuple[str, ...], program: str | None
) -> None:
    plan = plan_copy("x", environ, lambda name: f"/bin/{name}" if name in installed else None)
    assert (plan.command[0] if plan.command else None) == (program and f"/bin/{program}")
    assert plan.sequence  # a program may fail, and the terminal is asked, too
    how = said(plan, environ, took=True)
    if program == "tmux":
        assert how == "to tmux's buffer, and by it to the terminal's clipboard"
    elif program:
        assert how == f"with {program}"
        assert said(plan, environ, took=False).startswith(f"{program} failed; by the terminal")


def test_a_text_that_is_too_long_for_the_terminal_is_refused_or_left_to_a_program() -> None:
    fits, long = "x" * (MAX_SEQUENCE * 3 // 4), "x" * (MAX_SEQUENCE * 3 // 4 + 1)
    assert plan_copy(fits, {}, nothing).sequence
    plan = plan_copy(long, {}, nothing)
    assert (plan.sequence, plan.command) == ("", ())
    assert plan.why == "75 001 bytes are more than a terminal accepts: 75 000"
    assert plan_copy(long, DESKTOP, everything) == ("", ("/usr/bin/wl-copy",), "")
    assert plan_copy("x" * (MAX_TEXT + 1), DESKTOP, everything).why


def test_a_browser_gets_the_text_and_this_machine_does_not() -> None:
    plan = plan_copy("x", DESKTOP | {"TMUX": "a"}, everything, in_browser=True)
    assert plan == CopyPlan("\x1b]52;c;eA==\x07", ())
    assert said(plan, {}, took=False, in_browser=True) == "by the browser, if it allows it"


def test_the_console_is_told_nothing_but_what_it_needs_of_the_environment() -> None:
    given = {"TMUX": "a", "EDITOR": "vi", "DISPLAY": "", "FRAMEWIRE_KEY": "fw_secret", "HOME": "/"}
    assert terminal_environment(given) == {"TMUX": "a", "EDITOR": "vi"}


@pytest.mark.usefixtures("processes")
async def test_a_program_that_is_missing_fails_or_hangs_has_not_taken_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "copied"
    assert await run_program(("sh", "-c", f"cat >{copied}"), "é\n")
    assert copied.read_text() == "é\n"
    assert not await run_program(("no-such-program",), "x")
    assert not await run_program(("false",), "x" * 1_000_000)
    monkeypatch.setattr("console.tui.clipboard.WAIT_S", 0.05)
    assert not await run_program(("sleep", "60"), "x")


async def test_the_toast_says_what_was_copied_and_how(console: ConsoleApp, script: Script) -> None:
    first = script.tasks()[0]["id"]
    async with console.run_test(size=(140, 44)) as pilot:
        await shown(pilot, console, script)
        await typed(pilot, console, "y")
        await until(pilot, lambda: notes(console))
        assert f"{first}\nby the terminal (OSC 52), if it allows it" in notes(console)
        console.copy_to_clipboard("x" * MAX_SEQUENCE)
        await until(pilot, lambda: "more than a terminal accepts" in notes(console))
        assert console.clipboard == first


PROGRAM = """
import asyncio, os, shutil, sys
from console.tui.clipboard import plan_copy, run_program, said
find = shutil.which if sys.argv[2] == "with-tmux" else lambda _: None
plan = plan_copy(sys.argv[1], os.environ, find)
sys.stdout.write(plan.sequence)
sys.stdout.flush()
took = bool(plan.command) and asyncio.run(run_program(plan.command, sys.argv[1]))
print(said(plan, os.environ, took=took), flush=True)
sys.stdin.read()
"""


class Nested:
    """A tmux in a tmux: the outer one is the terminal, whose clipboard is its newest buffer."""

    def __init__(self, folder: Path, inner_options: str, find: str, text: str) -> None:
        self._name = f"framewire-{uuid.uuid4().hex[:8]}"
        self._environ = {
            k: v for k, v in os.environ.items() if k not in ("TMUX", "STY", "COLUMNS", "LINES")
        }
        outer, inner, program = folder / "outer", folder / "inner", folder / "program.py"
        outer.write_text("set -s set-clipboard on\nset -g default-terminal tmux-256color\n")
        inner.write_text(f"set -g default-terminal tmux-256color\n{inner_options}\n")
        program.write_text(PROGRAM)
        root = Path(__file__).resolve().parents[3]
        run = f"cd {root} && PYTHONPATH={root} {sys.executable} {program} '{text}' {find}"
        self._inner = f"{self._name}-inner"
        attach = f'TMUX= tmux -L {self._inner} -f {inner} new-session "{run}"'
        self.run("-L", self._name, "-f", str(outer), "new-session", "-d", "-x", "100", attach)

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", *arguments], check=False, capture_output=True, text=True, env=self._environ
        )
        return done.stdout

    def until(self, holds: str) -> tuple[str, str]:
        """Wait until the screen has the text; return the outer and the inner tmux's buffers."""
        deadline_s = time.monotonic() + 30
        while holds not in (screen := self.run("-L", self._name, "capture-pane", "-p")):
            assert time.monotonic() < deadline_s, screen
            time.sleep(0.05)
        return self.run("-L", self._name, "show-buffer"), self.run("-L", self._inner, "show-buffer")

    def end(self) -> None:
        for name in (self._inner, self._name):
            self.run("-L", name, "kill-server")


@pytest.mark.usefixtures("processes")
@needs_program("tmux", promise="copying through a tmux to the terminal behind it")
@pytest.mark.parametrize(
    ("options", "find", "in_inner", "how"),
    [
        ("", "with-tmux", True, "to tmux's buffer, and by it to the terminal's clipboard"),
        ("set -g allow-passthrough on", "without-tmux", False, "by the terminal (OSC 52)"),
        ("set -s set-clipboard on", "without-tmux", True, "by the terminal (OSC 52)"),
    ],
    ids=["default settings", "passthrough", "set-clipboard"],
)
def test_a_text_reaches_the_terminal_behind_a_real_tmux(
    tmp_path: Path, options: str, find: str, in_inner: bool, how: str
) -> None:
    text = "vt_01 ünï \N{PEDESTRIAN}"
    nested = Nested(tmp_path, options, find, text)
    try:
        outer, inner = nested.until(how)
        assert outer == text
        assert (inner == text) == in_inner
    finally:
        nested.end()
