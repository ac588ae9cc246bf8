"""Perception of a live task beside batch tasks: `python -m benchmarks.lanes [CLIP] [--seconds N]`.

No stack: the frames of a clip, the default detector, and the worker's own thread pool. A live task
submits a frame every 1/fps seconds; each of four batch tasks always has twelve frames queued, as
its decoder does. Measured from a live frame's submission to its detections: alone, beside the
batch tasks in one first-in-first-out queue (`ThreadPoolExecutor`), and in the two lanes of
`streamproc/worker/perception_pool.py`. The batch tasks' rate is that without a live task, and
beside it in the lanes. All after one another on the same machine: read them as ratios.
Targets: live p95 in lanes <= 1.5 x alone + 0.1 s; batch >= 1/5 of its rate without a live task.
"""

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.clip import array
from benchmarks.report import require_clip
from benchmarks.stack import CLIP, DETECT
from streamproc.worker.perception_pool import PerceptionPool

BATCH_TASKS = 4
FRAMES_AHEAD = 12
MAX_FRAMES = 60
Perceive = Callable[[Any], object]


class Batch:
    """Batch tasks that keep an executor busy until they are stopped."""

    def __init__(self, pool: Executor, perceive: Perceive, frames: Sequence[Any]) -> None:
        self._pool, self._perceive, self._frames = pool, perceive, frames
        self._stopping = threading.Event()
        self._n_done = 0
        self._counting = threading.Lock()
        self._threads = [threading.Thread(target=self._feed) for _ in range(BATCH_TASKS)]
        self._begun_s = time.perf_counter()
        for thread in self._threads:
            thread.start()

    def stop(self) -> float:
        """End the tasks; return the frames per second of all of them together."""
        rate = self._n_done / (time.perf_counter() - self._begun_s)
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return rate

    def _feed(self) -> None:
        ahead = threading.Semaphore(FRAMES_AHEAD)

        def done(_: Future[object]) -> None:
            with self._counting:
                self._n_done += 1
            ahead.release()

        n = 0
        while not self._stopping.is_set():
            if ahead.acquire(timeout=0.1):
                n += 1
                frame = self._frames[n % len(self._frames)]
                self._pool.submit(self._perceive, frame).add_done_callback(done)
        for _ in range(FRAMES_AHEAD):
            ahead.acquire()


def live_latencies(
    pool: Executor, perceive: Perceive, frames: Sequence[Any], fps: float, seconds: float
) -> list[float]:
    """Return the seconds from each live frame's submission to its result."""
    found: list[float] = []
    waiting: list[Future[object]] = []

    def submit(frame: Any) -> Future[object]:
        at_s = time.perf_counter()
        call = pool.submit(perceive, frame)
        call.add_done_callback(lambda _: found.append(time.perf_counter() - at_s))
        return call

    begun_s = time.perf_counter()
    for n in range(int(fps * seconds)):
        time.sleep(max(0.0, begun_s + n / fps - time.perf_counter()))
        waiting.append(submit(frames[n % len(frames)]))
    for call in waiting:
        call.result()
    return found


def p(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def detections(clip: Path) -> tuple[Perceive, list[Any]]:
    """Return the default detector on a frame, and the clip's first frames."""
    import av

    from models.detector import Detector
    from models.parameters import validate_parameters
    from models.registry import Registry
    from models.runtime import Runtime

    manifest = Registry(None).resolve("detect")
    detector = Detector(Runtime(), manifest)
    detector.warm()
    parameters = validate_parameters(manifest, DETECT[0]["parameters"])
    frames: list[Any] = []
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            frames.append(array(frame, "bgr24"))
            if len(frames) == MAX_FRAMES:
                break
    for frame in frames[:3]:
        detector.detect(frame, parameters)
    return lambda image: detector.detect(image, parameters), frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path, nargs="?", default=CLIP)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each part")
    parser.add_argument("--fps", type=float, default=5.0, help="of the live task")
    args = parser.parse_args()
    require_clip(args.clip)
    perceive, frames = detections(args.clip)
    n_threads = (os.cpu_count() or 2) + 1
    seconds, fps = args.seconds, args.fps
    fifo, lanes = ThreadPoolExecutor(n_threads), PerceptionPool(n_threads)

    alone = live_latencies(lanes.live, perceive, frames, fps, seconds)
    batch = Batch(lanes.batch, perceive, frames)
    time.sleep(seconds)
    rate_alone = batch.stop()

    batch = Batch(fifo, perceive, frames)
    in_one_queue = live_latencies(fifo, perceive, frames, fps, seconds)
    batch.stop()

    batch = Batch(lanes.batch, perceive, frames)
    in_lanes = live_latencies(lanes.live, perceive, frames, fps, seconds)
    rate_beside = batch.stop()
    fifo.shutdown()
    lanes.shutdown()

    for name, values in (
        ("alone", alone),
        ("beside batch, one queue", in_one_queue),
        ("beside batch, two lanes", in_lanes),
    ):
        times = f"p50 {1000 * p(values, 50):7.1f} ms, p95 {1000 * p(values, 95):7.1f} ms"
        print(f"live task {name:24} {times}, {len(values)} frames")
    base, ours = p(alone, 95), p(in_lanes, 95)
    print(f"live p95, one queue / alone: {p(in_one_queue, 95) / base:6.2f}")
    print(f"live p95, two lanes / alone: {ours / base:6.2f} (target <= {1.5 + 0.1 / base:.2f})")
    print(f"batch frames/s: {rate_alone:.1f} without a live task, {rate_beside:.1f} beside it")
    print(f"batch beside live / without: {rate_beside / rate_alone:6.2f} (target >= 0.20)")


if __name__ == "__main__":
    main()
