"""From the return of a killed broker to the moment when every reader of it works again.

    python -m benchmarks.broker_kill [--kills N]

A stack works on a long task whose stream a client follows. Apache Kafka is killed (SIGKILL), the
stack starts it again, and the clock runs from the moment when its port takes connections until:
the stream goes on (worker, API), a new task is taken (API), its first chunk comes (worker), its
results are there (index), and the archive commits. Target: 10 s for each.
"""

import argparse
import tempfile
import threading
import time
from collections import ChainMap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from typing import Any

import httpx
import psutil

from benchmarks.report import require_clip
from benchmarks.stack import CLIP, DETECT, Stack, running_stack
from streamproc.contract.topics import ARCHIVE_GROUP
from tests.data.clips import looped_clip

_TARGET_S = 10.0
_PATIENCE_S = 120.0


class Follower(threading.Thread):
    """Follows a task's stream, and notes when bytes came."""

    def __init__(self, stack: Stack, task: str) -> None:
        super().__init__(daemon=True)
        self._stack, self._task = stack, task
        self.last_s = 0.0
        self.start()

    def run(self) -> None:
        offset = 0
        while True:
            url = f"/v1/video/tasks/{self._task}/stream?offset={offset}"
            try:
                with httpx.stream(
                    "GET", self._stack.url + url, headers=self._stack.http.headers, timeout=30
                ) as answer:
                    for piece in answer.raise_for_status().iter_raw():
                        offset += len(piece)
                        self.last_s = time.perf_counter()
                    return
            except httpx.HTTPError:
                time.sleep(0.1)


def until(holds: Callable[[], object], what: str) -> float:
    """Return the time when it held."""
    deadline_s = time.perf_counter() + _PATIENCE_S
    while True:
        try:
            if holds():
                return time.perf_counter()
        except (httpx.HTTPError, OSError):
            pass
        if time.perf_counter() > deadline_s:
            raise SystemExit(f"not within {_PATIENCE_S:g} s: {what}")
        time.sleep(0.05)


def after_a_kill(stack: Stack, clip: Path, short: Path) -> dict[str, float]:
    """Kill the broker once; return the seconds from its return to each reader's."""
    task = stack.submit(clip, DETECT)
    follower = Follower(stack, task)
    until(lambda: follower.last_s, "the stream begins")
    (pid,) = stack.processes("kafka.Kafka")
    ports = _ports(stack)
    broker = psutil.Process(pid)
    broker.kill()
    psutil.wait_procs([broker], 10)
    back_s = until(lambda: _connects(ports), "the broker is back")
    new: list[str] = []

    def taken() -> bool:
        new.append(stack.submit(short, DETECT, max_frames=2))
        return True

    def indexed() -> bool:
        return stack.http.get(f"/v1/video/tasks/{new[0]}/results").is_success

    side_by_side: tuple[dict[str, Callable[[], object]], ...] = (
        {"the stream goes on": lambda: follower.last_s > back_s},
        {
            "a task is taken": taken,
            "its first chunk comes": lambda: _status(stack, new[0])["progress"]["processed_frames"],
            "it is over": lambda: _status(stack, new[0])["status"] == "succeeded",
            "it is indexed": indexed,
        },
        {"the archive commits": Commits(stack).go_on},
    )
    with ThreadPoolExecutor(len(side_by_side)) as threads:
        found = dict(ChainMap(*threads.map(_one_by_one, side_by_side)))
    stack.http.post(f"/v1/video/tasks/{task}/cancel").raise_for_status()
    return {what: at_s - back_s for what, at_s in found.items()}


def _one_by_one(steps: dict[str, Callable[[], object]]) -> dict[str, float]:
    return {what: until(holds, what) for what, holds in steps.items()}


def _status(stack: Stack, task: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.http.get(f"/v1/video/tasks/{task}").raise_for_status().json()
    return found


class Commits:
    """Whether the archive commits: its lag in some partition is less than it was.

    How far it is behind says nothing: a running task holds the commit at its slice's beginning.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._before: dict[int, int] = {}

    def go_on(self) -> bool:
        lag = self._stack.http.get("/v1/system").raise_for_status().json()["lag"]
        now = {at["partition"]: at["lag"] or 0 for at in lag if at["group"] == ARCHIVE_GROUP}
        before, self._before = self._before, now
        return any(n < before.get(partition, 0) for partition, n in now.items())


def _ports(stack: Stack) -> list[int]:
    (pid,) = stack.processes("kafka.Kafka")
    connections = psutil.Process(pid).net_connections("tcp")
    return sorted({c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN})


def _connects(ports: list[int]) -> bool:
    for port in ports:
        create_connection(("127.0.0.1", port), 1).close()
    return True


@contextmanager
def _clips() -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        yield looped_clip(Path(folder) / "long.mp4", 60, CLIP), Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=3)
    args = parser.parse_args()
    require_clip(CLIP)
    with (
        _clips() as (clip, folder),
        running_stack(folder / "data", folder, CLIP.parent, workers=1) as stack,
    ):
        stack.warm(clip)
        longest: dict[str, float] = {}
        for number in range(args.kills):
            found = after_a_kill(stack, clip, CLIP)
            said = ", ".join(f"{what} {seconds:.1f}" for what, seconds in found.items())
            print(f"kill {number + 1}, seconds: {said}", flush=True)
            longest = {what: max(s, longest.get(what, 0.0)) for what, s in found.items()}
    print(f"longest: {max(longest.values()):.1f} s (target <= {_TARGET_S:g} s)")


if __name__ == "__main__":
    main()
