"""The libraries that are driven: what `libraries.toml` says, and the programs that use them."""

import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.clients.jars import class_path
from tests.clients.trial import Program

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NPM = HERE / "npm"
PYTHON = HERE / "python"
GO = HERE / "go"
JAVA = HERE / "java"
CACHE = ROOT / ".clients_cache"
"""Where the environment of the Python libraries, the Go program and the jars are."""

PROGRAMS = {"npm": "npm", "pypi": "python3", "go": "go", "maven": "javac"}


class Library(NamedTuple):
    """A library, and what holds for it; see the head of `libraries.toml`."""

    name: str
    kind: str
    package: str
    label: str
    driver: str
    refused: str
    silence: str
    end: str
    inexact: Mapping[str, str]

    @property
    def program(self) -> Program:
        """The program that follows a stream with it."""
        if self.kind == "npm":
            return Program(["node", str(NPM / "run.mjs"), self.driver])
        if self.kind == "go":
            return Program([str(_go_program()), self.driver])
        if self.kind == "maven":
            path = f"{CACHE / 'java' / 'classes'}:{class_path(CACHE / 'java')}"
            return Program(["java", "-XX:TieredStopAtLevel=1", "-cp", path, "Clients", self.driver])
        return Program([str(_venv_python()), str(PYTHON / "run.py"), self.driver])


def libraries() -> list[Library]:
    rows = tomllib.loads((HERE / "libraries.toml").read_text())
    return [
        Library(
            name,
            row["kind"],
            row.get("package", name),
            row.get("label", row.get("package", name)),
            row.get("driver", name),
            row["refused"],
            row["silence"],
            row["end"],
            row.get("inexact", {}),
        )
        for name, row in rows.items()
    ]


def missing_program(library: Library) -> str | None:
    """Return the program without which the library cannot be installed, if it is not here."""
    program = PROGRAMS[library.kind]
    return None if shutil.which(program) else program


def install(kinds: set[str]) -> None:
    """Install what the locks pin, unless it is there: it takes a minute the first time."""
    if "npm" in kinds:
        _install_npm()
    if "pypi" in kinds:
        _install_python()
    if "go" in kinds:
        _run("go", "build", "-o", str(_go_program()), ".", folder=GO)
    if "maven" in kinds:
        classes, sources = CACHE / "java" / "classes", map(str, JAVA.glob("*.java"))
        _run("javac", "-d", str(classes), "-cp", class_path(CACHE / "java"), *sources)


def _install_npm() -> None:
    done, lock = NPM / "node_modules" / ".package-lock.json", NPM / "package-lock.json"
    if not _is_newer(done, lock):
        _run("npm", "ci", "--no-audit", "--no-fund", "--silent", folder=NPM)
        done.touch()


def _install_python() -> None:
    done, lock = CACHE / "venv" / ".installed", PYTHON / "requirements.lock"
    if not _is_newer(done, lock):
        if not _venv_python().exists():
            venv.create(CACHE / "venv")
        uv = Path(sys.executable).with_name("uv")
        python = f"--python={_venv_python()}"
        _run(str(uv), "pip", "sync", "--quiet", python, "--require-hashes", str(lock))
        done.touch()


def _go_program() -> Path:
    return CACHE / "go" / "clients"


def _venv_python() -> Path:
    return CACHE / "venv" / "bin" / "python"


def _is_newer(done: Path, lock: Path) -> bool:
    return done.exists() and done.stat().st_mtime >= lock.stat().st_mtime


def _run(*command: str, folder: Path = ROOT) -> None:
    subprocess.run(command, cwd=folder, check=True)
