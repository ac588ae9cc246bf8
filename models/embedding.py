"""Appearance embeddings: one vector per target, for association and similarity search."""

from collections.abc import Sequence

import cv2
import numpy as np

from models.batching import batches
from models.errors import InvalidManifestError, InvalidModelFileError
from models.graph_io import NetworkInput
from models.manifest import Manifest
from models.preprocess import crops
from models.runtime import Precision, Runtime
from models.types import Floats, Image


class FeatureExtractor:
    """Embedding extractor of one model. Thread-safe; bit-for-bit repeatable for one precision."""

    def __init__(
        self, runtime: Runtime, manifest: Manifest, precision: Precision | None = None
    ) -> None:
        if manifest.kind != "feature" or manifest.input is None or manifest.dimensions is None:
            raise InvalidManifestError(f"{manifest.ref} is no feature model")
        self.manifest = manifest
        self.dimensions = manifest.dimensions
        self._options = manifest.input
        self._network = runtime.network(
            manifest,
            NetworkInput.of(self._options, batch=1 if manifest.one_by_one else -1),
            precision=precision,
        )

    def warm(self) -> None:
        """Warm-up: one inference, so that a task's first frame is not slower than the others."""
        self.extract(np.full((8, 8, 3), 114, np.uint8), np.array([[0, 0, 8, 8]], np.float32))

    def extract(self, image_bgr: Image, boxes_px: Floats) -> Floats:
        """Vectors (n, dimensions) float32, one row per box, in the order of the boxes.

        `boxes_px` (n, 4) float32 ltrb in pixels of the image. Each crop is scaled to the size of
        the network's input.
        """
        return self.vectors(self.pictures(image_bgr, boxes_px))

    def pictures(self, image_bgr: Image, boxes_px: Floats) -> list[Image]:
        """Crops of the boxes, scaled to the network's input; they share no memory with the image.

        `boxes_px` as for `extract`.
        """
        size = (self._options.width, self._options.height)
        return [
            np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_LINEAR), np.uint8)
            for crop in crops(image_bgr, boxes_px)
        ]

    def vectors(self, images: Sequence[Image]) -> Floats:
        """Vectors (n, dimensions) float32 of crops that `pictures` has made, in their order."""
        vectors = np.zeros((len(images), self.dimensions), np.float32)
        start = 0
        for batch in [[one] for one in images] if self.manifest.one_by_one else batches(images):
            with self._network.infer(np.stack(batch)) as outputs:
                if outputs[0].size != len(batch) * self.dimensions:
                    raise InvalidModelFileError(
                        f"{self.manifest.ref}: gives {outputs[0].shape}, "
                        f"not {(len(batch), self.dimensions)}"
                    )
                vectors[start : start + len(batch)] = outputs[0].reshape(len(batch), -1)
            start += len(batch)
        return vectors

    def check(self) -> None:
        """Run on noise; raises InvalidModelFileError unless pictures give vectors of their own."""
        noise = np.random.default_rng(0).integers(0, 256, (64, 192, 3), np.uint8)
        boxes = np.array([[0, 0, 64, 64], [64, 0, 128, 64], [128, 0, 192, 64]], np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            vectors = self.extract(noise, boxes)
        if not np.isfinite(vectors).all():
            raise InvalidModelFileError(f"{self.manifest.ref}: gives vectors that are not finite")
        if (vectors == vectors[0]).all():
            raise InvalidModelFileError(f"{self.manifest.ref}: every picture has the same vector")


def digest(vector: Floats) -> str:
    """Summary of a vector for a chunk: its dimensions and its Euclidean norm (4 decimals)."""
    norm = float(np.sqrt(np.square(vector.astype(np.float64)).sum()))
    return f"dim={vector.size};norm={norm:.4f}"
