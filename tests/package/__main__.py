"""`make package`: build the wheel, install it into a new environment, and use its client there.

It fetches the client's dependencies from the package index, or from uv's cache.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.console.tui.recorded_api import KEY, Script, recorded_api

ROOT = Path(__file__).parents[2]
MAX_PACKAGES = 40
PACKAGES = ("api", "console", "models", "streamproc")
SERVERS = {"av", "boto3", "chdb-core", "faust-streaming", "litestar", "openvino", "scipy"}


def main() -> int:
    """Return the exit code: 0 if the client works with what its wheel brings."""
    uv = Path(sys.executable).with_name("uv")
    with tempfile.TemporaryDirectory(prefix="framewire-package-") as temporary:
        folder = Path(temporary)
        call(
            uv, "build", "--quiet", "--wheel", "--no-build-isolation",
            "--python", sys.executable, "--out-dir", folder / "dist", ROOT,
        )  # fmt: skip
        (wheel,) = (folder / "dist").glob("*.whl")
        print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB")
        venv.create(folder / "venv", symlinks=True)
        python = folder / "venv" / "bin" / "python"
        call(uv, "pip", "install", "--quiet", "--python", python, wheel)
        names = {
            line.split()[0] for line in told(uv, "pip", "list", "--python", python).splitlines()[2:]
        }
        size = sum(path.stat().st_size for path in (folder / "venv").rglob("*") if path.is_file())
        print(f"{len(names)} packages, {size / 2**20:.0f} MiB")
        if names & SERVERS or len(names) > MAX_PACKAGES:
            print(f"too much for a client: {', '.join(sorted(names))}")
            return 1
        (site_packages,) = (folder / "venv" / "lib").glob("python3*/site-packages")
        for package in PACKAGES:  # somebody else's
            (site_packages / package).mkdir()
            (site_packages / package / "__init__.py").write_text("raise SystemExit(__name__)")
        print(told(folder / "venv" / "bin" / "framewire", "--version").strip())
        return use(python, folder)


def use(python: Path, folder: Path) -> int:
    """Use the installed client on a recorded api, away from the repository."""
    script = Script()
    with recorded_api(script) as url:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "FRAMEWIRE_URL": url,
            "FRAMEWIRE_KEY": KEY,
            "FRAMEWIRE_DATA": str(folder / "none"),
            "REFUSAL": "pip install 'framewire[",
            "TASK": script.log_task,
        }
        client = Path(__file__).with_name("client.py")
        return subprocess.run(
            [python, "-P", "-c", f"import framewire, runpy; runpy.run_path({str(client)!r})"],
            cwd=folder,
            env=environ,
            check=False,
        ).returncode


def call(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


def told(*command: object) -> str:
    return subprocess.run(
        [str(word) for word in command], check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
