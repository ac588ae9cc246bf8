"""How well the models see, against truth: `python -m benchmarks.quality [--data DIR] [--record]`.

With the repository alone: strings of the clip of signs that are read, exact reads of 192 lines
that are pasted into frames (`benchmarks.pasted_text`), and average precision of people at IoU .5,
MOTA and IDF1, with and without features, of people who are pasted into frames
(`benchmarks.pasted_people`). With DIR (or FRAMEWIRE_EVAL_DATA), which has clips/vtest.avi and
gt/PETS09-S2L1.gt.txt: the same figures of people for that clip, and how well features tell people
apart (AUC).

For each model and precision, one line a figure, beside the recorded one (`quality.json`). Exits 1
if a figure is lower than recorded by more than `TOLERANCE`; `--record` writes the figures: a lower
one needs its reason in the commit.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks import pasted_people
from benchmarks.ocr import TEXT_SIGNS, plain
from benchmarks.pasted_text import pictures
from benchmarks.report import not_measured
from benchmarks.stack import CLIP
from benchmarks.tracking import score, truth
from models.detector import Detector
from models.embedding import FeatureExtractor
from models.ocr import TextReader
from models.parameters import validate_parameters
from models.registry import Registry
from models.runtime import Runtime
from models.types import Image
from streamproc.stages.tracking.parameters import TrackParameters
from streamproc.stages.tracking.tracker import Tracker

STILLS = Path(__file__).parents[1] / "tests" / "data"
SIGNS = STILLS / "text_signs.mp4"
RECORDED = Path(__file__).with_name("quality.json")
TOLERANCE = 0.005
"""Processors of another kind round otherwise in floats; 8-bit figures do not differ."""
IOU = 0.5
THRESHOLD, LOW = 0.5, 0.25
DETECTORS = (("nanodet-g@1.0.0", "bf16"), ("nanodet-g@1.1.0", "bf16"), ("nanodet-g@1.1.0", "i8"))
READERS = (("ppocr@4.6.0", "bf16"), ("ppocr@6.1.0", "bf16"), ("ppocr@6.1.0", "i8-bf16"))

Figures = dict[str, float]
Truth = tuple[int, Image, npt.NDArray[np.float64]]
"""A frame's index, its picture, and rows of id, left, top, right, bottom in pixels."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("FRAMEWIRE_EVAL_DATA"))
    parser.add_argument("--every", type=int, default=1, help="use every n-th frame of vtest.avi")
    parser.add_argument("--record", action="store_true", help="write the figures")
    parser.add_argument("--short", action="store_true", help="the default precision alone")
    arguments = parser.parse_args()
    has = Runtime("CPU").precisions()
    figures: Figures = {}
    for ref, precision in READERS[-1:] if arguments.short else READERS:
        if precision in has:
            figures |= reading(ref, precision)
    data = arguments.data
    detectors = [one for one in DETECTORS if one[1] in has]
    for ref, precision in detectors[-1:] if arguments.short else detectors:
        figures |= people(ref, precision, pasted_people.frames(CLIP, STILLS), "pasted people: ")
    if data is None or not (data / "gt").is_dir():
        not_measured("people in a filmed clip", "set FRAMEWIRE_EVAL_DATA")
    elif arguments.every != 1 and arguments.record:
        parser.error("only figures of every frame are recorded")
    else:
        for ref, precision in detectors[-1:] if arguments.short else detectors:
            figures |= people(ref, precision, filmed(data, arguments.every))
    recorded: Figures = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    if arguments.record:
        RECORDED.write_text(json.dumps(recorded | figures, indent=1, sort_keys=True) + "\n")
        return 0
    lower = {
        name: value
        for name, value in figures.items()
        if arguments.every == 1 and value < recorded.get(name, 0.0) - TOLERANCE
    }
    for name in lower:
        print(f"lower than recorded: {name}", file=sys.stderr)
    return int(bool(lower))


def reading(ref: str, precision: Any) -> Figures:
    """Return the share of the signs' strings and of the pasted lines that are read exactly."""
    reader = TextReader(Runtime("CPU", precision), Registry().resolve(ref))
    seen: set[str] = set()
    for index, image in _frames(SIGNS):
        if index % 6 == 0:
            seen.update(plain(line.text) for line in reader.read(image)[0])
    strings = sum(plain(text) in seen for text in TEXT_SIGNS) / len(TEXT_SIGNS)
    n_lines = n_exact = 0
    for image, lines in pictures(CLIP):
        read = [(plain(line.text), line.quad_px.mean(axis=0)) for line in reader.read(image)[0]]
        for line in lines:
            left, top, right, bottom = line.box
            n_exact += any(
                text == plain(line.text) and left <= x <= right and top <= y <= bottom
                for text, (x, y) in read
            )
            n_lines += 1
    named = f"{ref} {precision}"
    return _told({f"{named} signs": strings, f"{named} pasted lines": n_exact / n_lines})


