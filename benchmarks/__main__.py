"""Run every benchmark that needs no data of its own: `python -m benchmarks [--short] [CLIP]`.

`--short` runs each once at a small size: it shows that they run, its figures mean little.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.stack import CLIP

SIGNS = Path(__file__).parents[1] / "tests" / "data" / "text_signs.mp4"


def runs(clip: str, *, short: bool) -> Iterator[tuple[str, ...]]:
    """Yield each benchmark's module and arguments."""
    yield "startup", *(["--runs", "1"] if short else [])
    yield "throughput", clip, *(["--rounds", "1"] if short else [])
    yield "concurrency", clip, *(["--rounds", "1"] if short else [])
    yield "replay", *(["20"] if short else [])
    yield "fanout", *(["100"] if short else [])
    yield "resume", *(["--kills", "1", "--timeouts", "3"] if short else [])
    yield "ocr", str(SIGNS)
    if not short:
        yield ("latency",)
        yield ("memory",)
        yield ("console_burst",)
    yield "hostile", *(["--short"] if short else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", nargs="?", type=Path, default=CLIP)
    parser.add_argument("--short", action="store_true")
    args = parser.parse_args()
    for name, *arguments in runs(str(args.clip), short=args.short):
        print(f"\n$ python -m benchmarks.{name} {' '.join(arguments)}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=True)


if __name__ == "__main__":
    main()
