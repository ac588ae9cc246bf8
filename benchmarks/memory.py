"""Does a worker keep memory? Twenty tasks in a row, its RSS after each.

    python -m benchmarks.memory [CLIP] [--tasks N]

Target: the RSS after the last task is within 10 % of the RSS after the second.
"""

import argparse
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.report import require_clip
from benchmarks.stack import CLIP, DETECT, running_stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path, nargs="?", default=CLIP)
    parser.add_argument("--tasks", type=int, default=20)
    args = parser.parse_args()
    require_clip(args.clip)
    steps = [*DETECT, {"model": "feature"}]
    rss = []
    with (
        tempfile.TemporaryDirectory() as data,
        running_stack(Path(data), args.clip.resolve().parent) as stack,
    ):
        (pid,) = stack.processes("streamproc worker")
        worker = psutil.Process(pid)
        for number in range(args.tasks):
            stack.follow(stack.submit(args.clip, steps))
            time.sleep(1.0)
            rss.append(worker.memory_info().rss / 1e6)
            print(f"after task {number + 1}: {rss[-1]:.0f} MB", flush=True)
    print(f"last / second: {rss[-1] / rss[1]:.3f} (target 0.90 .. 1.10)")


if __name__ == "__main__":
    main()
