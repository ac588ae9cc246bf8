"""OpenVINO pre- and post-processing that is attached to a network before it is compiled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from models.errors import InvalidModelFileError
from models.graph_passes import channels_last, resize_network
from models.heads import attach_boxes, fix_extra_inputs
from models.manifest import BoxesOptions, InputOptions, Manifest, SsdOptions, YoloxOptions
from models.sizes import Size
from models.types import Floats

Head: TypeAlias = Literal["as_is", "best"]
"""The outputs of a network: its own, or the maximum of the last axis and its index (i32)."""


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """Shape and normalisation of a network's image input; -1 is a dynamic dimension.

    Callers always pass uint8 NHWC BGR. The graph converts the layout and the channel order, and
    computes (x - mean) / scale.
    """

    batch: int
    height: int
    width: int
    layout: str = "NCHW"
    channels: str = "BGR"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resizes: bool = False
    """Whether the network may be given another size than the one that it was exported with."""

    @classmethod
    def of(cls, options: InputOptions, batch: int, size: Size | None = None) -> "NetworkInput":
        """The input that a manifest describes, for batches of `batch` images (-1: any number).

        `size` (width, height): instead of the manifest's, for `shape = "source"`.
        """
        width, height = size or (options.width, options.height)
        return cls(
            batch=batch,
            height=height,
            width=width,
            resizes=options.shape == "source",
            layout=options.layout,
            channels=options.channels,
            mean=options.mean,
            scale=options.scale,
        )


def attach_input(model: ov.Model, network_input: NetworkInput) -> ov.Model:
    model = fix_extra_inputs(model, network_input.width, network_input.height)
    shape = [network_input.batch, 3, network_input.height, network_input.width]
    if network_input.layout == "NHWC":
        shape = [shape[0], shape[2], shape[3], shape[1]]
    if network_input.resizes:
        resize_network(model, shape, height_axis=2 if network_input.layout == "NCHW" else 1)
    found = model.input().partial_shape
    if not found.compatible(ov.PartialShape(shape)):
        raise InvalidModelFileError(
            f"takes {found}, which {network_input.layout} {shape} does not fit"
        )
    if found != ov.PartialShape(shape):
        model.reshape(ov.PartialShape(shape))
    size = [network_input.batch, network_input.height, network_input.width, 3]
    image = ops.parameter(ov.PartialShape(size), ov.Type.u8, name="image")
    (taken,) = model.get_parameters()
    pixels = _pixels(image, network_input)
    if taken.element_type != ov.Type.f32:
        pixels = ops.convert(pixels, taken.element_type)
    taken.output(0).replace(pixels.output(0))
    return ov.Model(model.outputs, [image], model.get_friendly_name())


def _pixels(image: Any, network_input: NetworkInput) -> Any:
    """Convert (n, height, width, 3) u8 BGR to the network's layout, channel order and range.

    Images of a fixed size are normalised as rows of width * 3 values, which vectorise well; three
    channels do not. The NHWC to NCHW transpose that follows is free, because the CPU plugin keeps
    the tensor in NHWC. Images of a dynamic size are normalised plane by plane.
    """
    height, width = network_input.height, network_input.width
    mean, scale = (np.array(v, np.float32) for v in (network_input.mean, network_input.scale))
    if network_input.channels == "RGB":
        mean, scale = mean[::-1], scale[::-1]
    to_planes, channel_axis, channels = [0, 3, 1, 2], 1, [3, 1, 1]
    if network_input.layout == "NHWC":
        to_planes, channel_axis, channels = [0, 1, 2, 3], 3, [3]
    if height > 0 and width > 0:
        rows = ops.reshape(image, np.array([-1, height, width * 3]), False)
        rows = _normalised(rows, np.tile(mean, width), np.tile(scale, width))
        pixels = ops.transpose(
            ops.reshape(rows, np.array([-1, height, width, 3]), False), to_planes
        )
    else:
        planes = ops.transpose(image, to_planes)
        pixels = _normalised(planes, mean.reshape(channels), scale.reshape(channels))
    if network_input.channels == "RGB":
        pixels = ops.gather(pixels, np.array([2, 1, 0]), np.int64(channel_axis))
    return pixels


def _normalised(pixels: Any, mean: Floats, scale: Floats) -> Any:
    pixels = ops.convert(pixels, "f32")
    if mean.any():
        pixels = ops.subtract(pixels, mean)
    return ops.divide(pixels, scale) if (scale != 1.0).any() else pixels


def attach_head(
    model: ov.Model, manifest: Manifest, head: Head, network_input: NetworkInput
) -> ov.Model:
    """Convert a detect network's outputs to the inputs of the decoders in `models.postprocess`.

    nanodet, yolox: best score (1, anchors) f32, its class (1, anchors) i32, regression (1, anchors,
    k) f32. Python then processes only the few anchors above the threshold. boxes: the same, with
    decoded boxes (`models.heads`). ssd: rows (n, 7) f32.
    """
    decoder, size = manifest.decoder, network_input
    if head == "best":
        best = _best([_as_f32(model.output())])
        return ov.Model([node.output(0) for node in best], model.get_parameters(), manifest.ref)
    if manifest.kind == "feature":
        if manifest.output >= len(model.outputs):
            raise InvalidModelFileError(f"has no output {manifest.output}: {_shapes(model)}")
        chosen = _output(_as_f32(model.outputs[manifest.output]))
        return ov.Model([chosen], model.get_parameters(), manifest.ref)
    if decoder is None:
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
    if isinstance(decoder, BoxesOptions):
        parts = attach_boxes(model, decoder, n_classes, (size.width, size.height))
        return ov.Model([_output(part) for part in parts], model.get_parameters(), manifest.ref)
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
    """Scores (a list of parts) and regression of all anchors, from one output or two per stride."""
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
    scores = [channels_last(outputs[found[0]]) for found in classes]
    return scores, ops.concat([channels_last(outputs[found[0]]) for found in distances], 1)


def _best(parts: Sequence[ov.Output]) -> tuple[Any, Any]:
    """Maximum of the last axis and its index, for all anchors of (1, n, classes) parts.

    Sigmoid is monotonic: if all scores end in it, it is computed only for the maxima.
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


def _split(node: Any, lengths: list[int]) -> list[Any]:
    return list(ops.variadic_split(node, np.int64(2), np.array(lengths, np.int64)).outputs())


def _as_f32(output: ov.Output) -> Any:
    source = output.get_node().input_value(0)
    return source if source.element_type == ov.Type.f32 else ops.convert(source, "f32").output(0)


def _output(node: Any) -> Any:
    return node if isinstance(node, ov.Output) else node.output(0)


def shape_of(output: ov.Output) -> list[int]:
    return [d.get_length() if d.is_static else -1 for d in output.partial_shape]


def _shapes(model: ov.Model) -> str:
    return ", ".join(str(output.partial_shape) for output in model.outputs)
