"""Four tasks at once against the same four one after the other, and when their streams start.

    python -m benchmarks.concurrency CLIP [--rounds N]

Targets: at once <= 1.1 x one after the other; each client's first chunk within 3 s.
"""

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.stack import DETECT, Stack, running_stack

N_TASKS = 4


def one_after_the_other(stack: Stack, clip: Path) -> float:
    begun = time.perf_counter()
    for _ in range(N_TASKS):
        stack.follow(stack.submit(clip, DETECT))
    return time.perf_counter() - begun


def at_once(stack: Stack, clip: Path) -> tuple[float, float]:
    """Return (seconds for all, seconds until the last client saw its first chunk)."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(N_TASKS) as clients:
        followed = list(
            clients.map(lambda _: stack.follow(stack.submit(clip, DETECT)), range(N_TASKS))
        )
    return time.perf_counter() - begun, max(first for first, _, _ in followed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    ratios, starts = [], []
    with (
        tempfile.TemporaryDirectory() as data,
        running_stack(Path(data), args.clip.resolve().parent) as stack,
    ):
        stack.follow(stack.submit(args.clip, DETECT))
        for number in range(args.rounds):
            serial_s = one_after_the_other(stack, args.clip)
            together_s, start_s = at_once(stack, args.clip)
            ratios.append(together_s / serial_s)
            starts.append(start_s)
            print(
                f"round {number + 1}: one after the other {serial_s:.1f} s, at once "
                f"{together_s:.1f} s, last first chunk {start_s:.2f} s",
                flush=True,
            )
    print(f"at once / one after the other: {statistics.median(ratios):.2f} (target <= 1.10)")
    print(f"last client's first chunk: {max(starts):.2f} s (target <= 3 s)")


if __name__ == "__main__":
    main()
