"""How long `framewire up` takes on a directory it has used, and `framewire --help`.

    python -m benchmarks.startup [--runs N]

Targets: ready within 12 s on the second start; help within 0.4 s (medians).
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.stack import running_stack


def start_s(data: Path) -> float:
    begun = time.perf_counter()
    with running_stack(data):
        return time.perf_counter() - begun


def help_s() -> float:
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "console", "--help"], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        first = start_s(data)
        later = [start_s(data) for _ in range(args.runs)]
    helps = [help_s() for _ in range(5)]
    print(f"framewire up, first start on an empty directory: {first:.1f} s")
    print(f"framewire up, later starts: median {statistics.median(later):.1f} s (target <= 12)")
    print(f"framewire --help: median {statistics.median(helps):.2f} s (target <= 0.4)")


if __name__ == "__main__":
    main()
