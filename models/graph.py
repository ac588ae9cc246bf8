"""A network before it is compiled: its input, its outputs, and what can be said more cheaply."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.preprocess import ColorFormat, PrePostProcessor

from models.errors import InvalidModelFileError
from models.manifest import InputOptions, Manifest, SsdOptions, YoloxOptions

Head: TypeAlias = Literal["as_is", "best"]
"""What a network ends in: its own outputs, or the best of the last axis and its index (i32)."""


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """Shape and normalisation of a network's image input; -1 is a dynamic dimension.

    Callers always hand in uint8 NHWC BGR; layout, channel order and (x - mean) / scale happen in
    the graph.
    """

    batch: int
    height: int
    width: int
    layout: str = "NCHW"
    channels: str = "BGR"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @classmethod
    def of(cls, options: InputOptions, batch: int) -> "NetworkInput":
        """The input that a manifest describes, for `batch` images at once (-1: any number)."""
        return cls(
            batch=batch,
            height=options.height,
            width=options.width,
            layout=options.layout,
            channels=options.channels,
            mean=options.mean,
            scale=options.scale,
        )


def attach_input(model: ov.Model, network_input: NetworkInput) -> ov.Model:
    if len(model.inputs) != 1:
        raise InvalidModelFileError(f"has {len(model.inputs)} inputs; one image input is needed")
    shape = [network_input.batch, 3, network_input.height, network_input.width]
    if network_input.layout == "NHWC":
        shape = [shape[0], shape[2], shape[3], shape[1]]
    found = model.input().partial_shape
    if not found.compatible(ov.PartialShape(shape)):
        raise InvalidModelFileError(
            f"takes {found}, which {network_input.layout} {shape} does not fit"
        )
    if found != ov.PartialShape(shape):
        model.reshape(ov.PartialShape(shape))
    steps = PrePostProcessor(model)
    image = steps.input()
    image.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    image.tensor().set_color_format(ColorFormat.BGR)
    image.model().set_layout(ov.Layout(network_input.layout))
    to_model = image.preprocess().convert_element_type(ov.Type.f32)
    if network_input.channels == "RGB":
        to_model.convert_color(ColorFormat.RGB)
    if any(network_input.mean):
        to_model.mean(list(network_input.mean))
    if any(value != 1.0 for value in network_input.scale):
        to_model.scale(list(network_input.scale))
    return steps.build()


def attach_head(model: ov.Model, manifest: Manifest, head: Head) -> ov.Model:
    """End a detect network in what the decoders of `models.postprocess` take.

    nanodet, yolox: best score (1, anchors) f32, its class (1, anchors) i32, regression (1, anchors,
    k) f32, so that Python only touches the few anchors above the threshold. ssd: rows (n, 7) f32.
    """
    decoder, size = manifest.decoder, manifest.input
    if head == "best":
        best = _best([_as_f32(model.output())])
        return ov.Model([node.output(0) for node in best], model.get_parameters(), manifest.ref)
    if decoder is None or size is None:
        return model
    n_classes = len(manifest.classes)
    outputs = [_as_f32(output) for output in model.outputs]
    if isinstance(decoder, SsdOptions):
        shape = model.outputs[0].partial_shape
        if len(outputs) != 1 or shape.rank.get_length() != 4 or shape[3] != 7:
            raise InvalidModelFileError(
                f"decoder ssd needs one output [1,1,n,7], not {_shapes(model)}"
            )
        rows = ops.reshape(outputs[0], np.array([-1, 7], np.int64), False)
        return ov.Model([rows.output(0)], model.get_parameters(), manifest.ref)
    n_anchors = [-(-size.height // s) * -(-size.width // s) for s in decoder.strides]
    if isinstance(decoder, YoloxOptions):
        if len(outputs) != 1 or list(shape_of(model.outputs[0])) != [
            1,
            sum(n_anchors),
            5 + n_classes,
        ]:
            raise InvalidModelFileError(
                f"decoder yolox needs one output [1,{sum(n_anchors)},{5 + n_classes}] for "
                f"{n_classes} classes, not {_shapes(model)}"
            )
        regression, objectness, classes = _split(outputs[0], [4, 1, n_classes])
        best, class_ids = _best([classes])
        best = ops.multiply(best, ops.squeeze(objectness, np.array([2])))
    else:
        scores, regression = _nanodet_parts(model, outputs, n_anchors, n_classes)
        best, class_ids = _best(scores)
    results = [node.output(0) for node in (best, class_ids)] + [_output(regression)]
    return ov.Model(results, model.get_parameters(), manifest.ref)


def _nanodet_parts(
    model: ov.Model, outputs: list[Any], n_anchors: list[int], n_classes: int
) -> tuple[Sequence[ov.Output], Any]:
    """Scores, in parts, and regression over all anchors: from one output, or two per stride."""
    shapes = [list(shape_of(output)) for output in model.outputs]
    total = sum(n_anchors)
    if len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][:2] == [1, total]:
        n_regression = shapes[0][2] - n_classes
        if n_regression >= 8 and n_regression % 4 == 0:
            scores, regression = _split(outputs[0], [n_classes, n_regression])
            return [scores], regression
    per_stride = [
        [i for i, s in enumerate(shapes) if len(s) == 3 and s[:2] == [1, n]] for n in n_anchors
    ]
    classes = [[i for i in found if shapes[i][2] == n_classes] for found in per_stride]
    distances = [[i for i in found if shapes[i][2] != n_classes] for found in per_stride]
    if any(len(found) != 1 for found in classes + distances):
        raise InvalidModelFileError(
            f"decoder nanodet needs [1,{total},{n_classes}+4k] or, per stride, [1,n,{n_classes}] "
            f"and [1,n,4k] with n in {n_anchors}, not {_shapes(model)}"
        )
    widths = {shapes[found[0]][2] for found in distances}
    if len(widths) != 1 or widths.pop() % 4:
        raise InvalidModelFileError(f"decoder nanodet: distances differ: {_shapes(model)}")
    channels_last = _ChannelsLast()
    scores = [channels_last(outputs[found[0]]) for found in classes]
    return scores, ops.concat([channels_last(outputs[found[0]]) for found in distances], 1)


def _best(parts: Sequence[ov.Output]) -> tuple[Any, Any]:
    """The best of the last axis and its index, over all anchors of (1, n, classes) parts.

    A sigmoid keeps the order: where scores end in it, it is taken of the best ones alone.
    """
    nodes = [part.get_node() for part in parts]
    last = all(node.get_type_name() == "Sigmoid" for node in nodes)
    if last:
        parts = [node.input_value(0) for node in nodes]
    scores = ops.concat(parts, 1) if len(parts) > 1 else parts[0]
    top = ops.topk(scores, np.int32(1), 2, "max", "none", index_element_type="i32")
    axis = np.array([2])
    best, index = ops.squeeze(top.output(0), axis), ops.squeeze(top.output(1), axis)
    return (ops.sigmoid(best) if last else best), index


class _ChannelsLast:
    """Heads whose channels come last: (1, c, h, w) to (1, h * w, c), as decoders want them.

    Networks are exported with the channels first, and their heads end in a transposition of all
    scores. A CPU computes with the channels last: there, transposing first, before the split into
    scores and distances, moves nothing at all. Values are the same to the bit.
    """

    def __init__(self) -> None:
        self._splits: dict[str, list[Any]] = {}

    def __call__(self, output: ov.Output) -> ov.Output:
        """The same values in an order that is cheaper to come by, or the output as it is."""
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
        shape = np.array([n, height * width, channels])
        flat = ops.reshape(self._transposed(planes), shape, False)
        return (ops.sigmoid(flat) if sigmoid else flat).output(0)

    def _transposed(self, planes: ov.Output) -> Any:
        split = planes.get_node()
        if split.get_type_name() != "VariadicSplit" or _constant(split, 1) not in (1, [1]):
            return ops.transpose(planes, np.array([0, 2, 3, 1]))
        name = split.get_friendly_name()
        if name not in self._splits:
            whole = ops.transpose(split.input_value(0), np.array([0, 2, 3, 1]))
            lengths = [part.shape[1] for part in split.outputs()]
            self._splits[name] = _split(whole, lengths, axis=3)
        return self._splits[name][planes.get_index()]


def simplify(model: ov.Model) -> None:
    """Say the same, to the bit, in fewer operations than OpenVINO makes of it by itself.

    A pad with the least value before a max pooling becomes the pooling's own.
    """
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


def _constant(node: Any, index: int) -> Any:
    """The value of a constant input as a Python list or number; None if there is no such input."""
    if index >= node.get_input_size():
        return None
    source = node.input_value(index).get_node()
    return source.get_data().tolist() if source.get_type_name() == "Constant" else None


def _split(node: Any, lengths: list[int], axis: int = 2) -> list[Any]:
    return list(ops.variadic_split(node, np.int64(axis), np.array(lengths, np.int64)).outputs())


def _as_f32(output: ov.Output) -> Any:
    source = output.get_node().input_value(0)
    return source if source.element_type == ov.Type.f32 else ops.convert(source, "f32").output(0)


def _output(node: Any) -> Any:
    return node if isinstance(node, ov.Output) else node.output(0)


def shape_of(output: ov.Output) -> list[int]:
    return [d.get_length() if d.is_static else -1 for d in output.partial_shape]


def _shapes(model: ov.Model) -> str:
    return ", ".join(str(output.partial_shape) for output in model.outputs)
