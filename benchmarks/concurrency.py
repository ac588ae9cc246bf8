"""Four tasks at once against the same four one after the other, and when their streams start.

    python -m benchmarks.concurrency CLIP [--rounds N] [--frames N]

A clip of fewer frames than `--frames` (800) is repeated until it has as many, so that starting
a task does not count.
Targets: at once <= 1.1 x one after the other; each client's first chunk within 3 s.
"""

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.clip import MIN_FRAMES, long_clip
from benchmarks.report import require_clip
from benchmarks.stack import DETECT, Stack, add_stack_option, running_stack

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
    parser.add_argument("--frames", type=int, default=MIN_FRAMES, help="a shorter clip is repeated")
    add_stack_option(parser)
    args = parser.parse_args()
    require_clip(args.clip)
    ratios, starts = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(
            Path(folder) / "data", args.clip.resolve().parent, Path(folder), lent=args.stack
        ) as stack,
    ):
        clip = long_clip(args.clip, Path(folder), args.frames)
        stack.warm(clip)
        for number in range(args.rounds):
            serial_s = one_after_the_other(stack, clip)
            together_s, start_s = at_once(stack, clip)
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
