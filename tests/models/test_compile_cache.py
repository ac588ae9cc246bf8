"""Compiled networks on disk: bounded, shared, and never in the way of loading."""

import fcntl
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from models.compile_cache import CompileCache
from models.detector import Detector
from models.importer import add_model
from models.parameters import validate_parameters
from models.registry import Registry
from models.runtime import Precision, Runtime
from models.types import Detections, Image
from tests.models.networks import own_model, write_bright_spots

BLOBS = "*.blob"
SPOT = np.zeros((64, 64, 3), np.uint8)
SPOT[16:24, 16:24] = 255


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry with a network that is compiled at once, for what is about files."""
    folder = tmp_path_factory.mktemp("small")
    registry = Registry(folder / "own")
    add_model(registry, own_model(write_bright_spots(folder / "spots.xml"), width=64, height=64))
    return registry


def found(
    registry: Registry,
    frame: Image,
    cache: CompileCache | None,
    precision: Precision = "auto",
    ref: str = "detect",
) -> Detections:
    manifest = registry.resolve(ref)
    detector = Detector(Runtime("CPU", precision, cache=cache), manifest)
    return detector.detect(frame, validate_parameters(manifest, {}))


def spots(small: Registry, cache: CompileCache | None) -> Detections:
    return found(small, SPOT, cache, ref="mine")


def same(one: Detections, other: Detections) -> bool:
    return (
        len(one.scores) > 0
        and np.array_equal(one.boxes_px, other.boxes_px)
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.class_ids, other.class_ids)
    )


def test_the_second_time_a_network_comes_from_disk_with_the_same_results(
    networks: None, tmp_path: Path, registry: Registry, street_frames: list[Image]
) -> None:
    cache = CompileCache(tmp_path / "deep" / "cache")
    frame = street_frames[0]
    plain = found(registry, frame, None)
    assert same(found(registry, frame, cache), plain)
    blobs = {path.name: path.stat().st_mtime_ns for path in cache.directory.glob(BLOBS)}
    assert blobs
    assert cache.directory.stat().st_mode & 0o077 == 0
    assert same(found(registry, frame, cache), plain)
    assert {p.name: p.stat().st_mtime_ns for p in cache.directory.glob(BLOBS)} == blobs


def test_precisions_are_not_confused(
    networks: None, tmp_path: Path, registry: Registry, street_frames: list[Image]
) -> None:
    cache = CompileCache(tmp_path)
    precisions = Runtime("CPU").precisions()
    first = {one: found(registry, street_frames[0], cache, one) for one in precisions}
    for one, other in combinations(precisions, 2):
        are_both_8_bit = one.startswith("i8") and other.startswith("i8")
        assert same(first[one], first[other]) == are_both_8_bit, (one, other)
    for precision in precisions:
        assert same(found(registry, street_frames[0], cache, precision), first[precision])


@pytest.mark.parametrize("damage", ["empty", "half", "noise", "directory"])
def test_a_damaged_file_is_not_in_the_way(tmp_path: Path, small: Registry, damage: str) -> None:
    cache = CompileCache(tmp_path)
    plain = spots(small, cache)
    for path in tmp_path.glob(BLOBS):
        data = path.read_bytes()
        path.unlink()
        if damage == "directory":
            path.mkdir()
        else:
            noise = np.random.default_rng(1).bytes(len(data))
            path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "noise": noise}[damage])
    assert same(spots(small, cache), plain)


@pytest.mark.parametrize("place", ["file", "missing"])
def test_without_a_usable_directory_networks_are_compiled_without_it(
    tmp_path: Path,
    small: Registry,
    place: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("no directory")
    path = tmp_path / "file" if place == "file" else Path("/proc/none/of/it")
    plain = spots(small, None)
    assert same(spots(small, CompileCache(path)), plain)
    assert "a network is compiled without the cache" in capsys.readouterr().out


def test_files_that_were_unused_for_longest_are_deleted(tmp_path: Path, small: Registry) -> None:
    spots(small, CompileCache(tmp_path))
    size = sum(path.stat().st_size for path in tmp_path.glob(BLOBS))
    for path in tmp_path.glob(BLOBS):
        path.unlink()
    for age in (1, 3, 2):
        old = tmp_path / f"{age}.blob"
        old.write_bytes(b"x" * size)
        os.utime(old, (1e9 - age, 1e9 - age))
    kept = tmp_path / "notes.txt"
    kept.write_text("not ours")
    spots(small, CompileCache(tmp_path, max_bytes=5 * size // 2))
    names = {path.name for path in tmp_path.glob(BLOBS)}
    assert "1.blob" in names
    assert not names & {"2.blob", "3.blob"}
    assert sum(path.stat().st_size for path in tmp_path.glob(BLOBS)) <= 5 * size // 2
    assert kept.exists()


def test_a_process_that_holds_the_cache_stops_no_other(tmp_path: Path, small: Registry) -> None:
    with (tmp_path / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache = CompileCache(tmp_path, wait_s=0.2)
        assert len(spots(small, cache).scores)
        assert list(tmp_path.glob(BLOBS)) == []
    spots(small, cache)
    assert list(tmp_path.glob(BLOBS))


_LOADS = """
import sys
from itertools import combinations
from pathlib import Path
from models.compile_cache import CompileCache
from models.detector import Detector
from models.registry import Registry
from models.runtime import Precision, Runtime
Detector(Runtime("CPU", cache=CompileCache(Path(sys.argv[1]))), Registry().resolve("detect")).warm()
"""


def test_processes_share_it_at_once(
    processes: None, tmp_path: Path, registry: Registry, street_frames: list[Image]
) -> None:
    command = [sys.executable, "-c", _LOADS, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    for process in running:
        said, _ = process.communicate(timeout=120)
        assert (process.returncode, b"without the cache" in said) == (0, False)
    plain = found(registry, street_frames[0], None)
    assert same(found(registry, street_frames[0], CompileCache(tmp_path)), plain)


def test_clearing_deletes_what_may_be_damaged(tmp_path: Path, small: Registry) -> None:
    cache = CompileCache(tmp_path)
    spots(small, cache)
    assert list(tmp_path.glob(BLOBS))
    cache.clear()
    assert list(tmp_path.glob(BLOBS)) == []
    CompileCache(tmp_path / "none").clear()
