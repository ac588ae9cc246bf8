"""Worker throughput, POST to [DONE], against the network alone and against a plain loop.

    python -m benchmarks.throughput CLIP [--rounds N] [--frames N] [--precision auto|i8|bf16|f32]

A clip of fewer frames than `--frames` (800) is repeated until it has as many: on a short one the
figure is that of starting a task. The bundled clip of 120 frames gave .64 where 795 gave .93.

In each round, one after another on the same machine: OpenVINO's own `benchmark_app` on the very
network that the worker runs (its weights, its size for this clip, throughput hint), the network
alone as Framewire compiles it, the stack (detect, every frame, warm, all of Kafka, S3, ClickHouse
and HTTP running), and a plain loop (decode, infer synchronously, track). All compute in the same
precision: the faster it is on a processor, the more weigh decoding, tracking, Kafka and the rest of
the stack on the same cores.
Prints frames per second and the medians of the ratios.
Targets: >= 0.85 of benchmark_app, >= 1.3 x the loop.
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

from benchmarks.clip import MIN_FRAMES, array, long_clip
from benchmarks.report import not_measured, require_clip
from benchmarks.stack import DETECT, Stack, add_stack_option, running_stack
from models.sizes import SourceShape

BENCHMARK_APP = Path(sys.executable).with_name("benchmark_app")


def shape_of(clip: Path) -> SourceShape:
    import av

    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        return SourceShape(stream.width, stream.height)


def network_file(clip: Path, precision: Any, folder: Path) -> tuple[Path, str]:
    """Write the network that a worker runs on this clip; return it and its floats' precision."""
    import openvino as ov

    from models.graph_passes import resize_network
    from models.registry import Registry
    from models.runtime import Runtime

    manifest = Registry(None).resolve("detect")
    assert manifest.input is not None
    width, height = manifest.input.fit.network_size(shape_of(clip))
    resolved = Runtime("CPU", precision).precision
    is_i8 = resolved.startswith("i8") and manifest.has_file("network.i8")
    role = "network.i8" if is_i8 else "network"
    weights = manifest.read_file(f"{role}.weights")
    network = ov.Core().read_model(model=manifest.read_file(role), weights=weights)
    resize_network(network, [1, 3, height, width], height_axis=2)
    path = folder / f"{role}-{width}x{height}.xml"
    ov.save_model(network, str(path), compress_to_fp16=False)
    return path, "f32" if is_i8 else resolved.removeprefix("i8-")


def benchmark_app(network: Path, precision: str, seconds: int) -> float:
    """Return frames per second of the network alone, by OpenVINO's own measurement."""
    done = subprocess.run(
        [
            BENCHMARK_APP,
            *("-m", network, "-d", "CPU", "-hint", "throughput", "-t", str(seconds)),
            *("-infer_precision", precision),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    match = re.search(r"Throughput:\s+([\d.]+) FPS", done.stdout)
    assert match is not None
    return float(match[1])


def network_alone(clip: Path, precision: Any, seconds: int) -> float:
    """Return frames per second of the network as Framewire compiles it, all requests at work."""
    import numpy as np

    from models.graph_io import NetworkInput
    from models.registry import Registry
    from models.runtime import Runtime

    manifest = Registry(None).resolve("detect")
    assert manifest.input is not None
    width, height = manifest.input.fit.network_size(shape_of(clip))
    network = Runtime("CPU", precision).network(
        manifest, NetworkInput.of(manifest.input, batch=1, size=(width, height))
    )
    end_s = time.perf_counter() + seconds

    def work() -> int:
        frame = np.full((1, height, width, 3), 114, np.uint8)
        n_frames = 0
        while time.perf_counter() < end_s:
            with network.infer(frame):
                n_frames += 1
        return n_frames

    with ThreadPoolExecutor(network.n_requests) as pool:
        workers = [pool.submit(work) for _ in range(network.n_requests)]
        return sum(worker.result() for worker in workers) / seconds


def plain_loop(clip: Path, precision: Any) -> float:
    """Return frames per second of decode, detect, track in one thread."""
    import av

    from models.detector import Detector
    from models.parameters import validate_parameters
    from models.registry import Registry
    from models.runtime import Runtime
    from streamproc.stages.tracking.parameters import TrackParameters
    from streamproc.stages.tracking.tracker import Tracker

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
            image = array(frame, "bgr24")
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
    parser.add_argument("--frames", type=int, default=MIN_FRAMES, help="a shorter clip is repeated")
    parser.add_argument("--seconds", type=int, default=6, help="how long the network runs alone")
    parser.add_argument(
        "--precision", default="auto", choices=("auto", "i8-bf16", "i8", "bf16", "f32")
    )
    add_stack_option(parser)
    args = parser.parse_args()
    if args.stack is not None and args.precision != "auto":
        parser.error("a stack that already runs has a precision of its own")
    require_clip(args.clip)
    has_app = BENCHMARK_APP.exists()
    if not has_app:
        not_measured("the comparison with benchmark_app", "install openvino with its scripts")
    alone, network, loop = [], [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(
            Path(folder) / "data",
            args.clip.resolve().parent,
            Path(folder),
            lent=args.stack,
            FRAMEWIRE_PRECISION=args.precision,
        ) as stack,
    ):
        clip = long_clip(args.clip, Path(folder), args.frames)
        stack.warm(clip)
        network_path, floats = network_file(clip, args.precision, Path(folder))
        for number in range(args.rounds):
            app = benchmark_app(network_path, floats, args.seconds) if has_app else None
            bare = network_alone(clip, args.precision, args.seconds)
            ours = through_the_stack(stack, clip)
            plain = plain_loop(clip, args.precision)
            loop.append(ours / plain)
            if app is not None:
                alone.append(ours / app)
                network.append(bare / app)
            by_app = "" if app is None else f"benchmark_app {app:.1f} fps, "
            print(
                f"round {number + 1}: {by_app}"
                f"network alone {bare:.1f} fps, framewire {ours:.1f} fps, "
                f"plain loop {plain:.1f} fps",
                flush=True,
            )
    if has_app:
        print(f"framewire / benchmark_app: {statistics.median(alone):.2f} (target >= 0.85)")
        print(f"network / benchmark_app:   {statistics.median(network):.2f}")
    print(f"framewire / plain loop:    {statistics.median(loop):.2f} (target >= 1.30)")


if __name__ == "__main__":
    main()
