"""CPU time per frame by process: `python -m benchmarks.frame_cost [CLIP] [--rounds N]`.

One client follows a task (detect, every frame) on a warm embedded stack from POST to `[DONE]`. The
CPU time, user and system, of every process below `framewire up` is read before and after (psutil);
a child that ended in between counts for its parent. The network's own CPU time is measured in this
process, alone: the same network, all requests at work. What is left of the worker's is its Python.
Prints milliseconds of CPU time per frame, medians of the rounds.
Target: <= 1.8 ms outside the networks on vtest.avi.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.clip import MIN_FRAMES, long_clip
from benchmarks.report import require_clip
from benchmarks.stack import CLIP, DETECT, Stack, running_stack
from benchmarks.throughput import network_alone

TARGET_MS = 1.8
SETTLE_S = 3.0
"""The archive role stores the last segment after `[DONE]`."""
NETWORK_S = 4


def role(process: psutil.Process) -> str:
    """Name a process of the stack by its command line."""
    words = " ".join(process.cmdline())
    for sign, name in (
        ("kafka.Kafka", "broker"),
        ("weed", "store"),
        ("sandbox.fork_server", "decoder"),
        ("streamproc worker", "worker"),
        ("streamproc archive", "archive and index"),
        ("-m api", "api"),
    ):
        if sign in words:
            return name
    return str(process.name())


def cpu_seconds(pid: int) -> dict[str, float]:
    """Return the CPU time so far of each role below a process, and of the process itself."""
    parent = psutil.Process(pid)
    seconds: dict[str, float] = defaultdict(float)
    for process in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            name = "up" if process is parent else role(process)
            seconds[name] += times.user + times.system + times.children_user + times.children_system
    return seconds


def costs_of_task(stack: Stack, clip: Path) -> dict[str, float]:
    """Return milliseconds of CPU time per frame by role over one task."""
    before = cpu_seconds(stack.pid)
    _, _, n_frames = stack.follow(stack.submit(clip, DETECT))
    time.sleep(SETTLE_S)
    after = cpu_seconds(stack.pid)
    return {name: 1000 * (after[name] - before.get(name, 0)) / n_frames for name in after}


def network_ms(clip: Path) -> float:
    """Return milliseconds of CPU time per inference of the network alone."""
    network_alone(clip, "auto", 1)
    begun = time.process_time()
    rate = network_alone(clip, "auto", NETWORK_S)
    return 1000 * (time.process_time() - begun) / (rate * NETWORK_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path, nargs="?", default=CLIP)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=MIN_FRAMES, help="a shorter clip is repeated")
    args = parser.parse_args()
    require_clip(args.clip)
    rounds: dict[str, list[float]] = defaultdict(list)
    network: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(
            Path(folder) / "data", args.clip.resolve().parent, Path(folder), workers=1
        ) as stack,
    ):
        clip = long_clip(args.clip, Path(folder), args.frames)
        stack.warm(clip)
        for _ in range(args.rounds):
            network.append(network_ms(clip))
            for name, cost in costs_of_task(stack, clip).items():
                rounds[name].append(cost)
    medians = {name: statistics.median(costs) for name, costs in rounds.items()}
    total, alone = sum(medians.values()), statistics.median(network)
    for name, cost in sorted(medians.items(), key=lambda item: -item[1]):
        print(f"{name:20} {cost:6.2f} ms/frame")
    print(f"{'all processes':20} {total:6.2f} ms/frame")
    print(f"{'the network alone':20} {alone:6.2f} ms/frame")
    print(f"{'outside the network':20} {total - alone:6.2f} ms/frame (target <= {TARGET_MS})")


if __name__ == "__main__":
    main()
