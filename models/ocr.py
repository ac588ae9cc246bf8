"""OCR of a frame or of its targets: detect lines, rectify them, recognise them in batches.

The result of a line depends only on its own pixels: lines are grouped by their own width, and never
padded to the width of another line. So other content of the frame does not change it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from models.batching import batches
from models.errors import InvalidManifestError, InvalidModelFileError
from models.graph_io import NetworkInput
from models.manifest import Manifest
from models.preprocess import crops
from models.runtime import Outputs, Precision, Runtime
from models.sizes import Size, round_up
from models.text_columns import half_width, join_columns
from models.text_detection import find_quads, is_vertical, reading_order, straighten
from models.types import Floats, Image, TextLine

FIND_SIDES_PX = (320, 640, 960)
"""The longer side of an image is scaled to one of these lengths before line detection."""

MAX_MAGNIFICATION = 2.0
GRID_PX = 32
"""Both sides of the text detector's (finder's) input are multiples of this."""

LINE_HEIGHT_PX = 48
LINE_WIDTHS_PX = (80, 160, 240, 320, 480, 640, 960, 1440)
SURE = 0.92
"""Lines that are read with less confidence are also read upside down."""
SURER_BY = 0.03

GREY = 127
"""Padding value: 0 after normalisation."""

_NORMAL = (127.5, 127.5, 127.5)
FINDER_INPUT = NetworkInput(batch=1, height=-1, width=-1, mean=_NORMAL, scale=_NORMAL)


class TextReader:
    """Text detection and recognition. Thread-safe; bit-for-bit repeatable for one precision."""

    def __init__(
        self, runtime: Runtime, manifest: Manifest, precision: Precision | None = None
    ) -> None:
        if manifest.kind != "ocr":
            raise InvalidManifestError(f"{manifest.ref} is no ocr model")
        self.manifest = manifest
        self._finder = runtime.network(manifest, FINDER_INPUT, role="finder", precision=precision)
        self._reader = runtime.network(
            manifest,
            NetworkInput(batch=-1, height=LINE_HEIGHT_PX, width=-1, mean=_NORMAL, scale=_NORMAL),
            role="reader",
            head="best",
            precision=precision,
        )
        self._characters = _characters(manifest)

    def warm(self) -> None:
        """Warm-up: one inference per network, so that a task's first frame is not slower."""
        with self._finder.infer(np.full((1, 320, 320, 3), GREY, np.uint8)):
            pass
        self._read_lines([np.full((LINE_HEIGHT_PX, 160, 3), GREY, np.uint8)])

    def read(
        self,
        image_bgr: Image,
        boxes_px: Floats | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> list[list[TextLine]]:
        """The lines in each box, in reading order; without boxes, one list for the whole image.

        `boxes_px` (n, 4) float32 ltrb in pixels of the image. Lines below the `threshold` of
        `parameters` or shorter than its `min_length` are dropped (defaults: the manifest's
        threshold, 2).
        """
        threshold = self.manifest.thresholds.threshold
        min_length = 2
        if parameters is not None:
            threshold, min_length = parameters["threshold"], parameters["min_length"]
        if boxes_px is None:
            regions, origins = [image_bgr], np.zeros((1, 2), np.float32)
        else:
            regions = crops(image_bgr, boxes_px)
            origins = np.floor(boxes_px[:, :2]).clip(0, None).astype(np.float32)
        quads, columns = [], []
        for region in regions:
            found, joined = self._lines(region)
            quads.append(found)
            columns += joined
        images = [
            straighten(region, quad)
            for region, found in zip(regions, quads, strict=True)
            for quad in found
        ]
        read = iter(self._texts(images, columns, [quad for found in quads for quad in found]))
        return [
            [
                TextLine(text, confidence, quad + origin)
                for quad, (text, confidence) in zip(found, read, strict=False)
                if confidence >= threshold and len(text) >= min_length
            ]
            for found, origin in zip(quads, origins, strict=True)
        ]

    def _lines(self, region: Image) -> tuple[list[Floats], list[bool]]:
        """Detect lines, and join columns: quads in reading order, and whether each is a column."""
        quads = self._find(region)
        if not self.manifest.reads_columns:
            return quads, [False] * len(quads)
        joined, others = join_columns(quads)
        if not joined:
            return quads, [False] * len(quads)
        quads = reading_order([*joined, *others])
        return quads, [any(quad is column for column in joined) for quad in quads]

    def _texts(
        self, images: Sequence[Image], columns: Sequence[bool], quads: Sequence[Floats]
    ) -> list[tuple[str, float]]:
        """Text and confidence of each line image, as the manifest's version reads them."""
        read = self._read_both_ways(images, columns)
        if not self.manifest.reads_columns:
            return read
        return [
            (half_width(text.replace(" ", "") if joined else text), confidence)
            if is_vertical(quad)
            else (text, confidence)
            for (text, confidence), joined, quad in zip(read, columns, quads, strict=True)
        ]

    def _find(self, region: Image) -> list[Floats]:
        """Detect lines: quadrilaterals in pixels of the region."""
        canvas, size = finder_picture(region)
        with self._finder.infer(canvas[None]) as outputs:
            quads = find_quads(outputs[0][0, 0, : size[1], : size[0]])
        height, width = region.shape[:2]
        back = np.array([width / size[0], height / size[1]], np.float32)
        return [quad * back for quad in quads]

    def _read_both_ways(
        self, images: Sequence[Image], columns: Sequence[bool]
    ) -> list[tuple[str, float]]:
        """Like `_read_lines`; uncertain lines are also read upside down, and the surer one counts.

        Upright lines are read with .95 and more, most upside-down ones with less than .9. The
        letters of joined `columns` are upright.
        """
        read = self._read_lines(images)
        if not self.manifest.reads_turned:
            return read
        unsure = [
            i for i, (_, confidence) in enumerate(read) if confidence < SURE and not columns[i]
        ]
        turned = [np.asarray(cv2.rotate(images[i], cv2.ROTATE_180), np.uint8) for i in unsure]
        for i, found in zip(unsure, self._read_lines(turned), strict=True):
            if found[1] > read[i][1] + SURER_BY:
                read[i] = found
        return read

    def _read_lines(self, images: Sequence[Image]) -> list[tuple[str, float]]:
        """Text and confidence of each line image, in their order."""
        by_width: dict[int, list[int]] = {}
        scaled = [_scale_line(image) for image in images]
        for i, line in enumerate(scaled):
            by_width.setdefault(line.shape[1], []).append(i)
        read: list[tuple[str, float]] = [("", 0.0)] * len(images)
        for members in by_width.values():
            for batch in batches(members):
                with self._reader.infer(np.stack([scaled[i] for i in batch])) as outputs:
                    for i, line_read in zip(batch, self._decode(outputs), strict=True):
                        read[i] = line_read
        return read

    def _decode(self, outputs: Outputs) -> list[tuple[str, float]]:
        """Greedy CTC decoding: merge repeats, drop blanks (0). Confidence: mean probability."""
        decoded = []
        for probabilities, ids in zip(outputs[0], outputs[1], strict=True):
            keep = (ids != 0) & np.concatenate([[True], ids[1:] != ids[:-1]])
            text = "".join(self._characters[i] for i in ids[keep])
            confidence = float(probabilities[keep].mean()) if text else 0.0
            decoded.append((text.strip(), confidence))
        return decoded


def finder_picture(region: Image) -> tuple[Image, Size]:
    """Scale a region for the finder and pad it; returns the picture, and its size without padding.

    The longer side gets one of `FIND_SIDES_PX`, so that small text is large enough.
    """
    height, width = region.shape[:2]
    longer = max(height, width)
    side = next((side for side in FIND_SIDES_PX if side >= longer), FIND_SIDES_PX[-1])
    ratio = min(side / longer, MAX_MAGNIFICATION)
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    padded = round_up(size[1], GRID_PX), round_up(size[0], GRID_PX)
    canvas = np.full((*padded, 3), GREY, np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(region, size, interpolation=cv2.INTER_LINEAR)
    return canvas, size


def _characters(manifest: Manifest) -> list[str]:
    """The characters by symbol index: blank, the charset, space."""
    text = manifest.read_file("charset").decode("utf-8")
    characters = ["", *text.removesuffix("\n").split("\n"), " "]
    if any(len(character) != 1 for character in characters[1:]):
        raise InvalidModelFileError(f"{manifest.ref}: the charset needs one character on each line")
    return characters


def _scale_line(image: Image) -> Image:
    """Scale a line image to the reader's height; pad it to the next width, squeeze it if longer."""
    height, width = image.shape[:2]
    scaled = max(1, round(width * LINE_HEIGHT_PX / height))
    padded = next((w for w in LINE_WIDTHS_PX if w >= scaled), LINE_WIDTHS_PX[-1])
    line = np.full((LINE_HEIGHT_PX, padded, 3), GREY, np.uint8)
    size = (min(scaled, padded), LINE_HEIGHT_PX)
    line[:, : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return line
