"""What a network file says of itself: the format of its outputs, its input, its class names.

Formats are told apart by the names and shapes of outputs and by metadata: ONNX properties (which
OpenVINO keeps under `framework`), `model_info` of OpenVINO's own tools, and files beside the
network. What is not certain is named, never guessed.
"""

import ast
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from models.class_names import COCO_80, COCO_91
from models.errors import InvalidModelFileError
from models.heads import image_input
from models.manifest import BoxesOptions
from models.network_file import NetworkFile, Shape, class_names, load_network, read_network
from models.output_formats import IMAGENET, Recognised, Triple, format_of

_MAX_DIMENSIONS = 4096
_DECODED_PX = 40.0
"""Decoded centres reach the size of the input; undecoded ones are a few cells."""


def recognise(network: Path, content: bytes, weights: bytes) -> Recognised:
    """Recognise a detector; raises InvalidModelFileError with what it is, or what is unknown.

    `network` is where it lies: files beside it may have its class names and normalisation.
    """
    core = ov.Core()
    model = load_network(core, network, content, weights)
    file = read_network(model, network)
    classes = class_names(file)
    _refuse_other_tasks(file, network.name)
    by_outputs = format_of(file, len(classes) or None, lambda: _is_decoded(model, core))
    if by_outputs is None:
        raise InvalidModelFileError(
            f"{network.name}: no known format of outputs: {file.listed}. State --decoder"
        )
    found, n_classes = by_outputs
    if not classes:
        classes = {80: COCO_80, 91: COCO_91}.get(n_classes or 0, ())
    doubts = list(found.doubts)
    if not classes:
        said = f"{n_classes} classes" if n_classes else "classes of unknown number"
        doubts.append(f"it names no classes ({said}): state --classes FILE")
    elif n_classes is not None and len(classes) not in {n_classes, n_classes - 1}:
        doubts.append(
            f"it names {len(classes)} classes and gives scores of {n_classes}: state --classes FILE"
        )
    height, width = file.size
    if "imgsz" in file.framework and min(height, width) < 1:
        height, width = _size(file.framework["imgsz"])
    found = replace(
        found,
        classes=classes,
        width=width if width > 0 else None,
        height=height if height > 0 else None,
        doubts=tuple(doubts),
    )
    return _with_metadata(found, file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A network of feature vectors; `is_assumed`: the file says nothing of its input's range."""

    output: int
    dimensions: int
    format: Recognised
    is_assumed: bool


def recognise_embedding(network: Path, content: bytes, weights: bytes) -> Embedding:
    """Recognise a network of feature vectors; raises InvalidModelFileError, naming its outputs."""
    file = read_network(load_network(ov.Core(), network, content, weights), network)
    output = file.at("image_embeds", "embeddings", "embedding", "features", "pooler_output")
    vectors = [i for i, (_, shape) in enumerate(file.outputs) if _dimensions(shape)]
    if output is None and len(vectors) == 1:
        output = vectors[0]
    dimensions = 0 if output is None else _dimensions(file.outputs[output][1])
    if output is None or not dimensions:
        raise InvalidModelFileError(
            f"{network.name}: no output is one vector a picture: {file.listed}"
        )
    height, width = file.size
    usual = Recognised(
        family="feature vectors",
        decoder=BoxesOptions(),
        width=width if width > 0 else None,
        height=height if height > 0 else None,
        mean=IMAGENET[0],
        scale=IMAGENET[1],
        resize="plain",
    )
    stated = _with_metadata(usual, file)
    is_assumed = (stated.mean, stated.scale) == IMAGENET and not file.beside.get("image_mean")
    return Embedding(output=output, dimensions=dimensions, format=stated, is_assumed=is_assumed)


def _dimensions(shape: Shape) -> int:
    """The length of one vector a picture; 0 for other shapes: (n, d) or (n, d, 1, 1)."""
    if len(shape) < 2 or any(length != 1 for length in shape[2:]):
        return 0
    return shape[1] if 1 < shape[1] <= _MAX_DIMENSIONS else 0


def _refuse_other_tasks(file: NetworkFile, name: str) -> None:
    task = file.framework.get("task") or file.model_info.get("task_type") or file.beside.get("task")
    if task not in {None, "detect", "detection"}:
        raise InvalidModelFileError(f"{name} is a model for {task}: only detectors can be used")
    if any(len(shape) == 4 and shape[1:2] == [32] for _, shape in file.outputs[1:]):
        raise InvalidModelFileError(f"{name} is a segmentation model: only detectors can be used")


def _is_decoded(model: ov.Model, core: ov.Core) -> bool:
    """Whether the first two columns are centres in pixels: one frame of noise tells."""
    shape = list(image_input(model).shape)
    noise = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": ov.Type.f32})
    rows = next(iter(compiled([noise.astype(compiled.inputs[0].element_type.to_dtype())]).values()))
    return bool(np.abs(rows[0, :, :2]).max() > _DECODED_PX)


def _with_metadata(found: Recognised, file: NetworkFile) -> Recognised:
    """Apply what `model_info` or Hugging Face's files say of input and thresholds."""
    info, changes = file.model_info, dict[str, Any]()
    if "resize_type" in info:
        changes["resize"] = "letterbox" if "letterbox" in info["resize_type"] else "plain"
    if info.get("pad_value", "").isdecimal():
        changes["pad_value"] = int(info["pad_value"])
    if "reverse_input_channels" in info:
        reversed_ = info["reverse_input_channels"].lower() in {"yes", "true", "1"}
        changes["channels"] = "RGB" if reversed_ else "BGR"
    for name, key in (("mean", "mean_values"), ("scale", "scale_values")):
        numbers = _triple(info.get(key))
        if numbers is not None:
            changes[name] = numbers
    for name, key in (("threshold", "confidence_threshold"), ("iou_threshold", "iou_threshold")):
        number = _fraction(info.get(key))
        if number is not None:
            changes[name] = number
    mean, std = file.beside.get("image_mean"), file.beside.get("image_std")
    if isinstance(mean, list) and isinstance(std, list) and len(mean) == len(std) == 3:
        try:
            changes["mean"] = tuple(255.0 * float(value) for value in mean)
            changes["scale"] = tuple(255.0 * float(value) for value in std)
        except (ValueError, TypeError) as exc:
            raise InvalidModelFileError(
                "beside the network, 'image_mean' and 'image_std' must be numbers"
            ) from exc
    return replace(found, **changes)


def _triple(text: str | None) -> Triple | None:
    if not text:
        return None
    try:
        numbers = [float(part) for part in text.replace(",", " ").strip("[]() ").split()]
    except ValueError:
        return None
    if len(numbers) == 1:
        numbers *= 3
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None


def _fraction(text: str | None) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None


def _size(text: str) -> tuple[int, int]:
    """Ultralytics' `imgsz`: [height, width]; (-1, -1) if it cannot be read."""
    try:
        height, width = ast.literal_eval(text)
        return int(height), int(width)
    except (ValueError, SyntaxError, TypeError):
        return -1, -1
