"""The command line and the console run with what `pip install framewire` brings, and no more."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.console.tui.recorded_api import KEY, Script, recorded_api

ROOT = Path(__file__).parents[2]
POSIX = ("fcntl", "grp", "pwd", "resource")
"""Modules that Windows does not have, but for `termios`, which Textual's driver for Linux needs."""

PRELUDE = """
import runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def project() -> dict[str, list[str]]:
    """Return the requirements of the package and of its extras."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": table["dependencies"], **table["optional-dependencies"]}


def closure(requirements: Iterable[str]) -> set[str]:
    """Return the names of all distributions that these requirements bring, as installed here."""
    found: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(text) for text in requirements]
    while todo:
        requirement = todo.pop()
        one = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if one in found:
            continue
        try:
            requires = distribution(one[0]).requires or []
        except PackageNotFoundError:  # of another platform
            continue
        found.add(one)
        extras = {"", *requirement.extras}
        for text in requires:
            marker = Requirement(text).marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(Requirement(text))
    return {name for name, _ in found}


def absent_modules() -> set[str]:
    """Return the top-level modules that a client does not have."""
    there = closure(project()[""])
    return {
        module
        for module, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & there
    }


def use_the_client(
    hidden: set[str], refusal: str, folder: Path
) -> "subprocess.CompletedProcess[str]":
    script = Script()
    with recorded_api(script) as url:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("FRAMEWIRE_")} | {
            "FRAMEWIRE_URL": url,
            "FRAMEWIRE_KEY": KEY,
            "FRAMEWIRE_DATA": str(folder / "none"),
            "PYTHONPATH": str(ROOT),
            "REFUSAL": refusal,
            "TASK": script.log_task,
        }
        return subprocess.run(
            [sys.executable, "-P", "-c", f"HIDDEN = {sorted(hidden)}\n{PRELUDE}",
             str(Path(__file__).with_name("client.py"))],
            env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip


def test_few_packages_are_required() -> None:
    names = {Requirement(text).name for text in project()[""]}
    assert len(names) <= 11
    engines = {"av", "openvino", "opencv-python-headless", "faust-streaming", "litestar", "boto3"}
    assert not closure(project()[""]) & engines
    assert {Requirement(text).name for text in project()["server"]} >= engines
    assert len(closure(project()[""])) < 40


def test_the_extras_of_the_server_bring_the_server() -> None:
    for extra in ("embedded", "quantize"):
        assert "framewire[server]" in project()[extra]


def test_what_is_hidden_is_what_a_client_lacks() -> None:
    hidden = absent_modules()
    assert {
        "av",
        "boto3",
        "chdb",
        "confluent_kafka",
        "cv2",
        "faust",
        "litestar",
        "openvino",
    } <= hidden
    assert not {"click", "httpx", "msgspec", "numpy", "PIL", "rich", "textual", "aiohttp"} & hidden


@pytest.mark.usefixtures("processes")
def test_the_client_runs_without_the_servers_packages(tmp_path: Path) -> None:
    done = use_the_client(absent_modules(), "pip install 'framewire[", tmp_path)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "done: console"


@pytest.mark.usefixtures("processes")
def test_the_client_runs_without_what_only_posix_has(tmp_path: Path) -> None:
    done = use_the_client({*absent_modules(), *POSIX}, "", tmp_path)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "done: console"


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("missing", ["httpx", "textual"])
def test_a_module_that_is_needed_is_missed(missing: str, tmp_path: Path) -> None:
    """The tests above can fail."""
    done = use_the_client({missing, "openvino"}, "", tmp_path)
    assert done.returncode != 0
    assert f"No module named '{missing}'" in done.stderr
