"""Asks for the file of an export, and writes it; a file that is there is replaced only on a yes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
from textual.widget import Widget

from console.client.video_input import typed_path
from console.errors import ConsoleError
from console.export.encoding import encode_rows
from console.tui.drawing.formatting import size
from console.tui.drawing.styled_text import Line
from console.tui.screens.confirm import ConfirmScreen
from console.tui.screens.prompt import PromptScreen

Rows = Callable[[], Awaitable[Sequence[msgspec.Struct]]]


def ask_export(host: Widget, title: str, name: str, rows: Rows) -> None:
    """Ask for a file, `name` by default, and write what `rows` returns, as CSV or JSON.

    The host's notifications tell where it is, or why it was not written: `rows` may raise
    `ConsoleError`.
    """

    def named(text: str | None) -> None:
        if text:
            _replace_or_write(host, typed_path(text).absolute(), rows)

    host.app.push_screen(
        PromptScreen(title, name, check=lambda text: encode_rows((), Path(text))), named
    )


def _replace_or_write(host: Widget, path: Path, rows: Rows) -> None:
    found_bytes = _size_bytes(path)

    def answered(yes: bool | None) -> None:
        if yes:
            host.run_worker(_write(host, path, rows, mode="wb"), group="export")

    if found_bytes is None:
        host.run_worker(_write(host, path, rows, mode="xb"), group="export")
        return
    facts: list[Line] = [((str(path), "!"),), ((f"has {size(found_bytes)}", ""),), ()]
    host.app.push_screen(ConfirmScreen("Replace this file?", "Replace it", lambda: facts), answered)


def _size_bytes(path: Path) -> int | None:
    """Return the size of what is there; None if nothing is."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return None


async def _write(host: Widget, path: Path, rows: Rows, *, mode: str) -> None:
    def write(data: bytes) -> None:
        with path.open(mode) as file:
            file.write(data)

    try:
        found = await rows()
        await asyncio.to_thread(write, encode_rows(found, path))
    except (ConsoleError, OSError, ValueError) as exc:
        host.notify(str(exc), title="Not exported", severity="error")
        return
    host.notify(f"{len(found)} tracks in {path}", title="Exported")
