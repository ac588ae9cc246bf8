"""Run every benchmark that needs no data of its own: `python -m benchmarks [--short] [CLIP]`.

`--short` runs most of them once at a small size, in about three minutes on two cores: it shows
that they run, its figures mean little. What the machine lacks is said and left out; what fails
does not stop the others. The last lines say what was measured and what was not. The exit code is
1 when a benchmark failed; something that could not be measured is no failure.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from benchmarks.clip import MIN_FRAMES, long_clip
from benchmarks.stack import CLIP, lent_stack
from benchmarks.suite import Suite

SIGNS = Path(__file__).parents[1] / "tests" / "data" / "text_signs.mp4"
OWN_DATA = "needs a clip and its truth: python benchmarks/tracking.py CLIP GT"
LONG_ALONE = ("awkward", "latency", "memory", "console_burst", "task_lists", "hostile")


def run_short(suite: Suite, clip: Path, folder: Path) -> None:
    """Run the short form; benchmarks that want the same stack share one."""
    suite.run("startup", "--runs", "1")
    print(f"\nThe short form: fewer frames than the {MIN_FRAMES} of the long one.", flush=True)
    once = ("--rounds", "1")
    with shared_stack(suite, folder / "worker", clip.parent, folder, workers=1) as stack:
        suite.run("throughput", *repeated(clip, folder, 300), *once, "--seconds", "3", *stack)
        suite.run("concurrency", *repeated(clip, folder, 200), *once, *stack)
    with shared_stack(suite, folder / "log", workers=0) as stack:
        suite.run("replay", "20", "--rounds", "2", *stack)
        suite.run("fanout", "100", "--seconds", "5", *stack)
        suite.run("months", "--chunks", "4000", "--tracks", "1000", *stack)
    suite.run("resume", "--kills", "1", "--timeouts", "3")
    suite.run("hour", "--minutes", "2")
    suite.run("sandbox", str(clip), "--opens", "5", "--rounds", "2")
    suite.run("bombs", "--at-once", "2")
    suite.run("lanes", "--seconds", "3")
    suite.run("ocr", str(SIGNS), "--every", "4")
    suite.run("quality", "--short")
    suite.leave_out(("frame_cost", "tenants", "broker_kill", *LONG_ALONE), "part of the long form")


def run_long(suite: Suite, clip: Path) -> None:
    """Run the form whose figures count: every benchmark with a stack of its own."""
    suite.run("startup")
    suite.run("throughput", str(clip))
    suite.run("concurrency", str(clip))
    suite.run("frame_cost", str(clip))
    suite.run("tenants", str(clip))
    suite.run("broker_kill")
    suite.run("replay")
    suite.run("fanout")
    suite.run("months")
    suite.run("resume")
    suite.run("hour")
    suite.run("sandbox", str(clip))
    suite.run("bombs")
    suite.run("lanes")
    suite.run("ocr", str(SIGNS))
    suite.run("quality")
    for name in LONG_ALONE:
        suite.run(name)


def repeated(clip: Path, folder: Path, min_frames: int) -> list[str]:
    """Return the arguments for a clip of so many frames: a shared stack reads below `folder`."""
    made = long_clip(clip, folder, min_frames) if clip.is_file() else clip
    return [str(made), "--frames", str(min_frames)]


@contextmanager
def shared_stack(suite: Suite, folder: Path, *roots: Path, workers: int) -> Iterator[list[str]]:
    """Yield the arguments that name a running stack; none when it does not start.

    Then each benchmark tries to start its own, and says what it met.
    """
    folder.mkdir()
    stack = ExitStack()
    arguments: list[str] = []
    with suppress(SystemExit):
        arguments = stack.enter_context(lent_stack(folder, *roots, workers=workers))
    try:
        yield arguments
    finally:
        try:
            stack.close()
        except SystemExit as exc:
            suite.fail("shared stack", str(exc))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", nargs="?", type=Path, default=CLIP)
    parser.add_argument("--short", action="store_true")
    args = parser.parse_args()
    if args.clip != CLIP and not args.clip.is_file():
        parser.error(f"{args.clip} is no file")
    suite = Suite()
    if args.short:
        with tempfile.TemporaryDirectory(prefix="framewire-benchmarks-") as name:
            run_short(suite, args.clip.resolve(), Path(name))
    else:
        run_long(suite, args.clip.resolve())
    suite.leave_out(["tracking"], OWN_DATA)
    print(suite.summary())
    return suite.exit_code


if __name__ == "__main__":
    sys.exit(main())
