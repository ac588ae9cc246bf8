"""A run of pytest inside a test, with one of this folder's plugins and the suite's settings."""

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, plugin: str, *arguments: str) -> str:
    """Run the tests of `folder` in file order, and return what was printed."""
    plugins = ("-p", f"tests.plugins.{plugin}", "-p", "no:randomly")
    config = ("-c", str(_ROOT / "pyproject.toml"), f"--rootdir={folder}")
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *config, *arguments, str(folder)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return found.stdout + found.stderr
