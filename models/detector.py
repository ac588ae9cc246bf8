"""Object detector: network, box decoder and non-maximum suppression; boxes in source pixels."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from models.errors import InvalidManifestError, InvalidModelFileError
from models.graph_io import NetworkInput
from models.manifest import BoxesOptions, Manifest, NanodetOptions, SsdOptions
from models.parameters import DETAILS
from models.postprocess import (
    anchors,
    decode_nanodet,
    decode_ssd,
    decode_yolox,
    select,
    suppress,
)
from models.preprocess import fit, geometry
from models.runtime import Network, Outputs, Precision, Runtime
from models.selection import limits_targets, merged
from models.sizes import InputFit, Size, SourceShape, round_up
from models.types import Detections, Floats, Image, Ints

MAX_SIZES = 8
"""Sizes of its input for which a detector keeps a compiled network: about 40 MB each."""
COMMON_SHAPE = SourceShape(16, 9)
"""The network for this shape is compiled when the model is loaded."""


class Detector:
    """Detector of the manifest's classes. Thread-safe; bit-for-bit repeatable for one precision.

    A network with `shape = "source"` is compiled again for each size that sources need, and the
    least recently used sizes are dropped.
    """

    def __init__(
        self, runtime: Runtime, manifest: Manifest, precision: Precision | None = None
    ) -> None:
        if manifest.kind != "detect" or manifest.input is None or manifest.decoder is None:
            raise InvalidManifestError(f"{manifest.ref} is no detect model")
        self.manifest = manifest
        self._options = manifest.input
        self._decoder = manifest.decoder
        self._class_ids = {name: i for i, name in enumerate(manifest.classes)}
        self._all_classes = np.ones(len(manifest.classes), bool)
        self.fit = self._options.fit
        """How frames are scaled to the network's input; a video decoder may do it."""
        self._runtime, self._precision = runtime, precision
        self._networks: LRUCache[Size, Network] = LRUCache(MAX_SIZES)
        self._lock = threading.Lock()
        self._network(self.fit.network_size(COMMON_SHAPE))  # a file that does not load is known now

    def warm(self) -> None:
        """Warm-up: one inference on a grey frame, so that a task's first frame is not slower."""
        self.prepare(COMMON_SHAPE, {})

    def is_ready(self, source: SourceShape, parameters: Mapping[str, Any]) -> bool:
        """Whether the networks for frames of this shape are compiled."""
        with self._lock:
            return all(size in self._networks for size in self._sizes(source, parameters))

    def prepare(self, source: SourceShape, parameters: Mapping[str, Any]) -> None:
        """Compile the networks for frames of this shape, and run each once on a grey frame."""
        for width, height in self._sizes(source, parameters):
            grey = np.full((1, height, width, 3), 114, np.uint8)
            self._infer(grey, 1.0, self._all_classes)

    def check(self) -> None:
        """Run on a flat and a noisy frame; raises InvalidModelFileError for invalid outputs.

        Invalid are boxes or scores that are not finite, scores outside 0..1, and labels without a
        class.
        """
        sizes = {self.fit.network_size(SourceShape(*shape)) for shape in ((1, 1), (4, 1), (1, 4))}
        shapes = [(1, height, width, 3) for width, height in sorted(sizes)]
        noise = [np.random.default_rng(0).integers(0, 256, shape, np.uint8) for shape in shapes]
        for frame in (*(np.full(shape, 114, np.uint8) for shape in shapes), *noise):
            with np.errstate(over="ignore", invalid="ignore"):
                boxes, scores, _ = self._infer(frame, -np.inf, self._all_classes)
            if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
                raise InvalidModelFileError(
                    f"{self.manifest.ref}: outputs boxes that are not finite"
                )
            if len(scores) and (scores.min() < 0 or scores.max() > 1):
                raise InvalidModelFileError(
                    f"{self.manifest.ref}: gives scores from {scores.min():.3g} to "
                    f"{scores.max():.3g}; they must be probabilities (export it with its sigmoid)"
                )

    def detect(
        self,
        image_bgr: Image,
        parameters: Mapping[str, Any],
        source: SourceShape | None = None,
        *,
        is_fitted: bool = False,
        full: Image | None = None,
    ) -> Detections:
        """All targets of the wanted classes with a score >= `low_threshold`, best first.

        `parameters` must be validated (`validate_parameters`). `source` is the shape to which the
        boxes refer; default: that of the image. `is_fitted`: the video decoder has already scaled
        and padded the frame by `fit`. `full` is then the whole frame, which a `detail` other than
        normal needs; raises ValueError without it.
        """
        shape = source or SourceShape(image_bgr.shape[1], image_bgr.shape[0])
        batch = (image_bgr if is_fitted else fit(image_bgr, self.fit, shape))[None]
        larger = self._larger(parameters, shape)
        if larger is None and not limits_targets(parameters):
            boxes, scores, class_ids = self._infer(batch, *self._wanted(parameters))
            kept = suppress(
                boxes, class_ids, parameters["iou_threshold"], parameters["max_targets"]
            )
            boxes_px = geometry(self.fit, shape).to_source(boxes[kept])
            return Detections(boxes_px, scores[kept], class_ids[kept])
        seen = [self._seen(batch, self.fit, shape, parameters)]
        if larger is not None:
            image = full if is_fitted else image_bgr
            if image is None:
                raise ValueError("a second look needs the whole frame")
            seen.append(self._seen(fit(image, larger, shape)[None], larger, shape, parameters))
        return merged(seen, parameters)

    def _sizes(self, shape: SourceShape, parameters: Mapping[str, Any]) -> list[Size]:
        """Return the sizes of the networks that see a frame of this shape."""
        larger = self._larger(parameters, shape)
        return [one.network_size(shape) for one in (self.fit, larger) if one is not None]

    def _larger(self, parameters: Mapping[str, Any], shape: SourceShape) -> InputFit | None:
        """How the frame is fitted for the second look; None if there is none.

        It is never larger than the frame itself.
        """
        side = DETAILS[parameters.get("detail", "normal")]
        if side is None or self._options.shape != "source":
            return None
        side = min(side, round_up(max(shape.proportions), self.fit.grid))
        if side <= max(self.fit.width, self.fit.height):
            return None
        return self.fit._replace(width=side, height=side)

    def _wanted(self, parameters: Mapping[str, Any]) -> tuple[float, npt.NDArray[np.bool_]]:
        wanted = np.zeros(len(self._class_ids), bool)
        wanted[[self._class_ids[name] for name in parameters["classes"]]] = True
        return parameters["low_threshold"], wanted

    def _seen(
        self, batch: Image, input_fit: InputFit, shape: SourceShape, parameters: Mapping[str, Any]
    ) -> Detections:
        """All candidates of one look, in source pixels, best first."""
        boxes, scores, class_ids = self._infer(batch, *self._wanted(parameters))
        return Detections(geometry(input_fit, shape).to_source(boxes), scores, class_ids)

    def _infer(
        self, batch: Image, threshold: float, wanted: npt.NDArray[np.bool_]
    ) -> tuple[Floats, Floats, Ints]:
        """Boxes (ltrb, network pixels), scores >= `threshold` and class ids, best first.

        `wanted` (classes,) selects classes; the others are dropped before their boxes are decoded.
        """
        height, width = batch.shape[1:3]
        with self._network((width, height)).infer(batch) as outputs:
            if isinstance(self._decoder, SsdOptions):
                return self._read_rows(outputs, self._decoder, (width, height), threshold, wanted)
            known = wanted
            if isinstance(self._decoder, BoxesOptions):  # it may give labels that are no class
                known = np.append(wanted, False)
                outputs[1][0][~_are_classes(outputs[1][0], len(wanted))] = len(wanted)
            keep = select(outputs[0][0], outputs[1][0], threshold, known)
            scores, class_ids = outputs[0][0, keep], outputs[1][0, keep]
            regression = outputs[2][0, keep]
        if isinstance(self._decoder, BoxesOptions):
            return regression, scores, class_ids
        grid = anchors(width, height, self._decoder.strides)
        cells, strides = grid.cells[keep], grid.strides[keep]
        if isinstance(self._decoder, NanodetOptions):
            boxes = decode_nanodet(regression, cells, strides, self._decoder.centre)
        else:
            boxes = decode_yolox(regression, cells, strides)
        return boxes, scores, class_ids

    def _network(self, size: Size) -> Network:
        """Return the network for inputs of this size; the first call for a size compiles it."""
        with self._lock:
            known = self._networks.get(size)
        if known is None:
            network_input = NetworkInput.of(self._options, batch=1, size=size)
            known = self._runtime.network(self.manifest, network_input, precision=self._precision)
            with self._lock:
                self._networks[size] = known
        return known

    def _read_rows(
        self,
        outputs: Outputs,
        decoder: SsdOptions,
        size: Size,
        threshold: float,
        wanted: npt.NDArray[np.bool_],
    ) -> tuple[Floats, Floats, Ints]:
        boxes, scores, class_ids = decode_ssd(outputs[0], *size, decoder.first_label)
        if len(class_ids) and int(class_ids.max()) >= len(wanted):
            raise InvalidModelFileError(
                f"{self.manifest.ref}: the network gives label "
                f"{int(class_ids.max()) + decoder.first_label}, but there are only "
                f"{len(wanted)} classes from label {decoder.first_label} on"
            )
        keep = select(scores, class_ids, threshold, wanted)
        return boxes[keep], scores[keep], class_ids[keep]


def _are_classes(labels: Ints, n_classes: int) -> npt.NDArray[np.bool_]:
    return np.asarray((labels >= 0) & (labels < n_classes))
