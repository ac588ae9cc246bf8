"""The quantised networks that ship: each is made from the network that ships beside it."""

from pathlib import Path

import numpy as np
import openvino as ov

from models.convert.calibration import pictures
from models.convert.quantize import float_input, quantize
from models.graph_io import NetworkInput
from models.manifest import InputOptions, Manifest
from models.ocr import FINDER_INPUT, finder_picture
from models.preprocess import fit
from models.registry import Registry
from models.sizes import InputFit, SourceShape
from models.types import Floats, Image

_EVERY_PICTURE_OF_FINDER = 3
"""The finder's pictures are large: every third one is enough."""


def detector(clips: Path) -> ov.Model:
    """Quantise NanoDet-g at the size with which it was exported."""
    manifest = Registry().resolve("nanodet-g@1.1.0")
    options = manifest.input
    if options is None:
        raise ValueError(f"{manifest.ref} has no input")
    fitted = [_fitted(picture, options) for picture in pictures(clips)]
    network_input = NetworkInput.of(options, batch=1)
    return quantize(_network(manifest, "network"), fitted, float_input(network_input))


def finder(clips: Path) -> ov.Model:
    """Quantise PP-OCRv6's finder, which takes any size."""
    manifest = Registry().resolve("ppocr@6.0.0")
    found = [finder_picture(picture)[0] for picture in pictures(clips)[::_EVERY_PICTURE_OF_FINDER]]
    return quantize(_network(manifest, "finder"), found, _finder_input)


def _finder_input(picture: Image) -> Floats:
    return float_input(FINDER_INPUT)(np.asarray(picture))


def _fitted(picture: Image, options: InputOptions) -> Image:
    square = InputFit(options.width, options.height, letterbox=True, pad_value=options.pad_value)
    return fit(picture, square, SourceShape(picture.shape[1], picture.shape[0]))


def _network(manifest: Manifest, role: str) -> ov.Model:
    return ov.Core().read_model(
        model=manifest.read_file(role), weights=manifest.read_file(f"{role}.weights")
    )
