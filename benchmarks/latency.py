"""POST to first chunk on a warm worker, with a long H.264 file that must not be read whole.

    python -m benchmarks.latency [--runs N] [--minutes M]

Makes an H.264 file of M minutes (default 10), warms the stack with one task, then submits N tasks
one after another and cancels each after its first chunk. Target: median below 1 s.
"""

import argparse
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.clip import array
from benchmarks.report import end_unmeasured, require_clip
from benchmarks.stack import CLIP, DETECT, Stack, running_stack


def make_long_clip(path: Path, minutes: float) -> None:
    """Write a 768x576 H.264 file at 25 fps: the bundled clip's pictures over and over."""
    with av.open(str(CLIP)) as source:
        pictures = [array(frame, "yuv420p") for frame in source.decode(video=0)]
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "28"})
        stream.width, stream.height, stream.pix_fmt = 768, 576, "yuv420p"
        for number in range(int(minutes * 60 * 25)):
            picture = np.ascontiguousarray(pictures[number % len(pictures)])
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def first_chunk_s(stack: Stack, clip: Path) -> float:
    begun = time.perf_counter()
    task = stack.submit(clip, DETECT)
    with stack.http.stream("GET", f"/v1/video/tasks/{task}/stream") as answer:
        next(piece for piece in answer.iter_raw() if piece)
        elapsed_s = time.perf_counter() - begun
    stack.http.post(f"/v1/video/tasks/{task}/cancel").raise_for_status()
    stack.follow(task)
    return elapsed_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--minutes", type=float, default=10)
    args = parser.parse_args()
    require_clip(CLIP)
    if "libx264" not in av.codecs_available:
        end_unmeasured("everything of this benchmark", "install av with libx264")
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "long.mp4"
        make_long_clip(clip, args.minutes)
        with running_stack(Path(folder) / "data", Path(folder)) as stack:
            first_chunk_s(stack, clip)
            times = sorted(first_chunk_s(stack, clip) for _ in range(args.runs))
        size_mb = clip.stat().st_size / 1e6
    print(
        f"POST to first chunk, {args.minutes:g} min of H.264 ({size_mb:.0f} MB): "
        f"median {statistics.median(times):.3f} s, min {times[0]:.3f}, max {times[-1]:.3f} "
        "(target: median < 1 s)"
    )


if __name__ == "__main__":
    main()
