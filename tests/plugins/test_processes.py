"""What a test does not ask for it does not get: no process, and no network that ships."""

import subprocess
import sys

import pytest

from models.manifest import Manifest
from models.registry import Registry


def detector() -> Manifest:
    return Registry().resolve("detect")


def test_a_network_that_ships_is_not_read_unasked() -> None:
    with pytest.raises(RuntimeError, match="must ask for `networks`"):
        detector().read_file("network")
    assert detector().read_file("network.weights")


def test_who_asks_for_networks_reads_them_and_is_marked(
    networks: None, request: pytest.FixtureRequest
) -> None:
    assert request.node.get_closest_marker("network")
    assert detector().read_file("network")


def test_a_process_is_not_started_unasked() -> None:
    with pytest.raises(RuntimeError, match="must ask for `processes`"):
        subprocess.run([sys.executable, "-c", ""], check=False)


def test_who_asks_for_processes_starts_them_and_is_marked(
    processes: None, request: pytest.FixtureRequest
) -> None:
    assert request.node.get_closest_marker("process")
    assert subprocess.run(["true"], check=False).returncode == 0
