"""Copies of the local stack's logs for a pager: their ends, without control characters."""

import os
from pathlib import Path

from console.printable import printable

MAX_BYTES = 1024 * 1024
"""Bytes of each log, from its end."""


def copy_logs(folder: Path, into: Path, first: str = "") -> list[Path]:
    """Copy the end of each log in `folder`, as whole lines; return the files, in order.

    The log of the role `first` is the first one, if there is such a role. Empty logs are left out.
    Raises `OSError`.
    """
    copies: list[Path] = []
    for path in sorted(folder.glob("*.log"), key=lambda one: (one.stem != first, one.name)):
        text = _end_of(path)
        if text:
            copy = into / path.name
            copy.write_text(printable(text, "\n\t"), "utf-8")
            copies.append(copy)
    return copies


def _end_of(path: Path) -> str:
    with path.open("rb") as file:
        skipped = max(0, os.fstat(file.fileno()).st_size - MAX_BYTES)
        file.seek(skipped)
        data = file.read(MAX_BYTES)
    if skipped:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace")
