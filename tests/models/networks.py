"""Tiny networks with known outputs, as OpenVINO IR or ONNX, the way a user would bring them."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from models.importer import UserModel

SIZE = 64
STRIDES = (8, 16, 32)
N_ANCHORS = 64 + 16 + 4

Floats = npt.NDArray[np.float32]


def own_model(network: Path, /, **changes: object) -> UserModel:
    """A user's request with two classes, whose file is written beside the network."""
    classes = network.with_suffix(".txt")
    if not classes.exists():
        classes.write_text("person\nforklift\n", encoding="utf-8")
    options = {"network": network, "classes": classes, "decoder": "yolox", "name": "mine"} | changes
    return UserModel(**options)  # type: ignore[arg-type]  # tests also pass what is wrong


def write_ir(
    path: Path, outputs: Sequence[Floats], shape: Sequence[int] = (1, 3, SIZE, SIZE)
) -> Path:
    """A network that gives `outputs` whatever it sees."""
    image = ops.parameter(list(shape), np.float32, name="image")
    nothing = ops.multiply(ops.reduce_mean(image, np.array([0, 1, 2, 3])), np.float32(0))
    results = [ops.add(ops.constant(output), nothing) for output in outputs]
    ov.save_model(ov.Model(results, [image], "tiny"), str(path), compress_to_fp16=False)
    return path


def write_bright_spots(
    path: Path, shape: Sequence[int] = (1, 3, -1, -1), *, n_layers: int = 0
) -> Path:
    """A YOLOX of any size: an object of one cell of stride 8 wherever the picture is white.

    Before its head it has `n_layers` convolutions, which mix their channels and sum up to one.
    """
    image = ops.parameter(list(shape), np.float32, name="image")
    rng, planes = np.random.default_rng(3), image
    for layer in range(n_layers):
        weights = rng.uniform(0.5, 1, (8, 3 if layer == 0 else 8, 1, 1)).astype(np.float32)
        weights /= weights.sum(axis=1, keepdims=True)
        planes = ops.relu(
            ops.convolution(planes, ops.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
        )
    brightness = ops.divide(ops.reduce_mean(planes, np.array([1]), True), np.float32(255))
    rows = []
    for stride in STRIDES:
        cells = ops.avg_pool(
            brightness, [stride, stride], [0, 0], [0, 0], [stride, stride], exclude_pad=True
        )
        weights = np.zeros((7, 1, 1, 1), np.float32)
        weights[4] = 1.0 if stride == STRIDES[0] else 0.0  # objectness
        bias = np.array([0.5, 0.5, 0, 0, 0, 1, 0], np.float32).reshape(1, 7, 1, 1)
        planes = ops.convolution(cells, ops.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
        flat = ops.reshape(ops.add(planes, ops.constant(bias)), np.array([0, 7, -1]), True)
        rows.append(ops.transpose(flat, np.array([0, 2, 1])))
    ov.save_model(
        ov.Model([ops.concat(rows, 1)], [image], "spots"), str(path), compress_to_fp16=False
    )
    return path


def write_onnx(path: Path, output: Floats) -> Path:
    """The same as ONNX with one output (the format is Protocol Buffers, encoded by hand here)."""
    axes_all = _node("ReduceMean", ["image"], ["mean"], _attribute("keepdims", 0))
    zero = _node("Mul", ["mean", "zero"], ["nothing"])
    add = _node("Add", ["constant", "nothing"], ["output"])
    graph = b"".join(
        [
            _bytes(1, axes_all),
            _bytes(1, zero),
            _bytes(1, add),
            _bytes(2, b"tiny"),
            _bytes(5, _tensor("zero", np.zeros((), np.float32))),
            _bytes(5, _tensor("constant", output)),
            _bytes(11, _value("image", (1, 3, SIZE, SIZE))),
            _bytes(12, _value("output", output.shape)),
        ]
    )
    model = _int(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _int(2, 13))
    path.write_bytes(model)
    return path


def yolox_output(scores: dict[int, tuple[float, float, float]]) -> Floats:
    """(1, anchors, 7): objectness and two class scores by anchor; boxes are two strides wide."""
    output = np.zeros((1, N_ANCHORS, 7), np.float32)
    output[..., 2:4] = np.log(2)
    for anchor, values in scores.items():
        output[0, anchor, 4:] = values
    return output


def nanodet_output(scores: dict[int, tuple[float, float]], bins: int = 8) -> Floats:
    """(1, anchors, 2 + 4 * bins): by anchor: two class scores; every side is one stride away."""
    output = np.zeros((1, N_ANCHORS, 2 + 4 * bins), np.float32)
    output[..., 2:].reshape(N_ANCHORS, 4, bins)[..., 1] = 50
    for anchor, values in scores.items():
        output[0, anchor, :2] = values
    return output


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _int(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _attribute(name: str, value: int) -> bytes:
    """AttributeProto: name 1, integer 3, type 20 (2: integer)."""
    return _bytes(1, name.encode()) + _int(3, value) + _int(20, 2)


def _node(operation: str, inputs: list[str], outputs: list[str], attribute: bytes = b"") -> bytes:
    parts = [_bytes(1, name.encode()) for name in inputs]
    parts += [_bytes(2, name.encode()) for name in outputs]
    parts.append(_bytes(4, operation.encode()))
    if attribute:
        parts.append(_bytes(5, attribute))
    return b"".join(parts)


def _tensor(name: str, values: Floats) -> bytes:
    dims = b"".join(_int(1, d) for d in values.shape)
    raw = struct.pack(f"<{values.size}f", *values.ravel().tolist())
    return dims + _int(2, 1) + _bytes(8, name.encode()) + _bytes(9, raw)


def _value(name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(_bytes(1, _int(1, d)) for d in shape)
    tensor_type = _int(1, 1) + _bytes(2, dims)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor_type))
