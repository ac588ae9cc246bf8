"""From a worker's death to its task's next byte.

    python -m benchmarks.resume [--kills N] [--timeouts 6 3]

A stack with two workers works on a long task; the one that writes is killed with SIGKILL, and the
clock runs until the client has the next byte. For each session timeout a stack of its own, since
that is what decides it: prints the median and the longest time. Target: median <= 10 s.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from benchmarks.report import require_clip
from benchmarks.stack import CLIP, DETECT, Stack, running_stack
from streamproc.contract import env
from tests.data.clips import looped_clip

N_WORKERS = 2
_QUIET_S = 1.0


def worker_at_work(stack: Stack) -> psutil.Process:
    """Return the worker that has used the processor most in the last second."""
    workers = [psutil.Process(pid) for pid in stack.processes("streamproc worker")]
    before = [sum(worker.cpu_times()[:2]) for worker in workers]
    time.sleep(_QUIET_S)
    used = [sum(worker.cpu_times()[:2]) - was for worker, was in zip(workers, before, strict=True)]
    return workers[used.index(max(used))]


def resume_times(stack: Stack, clip: Path, n_kills: int) -> Iterator[float]:
    """Yield the seconds to the next byte after each kill, a task for each."""
    for _ in range(n_kills):
        _wait_for_workers(stack)
        task = stack.submit(clip, DETECT)
        with stack.http.stream("GET", f"/v1/video/tasks/{task}/stream") as answer:
            pieces = answer.iter_raw()
            for _ in range(50):
                next(pieces)
            worker_at_work(stack).kill()
            killed_s = time.perf_counter()
            yield _next_byte_s(pieces, killed_s) - killed_s
        stack.http.post(f"/v1/video/tasks/{task}/cancel").raise_for_status()


def _next_byte_s(pieces: Iterator[bytes], killed_s: float) -> float:
    """Return when the first byte came that was written after the kill.

    What was on its way comes in a moment; the worker's successor needs longer than that.
    """
    while True:
        next(pieces)
        at_s = time.perf_counter()
        if at_s - killed_s > _QUIET_S:
            return at_s


def _wait_for_workers(stack: Stack) -> None:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        workers = []
        with suppress(httpx.HTTPError):
            workers = stack.http.get("/v1/system").json()["workers"]
        pids = stack.processes("streamproc worker")
        if len(pids) == N_WORKERS and {one["pid"] for one in workers} >= set(pids):
            return
        time.sleep(0.5)
    raise SystemExit("the workers are not there")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--timeouts", type=float, nargs="+", default=[6.0, 3.0])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        require_clip(CLIP)
        clip = looped_clip(Path(folder) / "long.mp4", 50, CLIP)
        for timeout_s in args.timeouts:
            data = Path(folder) / f"data-{timeout_s:g}"
            settings = {env.SESSION_TIMEOUT_S: f"{timeout_s:g}"}
            with running_stack(
                data, clip.parent, workers=N_WORKERS, lent=None, **settings
            ) as stack:
                times = list(resume_times(stack, clip, args.kills))
            print(
                f"session timeout {timeout_s:g} s: median {statistics.median(times):.1f} s, "
                f"longest {max(times):.1f} s of {len(times)} (target: median <= 10 s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
