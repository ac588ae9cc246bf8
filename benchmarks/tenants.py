"""When a project's task begins: alone, and behind another project's backlog of long ones.

    python -m benchmarks.tenants [CLIP] [--backlog N] [--tasks N] [--frames N]

One worker. Project A submits `--backlog` tasks (60) of `--frames` frames each (3000), then B
submits its own, one after the other: the seconds from each POST to the task's first chunk.
Target: 3 s behind the backlog.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.clip import long_clip
from benchmarks.report import require_clip
from benchmarks.stack import CLIP, DETECT, Stack, another_projects_key, running_stack

_SETTLE_S = 5.0


def first_chunks(stack: Stack, clip: Path, n_tasks: int) -> list[float]:
    """Return the seconds from each of the POSTs to the first chunk."""
    found = []
    for _ in range(n_tasks):
        begun = time.perf_counter()
        task = stack.submit(clip, DETECT, max_frames=2)
        waited_s = time.perf_counter() - begun
        first_s, _, _ = stack.follow(task)
        found.append(waited_s + first_s)
    return found


def told(found: list[float]) -> str:
    return f"first chunk after {statistics.median(found):.2f} s, {max(found):.2f} s at most"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path, nargs="?", default=CLIP)
    parser.add_argument("--backlog", type=int, default=60)
    parser.add_argument("--tasks", type=int, default=7)
    parser.add_argument("--frames", type=int, default=3000)
    args = parser.parse_args()
    require_clip(args.clip)
    with tempfile.TemporaryDirectory() as folder:
        clip = long_clip(args.clip, Path(folder), args.frames)
        roots = (args.clip.resolve().parent, Path(folder))
        data = Path(folder) / "data"
        with running_stack(data, *roots, workers=1) as first:
            first.warm(clip)
            key = another_projects_key(first.url, data)
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(base_url=first.url, headers=headers, timeout=600) as client:
                second = Stack(first.pid, first.url, client)
                print(f"alone: {told(first_chunks(second, args.clip, args.tasks))}", flush=True)
                backlog = [first.submit(clip, DETECT) for _ in range(args.backlog)]
                time.sleep(_SETTLE_S)
                behind = told(first_chunks(second, args.clip, args.tasks))
                print(f"behind {args.backlog} tasks: {behind} (target <= 3 s)", flush=True)
            for task in backlog:
                first.http.post(f"/v1/video/tasks/{task}/cancel")


if __name__ == "__main__":
    main()
