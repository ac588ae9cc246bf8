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
        "console/cli/progress.py",
        "import confluent_kafka",
    ),
    (
        "api knows of streamproc its contract and clients, of models what can be known without "
        "loading one"
    ): (
        "api/timestamps.py",
        "import streamproc.settings",
    ),
    "contracts are import-light: standard library, msgspec, crc32c, cryptography": (
        "streamproc/contract/topics.py",
        "import numpy",
    ),
    (
        "within streamproc: worker > providers, preview > source, sinks, stages, embedded_kafka "
        "> clients > contract"
    ): (
        "streamproc/clients/kafka.py",
        "import streamproc.sinks.errors",
    ),
    "within streamproc.source: frame_source, live_source > sandbox > live > fetch, video > types": (
        "streamproc/source/fetch/opener.py",
        "import streamproc.source.video.container",
    ),
    "within streamproc.sinks: maintenance > index > archive > what both consumers share": (
        "streamproc/sinks/archive/task.py",
        "import streamproc.sinks.index.task",
    ),
    "within api: routes > services > tasks > log > store > http > kafka > contract": (
        "api/store/object_store.py",
        "import api.log.segments",
    ),
    "within console: cli > stack, tui > comparison > client": (
        "console/client/endpoint.py",
        "import console.stack.data_directory",
    ),
    "within console.tui: app > screens > log_follower > widgets > view_models > drawing": (
        "console/tui/drawing/styled_text.py",
        "import console.tui.view_models.task_list",
    ),
    "state machines know no engine: records in, actions out": (
        "api/log/tail_cache.py",
        "import boto3",
    ),
    "state machines that name an engine's values import no engine themselves": (
        "streamproc/sinks/archive/partition.py",
        "import confluent_kafka",
    ),
    "what is known of a model is known without its engine": (
        "models/class_names.py",
        "import cv2",
    ),
    (
        "only the runtimes, what changes graphs, what recognises exports, and the converter of the "
        "weights know OpenVINO"
    ): (
        "models/detector.py",
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
        ("api.contract.tasks", {"litestar", "numpy", "boto3"}),
        ("api.contract.system", {"litestar", "numpy", "boto3"}),
        ("api.app", {"openvino", "cv2", "av", "faust", "chdb"}),
        ("streamproc.worker.task_state", {"confluent_kafka", "faust", "openvino"}),
        ("console.cli.main", {"httpx", "rich", "textual", "boto3", "msgspec"}),
    ],
)
def test_a_module_loads_no_engine_at_run_time(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert module in done.stdout.split()
    assert not absent & set(done.stdout.split())
