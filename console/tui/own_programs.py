"""The user's editor and pager: their commands, and running them in the console's terminal."""

import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 64 * 1024 * 1024
_PAGERS: Final = ("less", "more")


class NoProgramError(ValueError):
    """There is no such program; the message says what to set."""


def editor_command(environ: Mapping[str, str]) -> list[str]:
    """Return the words of `$VISUAL`, else of `$EDITOR`; raises `NoProgramError`."""
    for name in ("VISUAL", "EDITOR"):
        if environ.get(name):
            return _words(name, environ[name])
    raise NoProgramError("no editor is set: export EDITOR=vim, for example")


def pager_command(environ: Mapping[str, str], find: Callable[[str], str | None]) -> list[str]:
    """Return the words of `$PAGER`, else a usual pager's; `find` as `shutil.which`."""
    if environ.get("PAGER"):
        return _words("PAGER", environ["PAGER"])
    for name in _PAGERS:
        path = find(name)
        if path is not None:
            return [path]
    raise NoProgramError("no pager is set: export PAGER=less, for example")


def run_on_file(command: list[str], *paths: str) -> str:
    """Run the command on the files in this terminal; return why it failed, or nothing."""
    try:
        done = subprocess.run([*command, *paths], check=False)
    except OSError as exc:
        return f"{command[0]} cannot be started: {exc.strerror or exc}"
    if done.returncode:
        return f"{command[0]} ended with status {done.returncode}"
    return ""


def read_bounded(path: Path) -> str:
    """Return the file's text; raises ValueError if it is longer than `MAX_BYTES`."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"the file has more than {MAX_BYTES} bytes")
    return path.read_text("utf-8", "replace")


def _words(name: str, value: str) -> list[str]:
    try:
        words = shlex.split(value)
    except ValueError as exc:
        raise NoProgramError(f"${name} cannot be read: {exc}") from exc
    if not words:
        raise NoProgramError(f"${name} is empty")
    return words
