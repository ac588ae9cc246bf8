"""A socket that a test leaves open fails a test of the same file, and no other one."""

from pathlib import Path

from tests.plugins.inner_run import run_pytest

_LEAVES_OPEN = """
import gc, socket

def test_leaves_a_socket_open():
    gc.disable()
    ring = [socket.socket()]
    ring.append(ring)

def test_of_the_same_file():
    gc.enable()
"""

_COLLECTS = """
import gc

def test_collects():
    gc.collect()
"""


def test_a_socket_left_open_is_said_in_its_own_file(processes: None, tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(_LEAVES_OPEN)
    (tmp_path / "test_b.py").write_text(_COLLECTS)
    said = run_pytest(tmp_path, "leaks")
    assert "3 passed, 1 error" in said, said
    assert "ERROR at teardown of test_of_the_same_file" in said
    assert "left open by a test of this file: unclosed <socket" in said
