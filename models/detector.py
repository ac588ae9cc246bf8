"""Object detector: network, box decoder and non-maximum suppression; boxes in source pixels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import InvalidManifestError, InvalidModelFileError
from models.graph_io import NetworkInput
from models.manifest import Manifest, NanodetOptions, Resize, SsdOptions
from models.postprocess import (
    anchors,
    decode_nanodet,
    decode_ssd,
    decode_yolox,
    select,
    suppress,
)
from models.preprocess import Size, fit, geometry, scaled_size
from models.runtime import Outputs, Precision, Runtime
from models.types import Detections, Floats, Image, Ints


class Detector:
    """Detector of the manifest's classes. Thread-safe; bit-for-bit repeatable for one precision."""

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
        self._network = runtime.network(
            manifest,
            NetworkInput.of(self._options, batch=1),
            precision=precision,
        )

    @property
    def input_size(self) -> Size:
        """(width, height) of the network's input."""
        return self._options.width, self._options.height

    @property
    def resize(self) -> Resize:
        return self._options.resize

    def scaled_size(self, source_size: Size) -> Size:
        """(width, height) to which a video decoder may scale frames; `detect` then does not."""
        return scaled_size(self._options, source_size)

    def warm(self) -> None:
        """Warm-up: one inference on a grey frame, so that a task's first frame is not slower."""
        frame = np.full((1, self._options.height, self._options.width, 3), 114, np.uint8)
        self._infer(frame, 1.0, self._all_classes)

    def check(self) -> None:
        """Run on a flat and a noisy frame; raises InvalidModelFileError for invalid outputs.

        Invalid are boxes or scores that are not finite, scores outside 0..1, and labels without a
        class.
        """
        shape = (1, self._options.height, self._options.width, 3)
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        for frame in (np.full(shape, 114, np.uint8), noise):
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
        self, image_bgr: Image, parameters: Mapping[str, Any], source_size: Size | None = None
    ) -> Detections:
        """All targets of the wanted classes with a score >= `low_threshold`, best first.

        `parameters` must be validated (`validate_parameters`). `source_size` is the (width, height)
        to which the boxes refer, if the video decoder has already scaled the frame. Default: the
        size of the image.
        """
        size = source_size or (image_bgr.shape[1], image_bgr.shape[0])
        batch = fit(image_bgr, self._options, size)[None]
        wanted = np.zeros(len(self._class_ids), bool)
        wanted[[self._class_ids[name] for name in parameters["classes"]]] = True
        boxes, scores, class_ids = self._infer(batch, parameters["low_threshold"], wanted)
        kept = suppress(boxes, class_ids, parameters["iou_threshold"], parameters["max_targets"])
        boxes_px = geometry(self._options, size).to_source(boxes[kept])
        return Detections(boxes_px, scores[kept], class_ids[kept])

    def _infer(
        self, batch: Image, threshold: float, wanted: npt.NDArray[np.bool_]
    ) -> tuple[Floats, Floats, Ints]:
        """Boxes (ltrb, network pixels), scores >= `threshold` and class ids, best first.

        `wanted` (classes,) selects classes; the others are dropped before their boxes are decoded.
        """
        with self._network.infer(batch) as outputs:
            if isinstance(self._decoder, SsdOptions):
                return self._read_rows(outputs, self._decoder, threshold, wanted)
            keep = select(outputs[0][0], outputs[1][0], threshold, wanted)
            scores, class_ids = outputs[0][0, keep], outputs[1][0, keep]
            regression = outputs[2][0, keep]
        grid = anchors(self._options.width, self._options.height, self._decoder.strides)
        cells, strides = grid.cells[keep], grid.strides[keep]
        if isinstance(self._decoder, NanodetOptions):
            boxes = decode_nanodet(regression, cells, strides, self._decoder.centre)
        else:
            boxes = decode_yolox(regression, cells, strides)
        return boxes, scores, class_ids

    def _read_rows(
        self,
        outputs: Outputs,
        decoder: SsdOptions,
        threshold: float,
        wanted: npt.NDArray[np.bool_],
    ) -> tuple[Floats, Floats, Ints]:
        boxes, scores, class_ids = decode_ssd(
            outputs[0], self._options.width, self._options.height, decoder.first_label
        )
        if len(class_ids) and int(class_ids.max()) >= len(wanted):
            raise InvalidModelFileError(
                f"{self.manifest.ref}: the network gives label "
                f"{int(class_ids.max()) + decoder.first_label}, but there are only "
                f"{len(wanted)} classes from label {decoder.first_label} on"
            )
        keep = select(scores, class_ids, threshold, wanted)
        return boxes[keep], scores[keep], class_ids[keep]
