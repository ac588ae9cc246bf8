"""The wheel has one name, so it shares an environment with any other distribution."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "console", "models", "streamproc")


@pytest.fixture(scope="module")
def wheel() -> dict[str, Path]:
    """Return the files that the wheel has, by their paths in it."""
    files = WheelBuilder(str(ROOT)).recurse_included_files()
    return {file.distribution_path: Path(file.path) for file in files}


def test_all_is_below_one_name(wheel: dict[str, Path]) -> None:
    assert {path.partition("/")[0] for path in wheel} == {"framewire"}


def test_the_packages_are_there_whole(wheel: dict[str, Path]) -> None:
    for package in PACKAGES:
        folder = ROOT / package
        there = {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
        assert {wheel[f"framewire/{path.relative_to(ROOT)}"] for path in there} == there


def test_an_index_shows_a_text_that_refers_to_no_file_of_the_repository() -> None:
    text = WheelBuilder(str(ROOT)).metadata.core.readme
    assert text.startswith("# Framewire")
    assert not re.findall(r"\]\((?!https://)", text)
    assert set(re.findall(r"framewire\[([\w,]+)\]", text)) == {"embedded"}


@pytest.mark.usefixtures("processes")
def test_it_runs_beside_distributions_with_packages_of_the_same_names(
    wheel: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "framewire").mkdir()
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(wheel[f"framewire/{name}"], tmp_path / "framewire")
    for package in PACKAGES:
        (tmp_path / "framewire" / package).symlink_to(ROOT / package)
        (tmp_path / package).mkdir()
        other = f"raise SystemExit('another distribution: {package}')"
        (tmp_path / package / "__init__.py").write_text(other)
    (tmp_path / "nothing").mkdir()
    for command, said in {
        "framewire": "Usage: framewire",
        "framewire.streamproc": "usage: python -m streamproc",
        "models": "another distribution: models",
    }.items():
        done = subprocess.run(
            [sys.executable, "-P", "-m", command],
            cwd=tmp_path / "nothing",
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert said in done.stdout + done.stderr
