"""OpenVINO graph optimisations that OpenVINO does not do itself; results are bit-for-bit equal."""

from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from models.errors import InvalidModelFileError
from models.types import Floats


def channels_last(output: ov.Output) -> ov.Output:
    """Move the final transpose of a head's output (1, h * w, c) to its start, if it matches.

    Networks are exported with the channels first, and their heads end in a transpose of all
    scores. A CPU computes with the channels last, so a transpose before the flatten or split copies
    no data. Values are bit-for-bit equal. Another pattern is returned unchanged.
    """
    transpose = output.get_node()
    if transpose.get_type_name() != "Transpose" or _constant(transpose, 1) != [0, 2, 1]:
        return output
    reshape = transpose.input_value(0).get_node()
    if reshape.get_type_name() != "Reshape":
        return output
    planes = reshape.input_value(0)
    if planes.partial_shape.is_dynamic or len(planes.shape) != 4:
        return output
    n, channels, height, width = planes.shape
    if list(reshape.output(0).shape) != [n, channels, height * width]:
        return output
    sigmoid = planes.get_node().get_type_name() == "Sigmoid"
    if sigmoid:
        planes = planes.get_node().input_value(0)
    rows = ops.transpose(_part_of_convolution(planes), np.array([0, 2, 3, 1]))
    flat = ops.reshape(rows, np.array([n, height * width, channels]), False)
    return (ops.sigmoid(flat) if sigmoid else flat).output(0)


def _part_of_convolution(planes: ov.Output) -> Any:
    """Replace a split of a convolution's channels by a convolution that computes only those.

    The weights are split once, at compile time; the channels would be split for every frame.
    """
    split = planes.get_node()
    if split.get_type_name() != "VariadicSplit" or _constant(split, 1) not in (1, [1]):
        return planes
    add = split.input_value(0).get_node()
    if add.get_type_name() != "Add":
        return planes
    whole = add.input_value(0).get_node()
    weights, bias = _weights(whole, 1), _weights(add, 1)
    if whole.get_type_name() != "Convolution" or weights is None or bias is None:
        return planes
    if bias.shape != (1, len(weights), 1, 1):
        return planes
    options = whole.get_attributes()
    first = sum(part.shape[1] for part in split.outputs()[: planes.get_index()])
    ours = slice(first, first + planes.shape[1])
    convolution = ops.convolution(
        whole.input_value(0),
        ops.constant(weights[ours]),
        options["strides"],
        options["pads_begin"],
        options["pads_end"],
        options["dilations"],
        options["auto_pad"],
    )
    return ops.add(convolution, ops.constant(bias[:, ours]))


def simplify(model: ov.Model) -> None:
    """Fold a `Pad` with -inf into the padding of the `MaxPool` that follows, in place."""
    for pool in model.get_ordered_ops():
        if pool.get_type_name() != "MaxPool":
            continue
        pad = pool.input_value(0).get_node()
        options = pool.get_attributes()
        if (
            pad.get_type_name() != "Pad"
            or pad.get_attributes()["pad_mode"] != "constant"
            or _constant(pad, 3) != -np.inf
            or options["rounding_type"] != "floor"
            or options["auto_pad"] not in ("explicit", "valid")
            or any(options["pads_begin"] + options["pads_end"])
        ):
            continue
        before, after = _constant(pad, 1), _constant(pad, 2)
        if (
            before is None
            or after is None
            or min(before + after) < 0
            or any(before[:2] + after[:2])
        ):
            continue
        pooled = ops.max_pool(
            pad.input_value(0),
            options["strides"],
            options["dilations"],
            before[2:],
            after[2:],
            options["kernel"],
            "floor",
        )
        pool.output(0).replace(pooled.output(0))


def resize_network(model: ov.Model, shape: list[int], *, height_axis: int) -> None:
    """Give a network of static size another height and width, in place.

    `shape` is the new shape of its only input. Sizes of `Interpolate` that an export has baked in
    grow alike. A network of dynamic size is left as it is. Raises RuntimeError if the network
    cannot have this size.
    """
    found = model.input().partial_shape
    if found.is_dynamic or len(shape) != found.rank.get_length():
        return
    (before_h, before_w) = (found[axis].get_length() for axis in (height_axis, height_axis + 1))
    height, width = shape[height_axis], shape[height_axis + 1]
    if (before_h, before_w) == (height, width):
        return
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Interpolate":
            continue
        sizes = _constant(node, 1)
        if sizes is None or len(sizes) != 2:
            raise InvalidModelFileError("has an Interpolate that does not follow its input's size")
        scaled = [sizes[0] * height / before_h, sizes[1] * width / before_w]
        if any(not size.is_integer() for size in scaled):
            raise InvalidModelFileError(f"cannot be resized to {width}x{height}")
        node.input(1).replace_source_output(ops.constant(np.array(scaled, np.int64)).output(0))
    (image,) = model.get_parameters()
    image.set_partial_shape(ov.PartialShape(shape))
    model.validate_nodes_and_infer_types()


def _constant(node: Any, index: int) -> Any:
    """A constant input's value as a Python list or number; None if there is no such input."""
    if index >= node.get_input_size():
        return None
    source = node.input_value(index).get_node()
    return source.get_data().tolist() if source.get_type_name() == "Constant" else None


def _weights(node: Any, index: int) -> Floats | None:
    """A constant input's values as f32, stored as f32 or compressed; None for anything else."""
    if index >= node.get_input_size():
        return None
    source = node.input_value(index).get_node()
    if source.get_type_name() == "Convert":
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant":
        return None
    return np.asarray(source.get_data(), np.float32)
