"""Make `docs/images/demo.png`: what `framewire demo` prints, without the middle of its chunks.

`python docs/demo_picture.py` runs it. Needs Chromium, as `docs/screenshots.py` does.
"""

# ruff: noqa: INP001 - a script

import asyncio
import io
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parent))

from screenshots import IMAGES, a_browser, paint

ROOT = Path(__file__).resolve().parents[1]
FIRST, LAST = 6, 4
"""Chunks that are shown at the beginning and at the end."""
WIDTH = 100


def shortened(printed: str) -> list[str]:
    """Return the lines with the first and last chunks; how many are between them is said.

    Notes on the machine are left out.
    """
    lines = [line for line in printed.rstrip().split("\n") if not line.startswith("  note: ")]
    chunks = [number for number, line in enumerate(lines) if line.startswith("frame ")]
    left_out = chunks[FIRST:-LAST]
    if not left_out:
        return lines
    note = f"       ⋮  {len(left_out)} chunks are left out of this picture"
    return [*lines[: left_out[0]], note, *lines[left_out[-1] + 1 :]]


def as_svg(lines: list[str]) -> str:
    """Return a picture of a terminal that shows them below their command."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "bold green"), ("framewire demo", "bold")))
    for line in lines:
        style = "bold" if line.startswith("TRACK ") else "dim" if "⋮" in line else ""
        console.print(Text(line, style), no_wrap=True, overflow="ellipsis", highlight=False)
    return console.export_svg(title="framewire demo")


async def make(svg: str) -> None:
    async with a_browser() as browser:
        await paint(browser, svg, IMAGES / "demo.png")


def main() -> None:
    command = [sys.executable, "-m", "console", "demo"]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    asyncio.run(make(as_svg(shortened(done.stdout))))


if __name__ == "__main__":
    main()
