"""What is driven is pinned, and what docs/clients.md says of it is what is checked."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.clients.faults import Fault
from tests.clients.libraries import GO, JAVA, NPM, PYTHON, ROOT, Library, libraries

DOCUMENT = (ROOT / "docs" / "clients.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in DOCUMENT.splitlines()
    if line.startswith("| `")
]


def versions() -> dict[tuple[str, str], str]:
    """Return the pinned version of every package, by kind and name."""
    npm = json.loads((NPM / "package-lock.json").read_text())["packages"]
    python = re.findall(
        r"^([\w-]+)==([\w.]+)", (PYTHON / "requirements.lock").read_text(), re.MULTILINE
    )
    go = re.findall(r"^\s*(?:require )?(\S+/\S+) v(\S+)", (GO / "go.mod").read_text(), re.MULTILINE)
    jars = tomllib.loads((JAVA / "jars.toml").read_text())["coordinates"]
    return {
        **{("maven", name): version for name, _, version in (jar.rpartition(":") for jar in jars)},
        **{("npm", path.removeprefix("node_modules/")): row["version"]
           for path, row in npm.items() if path},
        **{("pypi", name): version for name, version in python},
        **{("go", name): version for name, version in go},
    }  # fmt: skip


@pytest.mark.parametrize("library", libraries(), ids=lambda library: library.name)
def test_a_library_is_pinned_and_has_a_driver(library: Library) -> None:
    assert (library.kind, library.package) in versions()
    drivers = {
        "npm": NPM / "drivers" / f"{library.driver}.mjs",
        "pypi": PYTHON / "drivers" / f"{library.driver}.py",
        "go": GO / "main.go",
        "maven": JAVA / "Clients.java",
    }
    assert drivers[library.kind].is_file()
    if library.kind in {"go", "maven"}:
        assert f'"{library.driver}"' in drivers[library.kind].read_text()
    assert set(library.inexact) <= {fault.value for fault in Fault}


@pytest.mark.parametrize("library", libraries(), ids=lambda library: library.name)
def test_the_document_says_what_is_checked(library: Library) -> None:
    version = versions()[library.kind, library.package]
    rows = [row for row in ROWS if row[0] == f"`{library.label}` {version}"]
    assert len(rows) == 1, f"`{library.label}` {version}"
    _, cuts, refused, silence, end, _ = rows[0]
    assert cuts == ("loses events" if Fault.CUT.value in library.inexact else "exact")
    assert (refused, silence, end) == (library.refused, library.silence, library.end)


def test_the_document_has_no_other_library() -> None:
    assert len(ROWS) == len(libraries())


def test_locks_name_no_host() -> None:
    assert "://" not in (PYTHON / "requirements.lock").read_text()
    assert "://" not in (JAVA / "jars.toml").read_text()
    lock = (NPM / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert lock.count('"integrity"') == lock.count('"version"')


def test_nothing_of_a_library_is_in_the_locks_of_the_product() -> None:
    product = Path(ROOT / "requirements.lock").read_text()
    assert "sseclient" not in product
