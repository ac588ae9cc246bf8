"""Awkward videos at once against the same ones alone: joined, cut, retimed, edited, reordered.

    python -m benchmarks.awkward [--copies N] [--kills K]

Each of some thirty files is processed alone first; then all of them at once, two copies of each at
once and so on up to N, and N copies again with the worker killed K times while they run. Every
stream is compared with that of the file alone, but for ids and the wall clock.
Targets: 0 differences; a task among N copies takes as long as one among the first (<= 1.1).
"""

import argparse
import os
import signal
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.stack import DETECT, Stack, running_stack
from tests.field.files import FILES
from tests.workers import chunks_of, timeless

_KILL_EVERY_S = 6.0


def made(folder: Path) -> list[Path]:
    paths = []
    for name, make in FILES.items():
        path = folder / name
        path.write_bytes(make(folder))
        paths.append(path)
    return paths


def chunks(stack: Stack, task: str) -> list[dict[str, Any]]:
    """Return the task's chunks without ids and times of the wall clock."""
    answer = stack.http.get(f"/v1/video/tasks/{task}/stream").raise_for_status()
    return timeless(chunks_of(answer.content))


def at_once(
    stack: Stack, paths: list[Path], alone: dict[Path, list[dict[str, Any]]], n_kills: int = 0
) -> tuple[float, int]:
    """Return (seconds until the last task has ended, number of streams that differ)."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(len(paths)) as clients:
        tasks = [stack.submit(path, DETECT) for path in paths]
        followed = [clients.submit(chunks, stack, task) for task in tasks]
        for _ in range(n_kills):
            _kill_worker(stack, followed)
        found = [one.result() for one in followed]
    took_s = time.perf_counter() - begun
    wrong = [path.name for path, one in zip(paths, found, strict=True) if one != alone[path]]
    if wrong:
        print(f"differ from alone: {', '.join(sorted(wrong))}", flush=True)
    return took_s, len(wrong)


def _kill_worker(stack: Stack, followed: "list[Future[Any]]") -> None:
    time.sleep(_KILL_EVERY_S)
    if all(one.done() for one in followed):
        raise SystemExit("all tasks had ended before the worker was killed")
    for pid in stack.processes("streamproc worker"):
        os.kill(pid, signal.SIGKILL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--copies", type=int, default=3)
    parser.add_argument("--kills", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = made(folder)
        with running_stack(folder / "data", folder) as stack:
            stack.follow(stack.submit(paths[0], DETECT))  # what is loaded once is loaded
            alone = {path: chunks(stack, stack.submit(path, DETECT)) for path in paths}
            n_frames = sum(len(found) - 1 for found in alone.values())
            print(f"{len(paths)} kinds of file alone: {n_frames} frames", flush=True)
            each_s, n_wrong = [], 0
            for copies in range(1, args.copies + 1):
                took_s, wrong = at_once(stack, paths * copies, alone)
                each_s.append(took_s / len(paths) / copies)
                n_wrong += wrong
                print(f"{copies * len(paths)} at once: {took_s:.1f} s, {wrong} differ", flush=True)
            if args.kills:
                took_s, wrong = at_once(stack, paths * args.copies, alone, args.kills)
                n_wrong += wrong
                print(f"again, worker killed {args.kills} x: {took_s:.1f} s, {wrong} differ")
    print(f"streams that differ: {n_wrong} (target 0)")
    print(f"seconds per task, {args.copies} copies / 1: {each_s[-1] / each_s[0]:.2f} (target 1.10)")
    return int(n_wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
