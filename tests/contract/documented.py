"""Commands in documents: every fenced shell block, split into commands as bash sees them."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/operations.md", "CONTRIBUTING.md")
_BLOCK = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """One command of a document, with all its lines."""

    document: str
    text: str


def documented_commands(documents: Sequence[str] = DOCUMENTS) -> list[Command]:
    """Return the commands of the documents, in reading order."""
    return [
        Command(document, text)
        for document in documents
        for block in _BLOCK.findall((ROOT / document).read_text())
        for text in _split(block)
    ]


def fenced(document: str, language: str, start: str = "") -> str:
    """Return the document's one block of this language that begins so."""
    text = (ROOT / document).read_text()
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if block.startswith(start))
    return str(block)


def _split(block: str) -> Iterator[str]:
    lines: list[str] = []
    for line in block.splitlines():
        lines.append(line)
        text = "\n".join(lines)
        if not line.strip():
            lines = []
        elif not line.endswith("\\") and _is_whole(text):
            yield text
            lines = []
    assert not lines, f"bash cannot read {lines}"


def _is_whole(text: str) -> bool:
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False)
    return done.returncode == 0 and b"here-document" not in done.stderr
