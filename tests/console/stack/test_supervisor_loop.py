import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.console.stack.waiting import until

ROOT = Path(__file__).resolve().parents[3]


class Family:
    """The program `family.py`, its events and all of its processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.console.stack.family", str(directory)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.told = self.process.stdout

    def event(self, key: str) -> dict[str, Any]:
        for line in self.told:
            event: dict[str, Any] = json.loads(line)
            if key in event:
                return event
        raise AssertionError(f"the program ended without telling {key!r}")

    def pids_of(self, name: str) -> list[int]:
        """Return the pids of a child and its grandchild."""
        return [int(pid) for pid in (self.directory / f"{name}.ready").read_text().split()]


@pytest.fixture
def family(processes: None, tmp_path: Path) -> Iterator[Family]:
    family = Family(tmp_path)
    yield family
    family.process.kill()
    family.process.wait()
    family.told.close()


def is_running(pid: int) -> bool:
    try:
        status: str = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return False
    return bool(status != psutil.STATUS_ZOMBIE)


def gone(pids: Iterable[int]) -> Callable[[], bool]:
    return lambda: not any(is_running(pid) for pid in pids)


def test_a_killed_child_comes_back_and_its_last_lines_are_told(family: Family) -> None:
    first = family.event("up")["up"]["first"]
    grandchild = family.pids_of("first")[1]
    killed_s = time.monotonic()
    os.kill(first, signal.SIGKILL)
    died = family.event("died")
    assert (died["died"], died["code"], died["restart_s"]) == ("first", -9, 0.5)
    assert died["log"] == [f"last words of {first}"]
    ready = family.event("ready")
    assert ready["ready"] == "first"
    # It is counted from its restart, which was after the kill; not from the stack's start.
    assert ready["after_s"] <= time.monotonic() - killed_s
    assert family.pids_of("first")[0] != first
    until(gone([grandchild]), "the killed child's own child ends with it")


def test_sigterm_stops_all_in_order_and_leaves_nothing(family: Family) -> None:
    family.event("up")
    pids = family.pids_of("first") + family.pids_of("second")
    family.process.terminate()
    assert family.event("stopping")
    assert family.event("ended") == {"ended": None}
    assert family.process.wait(10) == 0
    until(gone(pids), "children and grandchildren end")


def test_kill_9_of_the_supervisor_leaves_no_child(family: Family) -> None:
    up = family.event("up")["up"]
    grandchildren = [family.pids_of(name)[1] for name in up]
    family.process.kill()
    family.process.wait()
    try:
        until(gone(up.values()), "the kernel ends the children")
    finally:
        for pid in grandchildren:
            os.kill(pid, signal.SIGKILL)


def test_a_ctrl_c_in_the_terminal_does_not_reach_the_children(family: Family) -> None:
    up = family.event("up")["up"]
    groups = {os.getpgid(pid) for pid in up.values()}
    assert groups == set(up.values())
    assert os.getpgid(family.process.pid) not in groups
