"""Heads whose boxes are decoded in the graph: every export format ends in score, class and box.

A head is described by `BoxesOptions`. Whatever the network's own outputs are, the graph then has
best score (1, n) f32, its class (1, n) i32 and box (1, n, 4) f32, ltrb in network pixels.
"""

from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from models.errors import InvalidModelFileError
from models.manifest import BoxesOptions

EXTRA_INPUTS = frozenset({"orig_target_sizes", "scale_factor", "im_shape"})
"""Inputs besides the image that are known, and become constants."""


def image_input(model: ov.Model) -> ov.Output:
    """The image among a network's inputs; raises InvalidModelFileError if others are unknown."""
    others = [port for port in model.inputs if not EXTRA_INPUTS & port.get_names()]
    if len(others) != 1:
        names = ", ".join(sorted(port.get_any_name() for port in model.inputs if port.get_names()))
        raise InvalidModelFileError(
            f"has {len(model.inputs)} inputs ({names}); one image input is needed"
        )
    return others[0]


def fix_extra_inputs(model: ov.Model, width: int, height: int) -> ov.Model:
    """Replace the inputs besides the image by constants for its size."""
    values = {
        "orig_target_sizes": [[width, height]],
        "scale_factor": [[1, 1]],
        "im_shape": [[height, width]],
    }
    image = image_input(model).get_node()
    extra = [node for node in model.get_parameters() if node != image]
    for node in extra:
        (name,) = EXTRA_INPUTS & node.output(0).get_names()
        constant = ops.constant(np.array(values[name], node.element_type.to_dtype()))
        node.output(0).replace(constant.output(0))
    if not extra:
        return model
    return ov.Model(model.outputs, [image], model.get_friendly_name())


def attach_boxes(
    model: ov.Model, options: BoxesOptions, n_classes: int, size: tuple[int, int]
) -> list[Any]:
    """Return the three canonical outputs; `size` is (width, height) of the network's input.

    Raises InvalidModelFileError if the network's outputs do not fit the description.
    """
    outputs = [_as_f32(port) for port in model.outputs]
    try:
        rows = _matrix(outputs[options.boxes_output])
        if options.columns:
            rows = ops.transpose(rows, np.array([0, 2, 1]))
        boxes = _ltrb(_columns(rows, options.box, 4), options, size)
        best, class_ids = _scores(outputs, rows, options, n_classes)
    except (RuntimeError, IndexError) as exc:
        raise InvalidModelFileError(f"its outputs do not fit its decoder: {exc}") from exc
    return [best, class_ids, boxes]


def _scores(
    outputs: list[Any], rows: Any, options: BoxesOptions, n_classes: int
) -> tuple[Any, Any]:
    if options.labels_output is not None or options.label is not None:
        best = (
            _vector(outputs[options.scores_output])
            if options.scores_output is not None
            else _column(rows, options.score or 0)
        )
        labels = (
            _vector(outputs[options.labels_output])
            if options.labels_output is not None
            else _column(rows, options.label or 0)
        )
        shifted = ops.subtract(labels, np.float32(options.first_label))
        return best, ops.convert(shifted, "i32")
    if options.scores_output is not None:
        scores = _matrix(outputs[options.scores_output])
    else:
        scores = _columns(rows, options.classes, n_classes)
    if options.activation == "sigmoid":
        scores = ops.sigmoid(scores)
    elif options.activation == "softmax":
        scores = ops.softmax(scores, 2)
    width = _output(scores).partial_shape[2]
    if width.is_static and width.get_length() != n_classes:
        if width.get_length() != n_classes + options.background:
            raise InvalidModelFileError(
                f"gives scores of {width.get_length()} classes, not of {n_classes}"
            )
        scores = _columns(scores, 0, n_classes)
    top = ops.topk(scores, np.int32(1), 2, "max", "none", index_element_type="i32")
    axis = np.array([2])
    best, class_ids = ops.squeeze(top.output(0), axis), ops.squeeze(top.output(1), axis)
    if options.objectness is not None:
        best = ops.multiply(best, _column(rows, options.objectness))
    return best, class_ids


def _ltrb(boxes: Any, options: BoxesOptions, size: tuple[int, int]) -> Any:
    if options.order == "tlbr":
        boxes = ops.gather(boxes, np.array([1, 0, 3, 2]), np.int64(2))
    if options.relative:
        boxes = ops.multiply(boxes, np.array([*size, *size], np.float32))
    if options.order == "cxcywh":
        centres, halves = (
            _columns(boxes, 0, 2),
            ops.multiply(_columns(boxes, 2, 2), np.float32(0.5)),
        )
        return ops.concat([ops.subtract(centres, halves), ops.add(centres, halves)], 2)
    return boxes


def _matrix(node: Any) -> Any:
    """As (1, n, k): a batch axis is added, further axes of length 1 are dropped."""
    rank = _output(node).partial_shape.rank.get_length()
    if rank == 2:
        return ops.unsqueeze(node, np.array([0]))
    if rank == 4:
        return ops.squeeze(node, np.array([1]))
    return node


def _vector(node: Any) -> Any:
    """As (1, n)."""
    rank = _output(node).partial_shape.rank.get_length()
    if rank == 1:
        return ops.unsqueeze(node, np.array([0]))
    if rank == 3:
        return ops.squeeze(node, np.array([2]))
    return node


def _columns(rows: Any, first: int, n: int) -> Any:
    return ops.gather(rows, np.arange(first, first + n), np.int64(2))


def _column(rows: Any, at: int) -> Any:
    return ops.squeeze(_columns(rows, at, 1), np.array([2]))


def _as_f32(port: ov.Output) -> Any:
    source = port.get_node().input_value(0)
    return source if source.element_type == ov.Type.f32 else ops.convert(source, "f32").output(0)


def _output(node: Any) -> Any:
    return node if isinstance(node, ov.Output) else node.output(0)
