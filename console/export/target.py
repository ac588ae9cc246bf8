"""Where an export of many tasks goes: one file with all tracks, or a file for each task. Pure."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from console.export.encoding import FORMATS

_WANTED = (
    "give a file that ends in .json or .csv, or a directory that ends in / (a JSON file for each"
    " task; /*.csv for CSV)"
)


class ExportTarget(NamedTuple):
    """`path` is a file, or the directory of a file for each task; `suffix` is the files' format."""

    path: Path
    suffix: str
    is_directory: bool

    def files(self, task_ids: Sequence[str]) -> list[Path]:
        """Return the files that are written."""
        if not self.is_directory:
            return [self.path]
        return [self.path / f"{task_id}{self.suffix}" for task_id in task_ids]


def read_target(text: str) -> ExportTarget:
    """Read what a user typed; raises ValueError with a message for the user."""
    typed = text.strip()
    if typed.endswith("/") and typed.strip("/"):
        return ExportTarget(Path(typed), ".json", is_directory=True)
    path = Path(typed)
    if path.suffix not in FORMATS:
        raise ValueError(_WANTED)
    if path.stem == "*":
        return ExportTarget(path.parent, path.suffix, is_directory=True)
    return ExportTarget(path, path.suffix, is_directory=False)
