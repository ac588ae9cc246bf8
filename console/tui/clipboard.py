"""Ways to a clipboard: the terminal's own sequence, tmux's buffer, and programs of the desktop.

A terminal sets its clipboard on OSC 52, also over ssh, but it never answers whether it did. tmux
and GNU screen take the sequence for themselves, so it is wrapped for the terminal behind them; tmux
is also asked with its own command, which works with its default settings. A desktop's program is
used where there is one, because not every terminal knows OSC 52.
"""

import asyncio
import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from console.tui.terminal_passthrough import is_in_tmux, passed_through

MAX_SEQUENCE: Final = 100_000
"""Characters of base64 that terminals accept: xterm's bound, and that of most others."""
MAX_TEXT: Final = 16 * 1024 * 1024
"""Bytes of text for a program."""
WAIT_S: Final = 3.0
_PROGRAMS: Final = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("", ("pbcopy",)),
    ("", ("clip.exe",)),
)


class CopyPlan(NamedTuple):
    """How a text is copied: what is written to the terminal, and the program that receives it.

    Both are empty if the text is too long for the ways that exist; `why` says so.
    """

    sequence: str
    command: tuple[str, ...]
    why: str = ""


def plan_copy(
    text: str,
    environ: Mapping[str, str],
    find: Callable[[str], str | None],
    *,
    in_browser: bool = False,
) -> CopyPlan:
    """Return how to copy `text`; `find` returns a program's path as `shutil.which` does.

    `in_browser`: the terminal is a browser's page, and this machine is not the user's.
    """
    data = text.encode("utf-8", "replace")
    command = () if in_browser or len(data) > MAX_TEXT else _program(environ, find)
    coded = base64.b64encode(data).decode("ascii")
    sequence = ""
    if len(coded) <= MAX_SEQUENCE:
        sequence = f"\x1b]52;c;{coded}\x07"
        if not in_browser:
            sequence = _wrapped(sequence, environ, by_command=bool(command))
    if sequence or command:
        return CopyPlan(sequence, command)
    most = MAX_SEQUENCE * 3 // 4
    return CopyPlan(
        "", (), f"{len(data):,} bytes are more than a terminal accepts: {most:,}".replace(",", " ")
    )


async def run_program(command: tuple[str, ...], text: str) -> bool:
    """Give the text to the program; whether it took it, within `WAIT_S`.

    Programs of X11 stay in the background to serve the text, so their output is not awaited.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        async with asyncio.timeout(WAIT_S):
            await process.communicate(text.encode("utf-8", "replace"))
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return False
    return process.returncode == 0


def said(
    plan: CopyPlan, environ: Mapping[str, str], *, took: bool, in_browser: bool = False
) -> str:
    """Return how the text was copied, for the user; `took`: the program took it."""
    if in_browser:
        return "by the browser, if it allows it"
    name = plan.command[0].rpartition("/")[2] if plan.command else ""
    if took:
        if name != "tmux":
            return f"with {name}"
        return "to tmux's buffer, and by it to the terminal's clipboard"
    failed = f"{name} failed; " if name else ""
    if not plan.sequence:
        return f"{failed}the text is too long for the terminal"
    if "TMUX" in environ:
        return f"{failed}by the terminal (OSC 52), if tmux lets it pass: set-clipboard on"
    return f"{failed}by the terminal (OSC 52), if it allows it"


def _program(environ: Mapping[str, str], find: Callable[[str], str | None]) -> tuple[str, ...]:
    """Return the command that takes the text at its input; none if there is no such program."""
    if "TMUX" in environ:
        tmux = find("tmux")
        return () if tmux is None else (tmux, "load-buffer", "-w", "-")
    is_remote = "SSH_CONNECTION" in environ or "SSH_TTY" in environ
    for variable, (name, *options) in _PROGRAMS:
        if variable and not environ.get(variable):
            continue
        if is_remote and variable != "DISPLAY":  # X11 may be forwarded; others are this machine's
            continue
        path = find(name)
        if path is not None:
            return (path, *options)
    return ()


def _wrapped(sequence: str, environ: Mapping[str, str], *, by_command: bool) -> str:
    """Return the sequence for the terminal behind tmux or GNU screen, and for themselves."""
    passed = passed_through(sequence, environ)
    if is_in_tmux(environ) and not (by_command and "TMUX" in environ):
        # tmux's command fills its buffer: the sequence itself would make a second one.
        return passed + sequence
    return passed
