"""Post-training quantisation of a network to 8-bit integers, by NNCF (the extra `quantize`).

The last convolutions, whose outputs are scores and distances, stay as they are: quantised, they
would cost accuracy and save hardly any time.
"""

import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from models.errors import InvalidModelFileError, MissingExtraError
from models.graph_io import NetworkInput
from models.types import Floats, Image

_WEIGHTED = frozenset({"Convolution", "GroupConvolution", "MatMul"})


def quantize(
    model: ov.Model, pictures: Sequence[Image], to_input: Callable[[Image], Floats]
) -> ov.Model:
    """Return the quantised network; `to_input` makes its input from one of the pictures.

    The same network, pictures and versions of OpenVINO and NNCF give the same weights. Raises
    MissingExtraError without NNCF, InvalidModelFileError for a network that it cannot quantise.
    """
    try:
        import nncf  # noqa: PLC0415 - an extra, which only this function needs
    except ImportError as exc:
        raise MissingExtraError(
            "quantisation needs NNCF: pip install 'framewire[quantize]'"
        ) from exc
    nncf.set_log_level(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # its progress bars
            return nncf.quantize(
                model,
                nncf.Dataset(pictures, to_input),
                subset_size=len(pictures),
                ignored_scope=nncf.IgnoredScope(names=last_layers(model)),
                preset=nncf.QuantizationPreset.MIXED,
            )
    except (RuntimeError, ValueError, nncf.NNCFError) as exc:
        raise InvalidModelFileError(f"cannot be quantised: {exc}") from exc


def quantize_file(
    content: bytes,
    weights: bytes,
    pictures: Sequence[Image],
    to_input: Callable[[Image], Floats],
    path: Path,
) -> None:
    """Quantise a network file and write it as IR, `path` and its .bin, with 16-bit constants."""
    try:
        model = ov.Core().read_model(model=content, weights=weights)
    except RuntimeError as exc:
        raise InvalidModelFileError(f"the network does not load: {exc}") from exc
    ov.save_model(quantize(model, pictures, to_input), str(path), compress_to_fp16=True)


def last_layers(model: ov.Model) -> list[str]:
    """Names of the layers with weights after which no other one comes, in the graph's order."""
    last: set[str] = set()
    seen: set[str] = set()
    waiting: list[Any] = [result.input_value(0).get_node() for result in model.get_results()]
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        if name in seen:
            continue
        seen.add(name)
        if node.get_type_name() in _WEIGHTED:
            last.add(name)
        else:
            waiting += [value.get_node() for value in node.input_values()]
    return [n for node in model.get_ordered_ops() if (n := node.get_friendly_name()) in last]


def float_input(network_input: NetworkInput) -> Callable[[Image], Floats]:
    """A function from a fitted picture (height, width, 3) u8 BGR to the network's own input."""
    mean, scale = (np.array(v, np.float32) for v in (network_input.mean, network_input.scale))

    def convert(picture: Image) -> Floats:
        pixels = picture[..., ::-1] if network_input.channels == "RGB" else picture
        batch = ((pixels.astype(np.float32) - mean) / scale)[None]
        return (
            batch
            if network_input.layout == "NHWC"
            else np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        )

    return convert
