"""Who may import whom: pyproject.toml's contracts hold, and each of them catches a violation."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "console", "models", "streamproc")

# One violation for each contract, by the contract's name.
PLANTS = {
    "imports point one way: console > api > streamproc > models": (
        "models/types.py",
        "import streamproc.errors",
    ),
    "console knows of the others only their contracts": (
        "console/errors.py",
        "import api.settings",
    ),
    "console speaks HTTP: no engine's client in it": (
        "console/progress.py",
        "import confluent_kafka",
    ),
    "api knows of streamproc its contract, of models what can be known without loading one": (
        "api/times.py",
        "import streamproc.settings",
    ),
    "contracts are import-light: standard library, msgspec, crc32c, cryptography": (
        "streamproc/contract/topics.py",
        "import numpy",
    ),
    "within streamproc: agents > providers > stages, source, sinks, broker > contract": (
        "streamproc/source/wire.py",
        "import streamproc.sinks.errors",
    ),
    "state machines know no engine: records in, actions out": (
        "api/log/hub.py",
        "import boto3",
    ),
    "state machines that name an engine's values import no engine themselves": (
        "streamproc/sinks/archive.py",
        "import confluent_kafka",
    ),
    "what is known of a model is known without its engine": (
        "models/vocabulary.py",
        "import cv2",
    ),
    (
        "only models.runtime, models.graph and models.rewrites, and the converter of the weights, "
        "know OpenVINO"
    ): (
        "models/detect.py",
        "import openvino",
    ),
}


def contracts() -> list[str]:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    return [contract["name"] for contract in tool["importlinter"]["contracts"]]


def lint(directory: Path) -> tuple[int, dict[str, str]]:
    """Return the linter's exit code and each contract's verdict for the tree in `directory`."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"],
        cwd=directory,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    text = " ".join(done.stdout.split())
    verdicts = {}
    for name in contracts():
        _, _, rest = text.partition(name)
        verdicts[name] = rest.split()[0] if rest else done.stdout + done.stderr
    return done.returncode, verdicts


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "weights", "data")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    return tmp_path


@pytest.mark.usefixtures("processes")
def test_the_tree_keeps_every_contract() -> None:
    assert lint(ROOT) == (0, dict.fromkeys(contracts(), "KEPT"))


@pytest.mark.usefixtures("processes")
def test_a_violation_of_each_contract_is_caught(copied_tree: Path) -> None:
    assert list(PLANTS) == contracts()
    for place, line in PLANTS.values():
        path = copied_tree / place
        path.write_text(f"{path.read_text()}\n{line}\n")
    assert lint(copied_tree) == (1, dict.fromkeys(contracts(), "BROKEN"))


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("streamproc.contract.records", {"numpy", "confluent_kafka", "boto3", "faust"}),
        ("api.contract.resources", {"litestar", "numpy", "boto3"}),
        ("api.app", {"openvino", "cv2", "av", "faust", "chdb"}),
        ("streamproc.agents.standing", {"confluent_kafka", "faust", "openvino"}),
        ("console.cli", {"httpx", "rich", "textual", "boto3", "msgspec"}),
    ],
)
def test_a_module_loads_no_engine_at_run_time(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert module in done.stdout.split()
    assert not absent & set(done.stdout.split())
