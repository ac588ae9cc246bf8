"""Converter from a TensorFlow.js graph model to an OpenVINO model, without TensorFlow.

Supports the operations of NanoDet's graph. A graph that was exported from ONNX has many transposes
between NCHW and NHWC. Here, each value has a pending permutation: consecutive transposes are
composed, and most of them cancel out.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from models.errors import InvalidModelFileError

Array: TypeAlias = npt.NDArray[Any]
Permutation: TypeAlias = tuple[int, ...]

NCHW_OF_NHWC: Permutation = (0, 3, 1, 2)
NHWC_OF_NCHW: Permutation = (0, 2, 3, 1)


@dataclass(frozen=True, slots=True)
class Value:
    """Tensor with a pending transpose: logical axis i is the axis `permutation[i]` of `output`."""

    output: Any
    permutation: Permutation

    def transposed(self, axes: Sequence[int]) -> "Value":
        return Value(self.output, tuple(self.permutation[axis] for axis in axes))

    def stored(self) -> Any:
        """The output, transposed to the logical order of its axes."""
        if self.permutation == tuple(range(len(self.permutation))):
            return self.output
        return ops.transpose(self.output, np.array(self.permutation, np.int64)).output(0)

    def stored_like(self, other: "Value") -> Any:
        """The output, transposed to the stored axis order of `other`."""
        return self.transposed([int(axis) for axis in np.argsort(other.permutation)]).stored()


Operand: TypeAlias = Value | Array


def convert(topology: Path) -> ov.Model:
    """Convert a graph model's JSON file; its weight files are in the same directory.

    Raises InvalidModelFileError for an operation, a layout or a data type that is not supported.
    """
    document = json.loads(topology.read_text(encoding="utf-8"))
    weights = _read_weights(document["weightsManifest"], topology.parent)
    nodes = {node["name"]: node for node in document["modelTopology"]["node"]}
    values: dict[str, list[Operand]] = {}
    parameters = []
    for name in _ordered(nodes):
        node = nodes[name]
        if node["op"] == "Const":
            values[name] = [weights[name]]
        elif node["op"] == "Placeholder":
            shape = [int(dim["size"]) for dim in node["attr"]["shape"]["shape"]["dim"]]
            parameter = ops.parameter(shape, np.float32, name=name)
            parameter.output(0).set_names({name})
            parameters.append(parameter)
            values[name] = [Value(parameter.output(0), tuple(range(len(shape))))]
        else:
            operands = [_operand(values, source) for source in node.get("input", [])]
            values[name] = _apply(node, operands)
    results = []
    for name in sorted(document["signature"]["outputs"]):
        value = _operand(values, name)
        output = _dynamic(value).stored()
        output.set_names({name})
        results.append(output)
    return ov.Model(results, parameters, topology.stem)


def _ordered(nodes: dict[str, Any]) -> list[str]:
    sources = {
        name: [_source(source)[0] for source in node.get("input", [])]
        for name, node in nodes.items()
    }
    return list(TopologicalSorter(sources).static_order())


def _source(text: str) -> tuple[str, int]:
    name, _, index = text.removeprefix("^").partition(":")
    return name, int(index or 0)


def _operand(values: dict[str, list[Operand]], text: str) -> Operand:
    name, index = _source(text)
    return values[name][index]


def _read_weights(manifest: list[dict[str, Any]], directory: Path) -> dict[str, Array]:
    weights: dict[str, Array] = {}
    for group in manifest:
        content = b"".join((directory / path).read_bytes() for path in group["paths"])
        start = 0
        for entry in group["weights"]:
            dtype = np.dtype(entry.get("quantization", entry)["dtype"])
            if entry["dtype"] not in {"float32", "int32"} or dtype.kind not in "fi":
                raise InvalidModelFileError(f"{entry['name']}: data type {dtype} is not covered")
            n = int(np.prod(entry["shape"]))
            values = np.frombuffer(content, dtype, n, start).reshape(entry["shape"])
            weights[entry["name"]] = values.astype(entry["dtype"])
            start += n * dtype.itemsize
    return weights


def _apply(node: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    if node["op"] == "Identity":
        return operands[:1]
    operation = _OPERATIONS.get(node["op"])
    if operation is None:
        raise InvalidModelFileError(f"{node['name']}: operation {node['op']} is not covered")
    return operation(node.get("attr", {}), operands)


def _transpose(_: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    return [_dynamic(operands[0]).transposed(_constant(operands[1]).tolist())]


def _add(_: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    a, b = operands
    if not isinstance(a, Value) and not isinstance(b, Value):
        return [a + b]
    if not isinstance(a, Value):
        a, b = b, a
    a = _dynamic(a)
    if isinstance(b, Value):
        other = b.stored_like(a)
    else:
        rank = len(a.permutation)
        whole = b.reshape((1,) * (rank - b.ndim) + b.shape)
        other = ops.constant(np.ascontiguousarray(whole.transpose(np.argsort(a.permutation))))
    return [Value(ops.add(a.output, other).output(0), a.permutation)]


def _conv(attributes: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    kernel = _constant(operands[1]).transpose(3, 2, 0, 1)
    image = _dynamic(operands[0]).transposed(NCHW_OF_NHWC).stored()
    strides, dilations = (_spatial(attributes, name) for name in ("strides", "dilations"))
    if image.partial_shape[1].get_length() != kernel.shape[1]:
        raise InvalidModelFileError("Conv2D with groups is not covered")
    output = ops.convolution(
        image,
        np.ascontiguousarray(kernel),
        strides,
        [0, 0],
        [0, 0],
        dilations,
        _padding(attributes),
    )
    return [Value(output.output(0), NHWC_OF_NCHW)]


def _max_pool(attributes: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    image = _dynamic(operands[0]).transposed(NCHW_OF_NHWC).stored()
    strides, kernel = (_spatial(attributes, name) for name in ("strides", "ksize"))
    output = ops.max_pool(
        image, strides, [1, 1], [0, 0], [0, 0], kernel, auto_pad=_padding(attributes)
    )
    return [Value(output.output(0), NHWC_OF_NCHW)]


def _pad(_: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    value, paddings = _dynamic(operands[0]), _constant(operands[1])
    filler = _constant(operands[2]) if len(operands) > 2 else np.float32(0)
    stored = paddings[np.argsort(value.permutation)].astype(np.int64)
    output = ops.pad(value.output, stored[:, 0], stored[:, 1], "constant", np.float32(filler))
    return [Value(output.output(0), value.permutation)]


def _leaky_relu(attributes: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    value = _dynamic(operands[0])
    slope = np.array([attributes["alpha"]["f"]], np.float32)
    return [Value(ops.prelu(value.output, slope).output(0), value.permutation)]


def _sigmoid(_: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    value = _dynamic(operands[0])
    return [Value(ops.sigmoid(value.output).output(0), value.permutation)]


def _concat(_: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    *parts, axis = operands
    first = _dynamic(parts[0])
    outputs = [first.output, *(_dynamic(part).stored_like(first) for part in parts[1:])]
    stored_axis = first.permutation[int(_constant(axis))]
    return [Value(ops.concat(outputs, stored_axis).output(0), first.permutation)]


def _split(_: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    value = _dynamic(operands[0])
    axis = value.permutation[int(_constant(operands[2]))]
    lengths = _constant(operands[1]).astype(np.int64)
    split = ops.variadic_split(value.output, np.int64(axis), lengths)
    return [Value(output, value.permutation) for output in split.outputs()]


def _reshape(_: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    shape = _constant(operands[1]).astype(np.int64)
    output = ops.reshape(_dynamic(operands[0]).stored(), shape, False).output(0)
    return [Value(output, tuple(range(len(shape))))]


def _resize_bilinear(attributes: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    if not attributes["half_pixel_centers"]["b"] or attributes["align_corners"]["b"]:
        raise InvalidModelFileError("ResizeBilinear is covered with half-pixel centres only")
    image = _dynamic(operands[0]).transposed(NCHW_OF_NHWC).stored()
    output = ops.interpolate(
        image,
        _constant(operands[1]).astype(np.int64),
        "linear_onnx",
        "sizes",
        coordinate_transformation_mode="half_pixel",
        axes=np.array([2, 3], np.int64),
    )
    return [Value(output.output(0), NHWC_OF_NCHW)]


def _sparse_to_dense(_: dict[str, Any], operands: list[Operand]) -> list[Operand]:
    indices, shape, values, default = (_constant(operand) for operand in operands)
    dense = np.full(shape, default)
    for index, value in zip(indices, np.broadcast_to(values, len(indices)), strict=True):
        dense[tuple(np.atleast_1d(index))] = value
    return [dense]


_OPERATIONS: dict[str, Callable[[dict[str, Any], list[Operand]], list[Operand]]] = {
    "Add": _add,
    "AddV2": _add,
    "ConcatV2": _concat,
    "Conv2D": _conv,
    "LeakyRelu": _leaky_relu,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "PadV2": _pad,
    "Reshape": _reshape,
    "ResizeBilinear": _resize_bilinear,
    "Sigmoid": _sigmoid,
    "SparseToDense": _sparse_to_dense,
    "SplitV": _split,
    "Transpose": _transpose,
}


def _constant(operand: Operand) -> Array:
    if isinstance(operand, Value):
        raise InvalidModelFileError("a constant is needed where the graph computes a value")
    return operand


def _dynamic(operand: Operand) -> Value:
    if isinstance(operand, Value):
        return operand
    return Value(ops.constant(operand).output(0), tuple(range(operand.ndim)))


def _spatial(attributes: dict[str, Any], name: str) -> list[int]:
    if base64.b64decode(attributes["data_format"]["s"]) != b"NHWC":
        raise InvalidModelFileError("layouts other than NHWC are not covered")
    return [int(value) for value in attributes[name]["list"]["i"][1:3]]


def _padding(attributes: dict[str, Any]) -> str:
    padding = base64.b64decode(attributes["padding"]["s"])
    return {b"VALID": "valid", b"SAME": "same_upper"}[padding]
