"""Paths as a person would type them, and the clip that comes with the package."""

import os
import shlex
from pathlib import Path

CLIP = Path(__file__).resolve().parents[1] / "data" / "pedestrians.mp4"


def shown_path(path: Path) -> str:
    """Return the path for a shell, relative to the current directory if it is below it."""
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return shlex.quote(os.fspath(shown))