def filmed(data: Path, every: int) -> Iterator[Truth]:
    """Yield every n-th frame of vtest.avi with its people."""
    real = truth(data / "gt" / "PETS09-S2L1.gt.txt")
    for index, image in _frames(data / "clips" / "vtest.avi"):
        if index % every == 0:
            yield index, image, real.get(index, np.empty((0, 5)))


def people(ref: str, precision: Any, frames: Iterator[Truth], clip: str = "") -> Figures:
    """Return AP, MOTA and IDF1 of people; of a filmed clip the features' AUC, too."""
    runtime, registry = Runtime("CPU", precision), Registry()
    detector = Detector(runtime, registry.resolve(ref))
    extractor = FeatureExtractor(runtime, registry.resolve("feature"))
    everything = validate_parameters(
        detector.manifest, {"classes": ["person"], "threshold": 0.05, "low_threshold": 0.01}
    )
    trackers = {
        name: Tracker(TrackParameters.for_detector(THRESHOLD, LOW))
        for name in ("plain", "features")
    }
    tracked: dict[str, list[Any]] = {name: [] for name in trackers}
    matches: list[tuple[float, bool]] = []
    crops: dict[int, list[npt.NDArray[np.float32]]] = {}
    real: dict[int, npt.NDArray[np.float64]] = {}
    for index, image, boxes in frames:
        real[index] = boxes
        found = detector.detect(image, everything)
        matches += _matched(found.boxes_px, found.scores, boxes[:, 1:])
        keep = found.scores >= LOW
        kept, scores = found.boxes_px[keep], found.scores[keep]
        features = extractor.extract(image, kept)
        clear = np.where((scores >= THRESHOLD)[:, None], features, np.float32(np.nan))
        size = (image.shape[1], image.shape[0])
        for name, tracker in trackers.items():
            ids = tracker.update(
                kept,
                scores,
                np.zeros(len(scores), np.int32),
                clear if name == "features" else None,
                index / 10,
                index,
                size,
            )
            tracked[name].append((index, ids[ids > 0], kept[ids > 0]))
        if index % 20 == 0 and len(boxes) and not clip:
            vectors = extractor.extract(image, boxes[:, 1:].astype(np.float32))
            for person, vector in zip(boxes[:, 0].astype(int).tolist(), vectors, strict=True):
                crops.setdefault(person, []).append(vector)
    plain_figures, with_features = (score(tracked[name], real) for name in trackers)
    named = f"{clip}{ref} {precision}"
    figures = {
        f"{named} AP": average_precision(matches, sum(len(boxes) for boxes in real.values())),
        f"{named} MOTA": plain_figures["mota"],
        f"{named} IDF1": plain_figures["idf1"],
        f"{named} MOTA with features": with_features["mota"],
        f"{named} IDF1 with features": with_features["idf1"],
    }
    if crops:
        figures[f"features {precision} AUC"] = same_or_not(crops)
    return _told(figures)


def average_precision(matches: list[tuple[float, bool]], n_real: int) -> float:
    """Area under the precision-recall curve, precision made monotonic, as PASCAL VOC has it."""
    hits = np.array([hit for _, hit in sorted(matches, key=lambda match: -match[0])], float)
    true = np.cumsum(hits)
    precision = true / np.arange(1, len(hits) + 1)
    recall = true / n_real
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))


def same_or_not(crops: dict[int, list[npt.NDArray[np.float32]]]) -> float:
    """Chance that two crops of one person are more alike than crops of two (AUC)."""
    vectors = np.concatenate([np.stack(found) for found in crops.values()])
    people_of = np.repeat(list(crops), [len(found) for found in crops.values()])
    alike = vectors @ vectors.T
    upper = np.triu(np.ones_like(alike, bool), 1)
    same = people_of[:, None] == people_of[None, :]
    positive, negative = np.sort(alike[same & upper]), alike[~same & upper]
    above = len(positive) - np.searchsorted(positive, negative, side="right")
    return float(above.sum() / (len(positive) * len(negative)))


def _matched(
    found: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], real: npt.NDArray[np.float64]
) -> list[tuple[float, bool]]:
    """Match each detection, best first, to the free person that it overlaps most."""
    free = np.ones(len(real), bool)
    matches = []
    for box, confidence in zip(found.astype(float), scores.tolist(), strict=True):
        near = np.maximum(real[:, :2], box[:2])
        far = np.minimum(real[:, 2:], box[2:])
        shared = np.clip(far - near, 0, None).prod(axis=1)
        areas = (real[:, 2:] - real[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - shared
        ious = np.where(free, shared / areas, 0.0)
        best = int(ious.argmax()) if len(ious) else -1
        is_hit = best >= 0 and ious[best] >= IOU
        if is_hit:
            free[best] = False
        matches.append((confidence, bool(is_hit)))
    return matches


def _frames(clip: Path) -> Iterator[tuple[int, Image]]:
    cv2.setNumThreads(1)
    with av.open(str(clip)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            yield index, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def _told(figures: Figures) -> Figures:
    recorded: Figures = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    for name, value in figures.items():
        before = f"   recorded {recorded[name]:.4f}" if name in recorded else ""
        print(f"{name:44} {value:.4f}{before}", flush=True)
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    sys.exit(main())
