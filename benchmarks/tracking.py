"""How well people are followed: detect pedestrian, then the tracker, against MOTChallenge truth.

python benchmarks/tracking.py CLIP GT [--model detect] [--feature] [--detections cache.npz]
    [--precision auto] [--device CPU] [--every 1] [--threshold 0.5] [--low-threshold 0.25]
    [--at-least-mota 0.8 --at-least-idf1 0.62 --at-most-switches 40]

Every n-th frame is perceived and tracked; frame k of the clip (from 0) is frame k + 1 of GT. A box
counts at IoU 0.5. All rows of GT are counted, also those marked "not considered" (column 7), which
are real people that are hard to see. Exits 1 beyond the given limits.

--detections writes what the models saw to a file, and reads it from there the next time.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import av
import motmetrics
import numpy as np
import numpy.typing as npt

from models.detector import Detector
from models.embedding import FeatureExtractor
from models.parameters import validate_parameters
from models.registry import Registry
from models.runtime import Runtime
from streamproc.stages.tracking.parameters import TrackParameters
from streamproc.stages.tracking.tracker import Tracker

METRICS = (
    "mota",
    "idf1",
    "num_switches",
    "num_false_positives",
    "num_misses",
    "num_unique_objects",
)
IOU_FLOOR = 0.5


@dataclass(frozen=True)
class Seen:
    """What the models found in one frame."""

    time_s: float
    boxes_px: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32] | None


def main() -> int:
    arguments = _arguments()
    cache: Path | None = arguments.detections
    with av.open(arguments.clip) as container:
        size = (container.streams.video[0].width, container.streams.video[0].height)
    if cache is not None and cache.exists():
        frames = load(cache)
        if arguments.feature and frames[0].features is None:
            raise SystemExit(f"{cache} was written without --feature")
    else:
        frames = perceive(arguments)
        if cache is not None:
            save(cache, frames)
    tracker = Tracker(TrackParameters.for_detector(arguments.threshold, arguments.low_threshold))
    tracked = []
    begun_s = time.perf_counter()
    for index in range(0, len(frames), arguments.every):
        seen = frames[index]
        ids = tracker.update(
            seen.boxes_px,
            seen.scores,
            np.zeros(len(seen.scores), np.int32),
            seen.features if arguments.feature else None,
            seen.time_s,
            index,
            size,
        )
        tracked.append((index, ids[ids > 0], seen.boxes_px[ids > 0]))
    spent_ms = (time.perf_counter() - begun_s) * 1e3 / len(tracked)
    figures = score(tracked, truth(arguments.truth))
    print(
        f"MOTA {figures['mota']:.3f}  IDF1 {figures['idf1']:.3f}  "
        f"ID switches {figures['num_switches']:.0f}  "
        f"false positives {figures['num_false_positives']:.0f}  "
        f"misses {figures['num_misses']:.0f}  people {figures['num_unique_objects']:.0f}  "
        f"tracks {len({i for _, ids, _ in tracked for i in ids.tolist()})}  "
        f"frames {len(tracked)}  tracker {spent_ms:.2f} ms/frame"
    )
    missed = (
        figures["mota"] < arguments.at_least_mota
        or figures["idf1"] < arguments.at_least_idf1
        or figures["num_switches"] > arguments.at_most_switches
    )
    return int(missed)


def perceive(arguments: argparse.Namespace) -> list[Seen]:
    """Run the models on every frame of the clip, people alone."""
    runtime, registry = Runtime(arguments.device, arguments.precision), Registry()
    detector = Detector(runtime, registry.resolve(arguments.model))
    extractor = FeatureExtractor(runtime, registry.resolve("feature"))
    parameters = validate_parameters(
        detector.manifest,
        {
            "classes": ["pedestrian"],
            "threshold": arguments.threshold,
            "low_threshold": arguments.low_threshold,
        },
    )
    frames = []
    with av.open(arguments.clip) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="bgr24")
            found = detector.detect(image, parameters)
            features = extractor.extract(image, found.boxes_px) if arguments.feature else None
            frames.append(Seen(float(frame.time or 0.0), found.boxes_px, found.scores, features))
    return frames


def truth(path: Path) -> dict[int, npt.NDArray[np.float64]]:
    """Return MOTChallenge rows by frame from 0: person, left, top, right, bottom."""
    table = np.loadtxt(path, delimiter=",", usecols=range(6))
    rows = np.column_stack([table[:, 1:4], table[:, 2:4] + table[:, 4:6]])
    frames = table[:, 0].astype(int) - 1
    return {frame: rows[frames == frame] for frame in np.unique(frames).tolist()}


def score(
    tracked: list[tuple[int, npt.NDArray[np.int32], npt.NDArray[np.float32]]],
    people: dict[int, npt.NDArray[np.float64]],
) -> dict[str, float]:
    """Return CLEAR-MOT and identity figures of the tracked frames.

    The distances are computed here: motmetrics' own function needs numpy 1.
    """
    accumulator = motmetrics.MOTAccumulator()
    for index, ids, boxes in tracked:
        real = people.get(index, np.empty((0, 5)))
        accumulator.update(
            real[:, 0].astype(int), ids, _distances(real[:, 1:], boxes), frameid=index
        )
    host = motmetrics.metrics.create()
    table = host.compute(accumulator, metrics=list(METRICS), return_dataframe=False)
    return {name: float(table[name]) for name in METRICS}


def save(path: Path, frames: list[Seen]) -> None:
    with_features = frames[0].features is not None
    np.savez(
        path,
        time_s=[seen.time_s for seen in frames],
        counts=[len(seen.scores) for seen in frames],
        boxes_px=np.concatenate([seen.boxes_px for seen in frames]),
        scores=np.concatenate([seen.scores for seen in frames]),
        features=np.concatenate([seen.features for seen in frames])
        if with_features
        else np.empty(0, np.float32),
    )


def load(path: Path) -> list[Seen]:
    with np.load(path) as file:
        stored = {name: file[name] for name in file.files}
    ends = np.cumsum(stored["counts"])
    return [
        Seen(
            float(time_s),
            stored["boxes_px"][end - count : end],
            stored["scores"][end - count : end],
            stored["features"][end - count : end] if stored["features"].ndim == 2 else None,
        )
        for time_s, count, end in zip(stored["time_s"], stored["counts"], ends, strict=True)
    ]


def _distances(
    real: npt.NDArray[np.float64], found: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Return 1 - IoU `(real, found)`, NaN where the boxes do not count as a match."""
    near = np.maximum(real[:, None, :2], found[None, :, :2])
    far = np.minimum(real[:, None, 2:], found[None, :, 2:])
    shared = np.maximum(far - near, 0.0).prod(axis=2)
    areas = (real[:, 2:] - real[:, :2]).prod(axis=1)[:, None]
    iou = shared / (areas + (found[:, 2:] - found[:, :2]).prod(axis=1) - shared)
    return np.where(iou >= IOU_FLOOR, 1.0 - iou, np.nan)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=str)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--model", default="detect", help="a detector of people")
    parser.add_argument("--feature", action="store_true", help="associate by features as well")
    parser.add_argument("--detections", type=Path, help="cache file (.npz)")
    parser.add_argument("--device", default="AUTO:GPU,CPU")
    parser.add_argument("--precision", default="auto", help="auto, f32, bf16, f16, i8-bf16, i8")
    parser.add_argument("--every", type=int, default=1, help="track every n-th frame")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--low-threshold", type=float, default=0.25)
    parser.add_argument("--at-least-mota", type=float, default=0.8)
    parser.add_argument("--at-least-idf1", type=float, default=0.62)
    parser.add_argument("--at-most-switches", type=int, default=40)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
