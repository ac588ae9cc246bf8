"""Worker throughput, POST to [DONE], against the network alone and against a plain loop.

    python -m benchmarks.throughput CLIP [--rounds N] [--precision auto|f32|bf16]

In each round, one after another on the same machine: OpenVINO's own `benchmark_app` on the same
network (throughput hint), the network alone as Framewire compiles it, the stack (detect, every
frame, warm, all of Kafka, S3, ClickHouse and HTTP running), and a plain loop (decode, infer
synchronously, track). All compute in the same precision: the faster it is on a processor, the
more weigh decoding, tracking, Kafka and the rest of the stack on the same cores.
Prints frames per second and the medians of the ratios.
Targets: >= 0.80 of benchmark_app, >= 1.3 x the loop.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.stack import DETECT, Stack, running_stack

NETWORK = Path(__file__).parents[1] / "models" / "weights" / "nanodet_g416_coco80.xml"
BENCHMARK_S = 6


def benchmark_app(precision: str) -> float:
    """Return frames per second of the network alone."""
    exact = () if precision == "auto" else ("-infer_precision", precision)
    done = subprocess.run(
        [
            Path(sys.executable).with_name("benchmark_app"),
            *("-m", NETWORK, "-d", "CPU", "-hint", "throughput", "-t", str(BENCHMARK_S)),
            *exact,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    match = re.search(r"Throughput:\s+([\d.]+) FPS", done.stdout)
    assert match is not None
    return float(match[1])


def network_alone(precision: Any) -> float:
    """Return frames per second of the network as Framewire compiles it, all requests at work."""
    import numpy as np

    from models.graph import NetworkInput
    from models.registry import Registry
    from models.runtime import Runtime

    manifest = Registry(None).resolve("detect")
    size = manifest.input
    assert size is not None
    network = Runtime("CPU", precision).network(manifest, NetworkInput.of(size, batch=1))
    end_s = time.perf_counter() + BENCHMARK_S

    def work() -> int:
        frame = np.full((1, size.height, size.width, 3), 114, np.uint8)
        n_frames = 0
        while time.perf_counter() < end_s:
            with network.infer(frame):
                n_frames += 1
        return n_frames

    with ThreadPoolExecutor(network.n_requests) as pool:
        workers = [pool.submit(work) for _ in range(network.n_requests)]
        return sum(worker.result() for worker in workers) / BENCHMARK_S


def plain_loop(clip: Path, precision: Any) -> float:
    """Return frames per second of decode, detect, track in one thread."""
    import av

    from models.detect import Detector
    from models.parameters import validate_parameters
    from models.registry import Registry
    from models.runtime import Runtime
    from streamproc.stages.track import Tracker
    from streamproc.stages.track_parameters import TrackParameters

    manifest = Registry(None).resolve("detect")
    detector = Detector(Runtime("CPU", precision), manifest)
    detector.warm()
    parameters = validate_parameters(manifest, DETECT[0]["parameters"])
    tracker = Tracker(
        TrackParameters.for_detector(parameters["threshold"], parameters["low_threshold"])
    )
    begun, n_frames = time.perf_counter(), 0
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="bgr24")
            found = detector.detect(image, parameters)
            tracker.update(
                found.boxes_px,
                found.scores,
                found.class_ids,
                None,
                frame.time or 0.0,
                n_frames,
                (frame.width, frame.height),
            )
            n_frames += 1
    return n_frames / (time.perf_counter() - begun)


def through_the_stack(stack: Stack, clip: Path) -> float:
    """Return frames per second from POST to `[DONE]`."""
    begun = time.perf_counter()
    _, _, n_chunks = stack.follow(stack.submit(clip, DETECT))
    return n_chunks / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="auto", choices=("auto", "f32", "bf16"))
    args = parser.parse_args()
    alone, network, loop = [], [], []
    with (
        tempfile.TemporaryDirectory() as data,
        running_stack(
            Path(data), args.clip.resolve().parent, FRAMEWIRE_PRECISION=args.precision
        ) as stack,
    ):
        through_the_stack(stack, args.clip)
        for number in range(args.rounds):
            app = benchmark_app(args.precision)
            bare = network_alone(args.precision)
            ours = through_the_stack(stack, args.clip)
            plain = plain_loop(args.clip, args.precision)
            alone.append(ours / app)
            network.append(bare / app)
            loop.append(ours / plain)
            print(
                f"round {number + 1}: benchmark_app {app:.1f} fps, network alone {bare:.1f} fps, "
                f"framewire {ours:.1f} fps, plain loop {plain:.1f} fps",
                flush=True,
            )
    print(f"framewire / benchmark_app: {statistics.median(alone):.2f} (target >= 0.80)")
    print(f"network / benchmark_app:   {statistics.median(network):.2f}")
    print(f"framewire / plain loop:    {statistics.median(loop):.2f} (target >= 1.30)")


if __name__ == "__main__":
    main()
