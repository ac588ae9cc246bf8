"""What a network file says of itself: the format of its outputs, its input, its class names.

Formats are told apart by the names and shapes of outputs and by metadata: ONNX properties (which
OpenVINO keeps under `framework`), `model_info` of OpenVINO's own tools, and files beside the
network. What is not certain is named, never guessed.
"""

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import openvino as ov
import yaml

from models.class_names import COCO_80, COCO_91
from models.errors import InvalidModelFileError
from models.heads import image_input
from models.manifest import BoxesOptions, Decoder, NanodetOptions, Resize, SsdOptions, YoloxOptions

Triple: TypeAlias = tuple[float, float, float]
Shape: TypeAlias = list[int]

IMAGENET: tuple[Triple, Triple] = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
UNIT: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
RAW: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
STRIDES = (8, 16, 32)
_MAX_NAMES = 1_000_000
_MAX_DIMENSIONS = 4096
_DECODED_PX = 40.0
"""Decoded centres reach the size of the input; undecoded ones are a few cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """A network's format. `doubts` are what a person should state, with the option for it."""

    family: str
    decoder: Decoder
    classes: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    channels: str = "RGB"
    mean: Triple = UNIT[0]
    scale: Triple = UNIT[1]
    resize: Resize = "letterbox"
    pad_value: int = 114
    end_to_end: bool = False
    threshold: float | None = None
    iou_threshold: float | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _File:
    """A network's outputs (name, shape with -1 for dynamic), input size and metadata."""

    outputs: tuple[tuple[str, Shape], ...]
    size: tuple[int, int]  # height, width; -1 for dynamic
    inputs: frozenset[str]
    framework: Mapping[str, str]
    model_info: Mapping[str, str]
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_cells(self) -> int | None:
        height, width = self.size
        if min(height, width) < 1:
            return None
        return sum(-(-height // s) * -(-width // s) for s in STRIDES)

    @property
    def listed(self) -> str:
        """The outputs' names and shapes, for an error."""
        return ", ".join(f"{name} {shape}" for name, shape in self.outputs)

    def at(self, *names: str) -> int | None:
        """The index of the output with one of these names, or a name that ends in one."""
        for index, (known, _) in enumerate(self.outputs):
            if any(known == name or known.endswith(f"/{name}") for name in names):
                return index
        return None


def recognise(network: Path, content: bytes, weights: bytes) -> Recognised:
    """Recognise a detector; raises InvalidModelFileError with what it is, or what is unknown.

    `network` is where it lies: files beside it may have its class names and normalisation.
    """
    core = ov.Core()
    model = _load(core, network, content, weights)
    file = _read(model, network)
    classes = class_names(file)
    _refuse_other_tasks(file, network.name)
    by_outputs = _by_outputs(file, len(classes) or None, model, core)
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
    file = _read(_load(ov.Core(), network, content, weights), network)
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


def class_names(file: _File) -> tuple[str, ...]:
    """The class names in a network's metadata, or in files beside it; none if nothing has them."""
    for text in (file.framework.get("names"), file.model_info.get("names")):
        if text and len(text) <= _MAX_NAMES:
            try:
                return _listed(ast.literal_eval(text))
            except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                continue
    labels = file.model_info.get("labels")
    if labels:
        return tuple(label.replace("_", " ") for label in labels.split())
    for key in ("names", "id2label", "label_list", "labels"):
        if file.beside.get(key):
            try:
                return _listed(file.beside[key])
            except (ValueError, TypeError) as exc:
                raise InvalidModelFileError(
                    f"beside the network, {key!r} names no classes"
                ) from exc
    return ()


def _listed(names: Any) -> tuple[str, ...]:
    if isinstance(names, Mapping):
        return tuple(str(names[key]) for key in sorted(names, key=int))
    return tuple(str(name) for name in names)


def _load(core: ov.Core, network: Path, content: bytes, weights: bytes) -> ov.Model:
    try:
        return core.read_model(model=content, weights=weights)
    except RuntimeError as exc:
        raise InvalidModelFileError(f"{network.name} does not load") from exc


def _read(model: ov.Model, network: Path) -> _File:
    image = image_input(model)
    shape = [d.get_length() if d.is_static else -1 for d in image.partial_shape]
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise InvalidModelFileError(f"{network.name}: its input {shape} is no image of 3 channels")
    size = (shape[2], shape[3]) if shape[1] == 3 else (shape[1], shape[2])
    outputs = []
    for index, port in enumerate(model.outputs):
        name = min(port.get_names()) if port.get_names() else f"#{index}"
        if port.partial_shape.rank.is_dynamic:
            raise InvalidModelFileError(f"{network.name}: its output {name} has an unknown rank")
        outputs.append((name, [d.get_length() if d.is_static else -1 for d in port.partial_shape]))
    names = frozenset(name for port in model.inputs for name in port.get_names())
    return _File(
        tuple(outputs),
        size,
        names,
        _info(model, "framework"),
        _info(model, "model_info"),
        _beside(network),
    )


def _info(model: ov.Model, section: str) -> dict[str, str]:
    if not model.has_rt_info([section]):
        return {}
    value = model.get_rt_info([section])
    value = getattr(value, "value", value)
    if not isinstance(value, dict):
        return {}
    return {str(key): str(getattr(item, "value", item)) for key, item in value.items()}


def _beside(network: Path) -> dict[str, Any]:
    """Metadata files in the network's folder: Ultralytics' YAML, Hugging Face's JSON."""
    found: dict[str, Any] = {}
    for name in ("metadata.yaml", "config.json", "preprocessor_config.json"):
        try:
            text = (network.parent / name).read_text(encoding="utf-8")
            part = yaml.safe_load(text) if name.endswith(".yaml") else json.loads(text)
        except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError):
            continue
        if isinstance(part, dict):
            found |= part
    return found


def _refuse_other_tasks(file: _File, name: str) -> None:
    task = file.framework.get("task") or file.model_info.get("task_type") or file.beside.get("task")
    if task not in {None, "detect", "detection"}:
        raise InvalidModelFileError(f"{name} is a model for {task}: only detectors can be used")
    if any(len(shape) == 4 and shape[1:2] == [32] for _, shape in file.outputs[1:]):
        raise InvalidModelFileError(f"{name} is a segmentation model: only detectors can be used")


_Found: TypeAlias = tuple[Recognised, int | None]


def _by_outputs(file: _File, n_names: int | None, model: ov.Model, core: ov.Core) -> _Found | None:
    shapes = [shape for _, shape in file.outputs]
    return (
        _named_outputs(file, shapes)
        or _strides(file, shapes, n_names)
        or (_single(file, shapes[0], n_names, model, core) if len(shapes) == 1 else None)
        or (_pair(shapes) if len(shapes) == 2 else None)
    )


def _named_outputs(file: _File, shapes: Sequence[Shape]) -> _Found | None:
    boxes, labels, scores = (
        file.at("detection_boxes"),
        file.at("detection_classes"),
        file.at("detection_scores"),
    )
    if boxes is not None and labels is not None and scores is not None:
        options = BoxesOptions(
            boxes_output=boxes,
            labels_output=labels,
            scores_output=scores,
            order="tlbr",
            relative=True,
            first_label=1,
        )
        found = Recognised(
            family="TensorFlow Object Detection",
            decoder=options,
            mean=RAW[0],
            scale=RAW[1],
            resize="plain",
            end_to_end=True,
        )
        return found, None
    boxes, labels, scores = file.at("det_boxes"), file.at("det_classes"), file.at("det_scores")
    if boxes is not None and labels is not None and scores is not None:
        options = BoxesOptions(boxes_output=boxes, labels_output=labels, scores_output=scores)
        return Recognised(family="EfficientNMS", decoder=options, end_to_end=True), None
    boxes, logits = file.at("pred_boxes"), file.at("logits")
    if boxes is not None and logits is not None:
        return _detr(boxes, logits, shapes, family="DETR (Hugging Face)")
    dets, labels = file.at("dets", "boxes"), file.at("labels")
    if dets is not None and labels is not None and len(shapes) == 2:
        if shapes[dets][-1] == 5:
            options = BoxesOptions(boxes_output=dets, labels_output=labels, score=4)
            mean, scale = IMAGENET
            found = Recognised(
                family="dets and labels (mmdeploy, Geti)",
                decoder=options,
                channels="BGR",
                mean=mean[::-1],
                scale=scale[::-1],
                end_to_end=True,
            )
            return found, None
        if shapes[dets][-1] == 4 and len(shapes[labels]) == 3:
            return _detr(dets, labels, shapes, family="RF-DETR")
    boxes, scores = file.at("boxes"), file.at("scores")
    if boxes is not None and labels is not None and scores is not None:
        sized = "orig_target_sizes" in file.inputs
        options = BoxesOptions(
            boxes_output=boxes,
            labels_output=labels,
            scores_output=scores,
            first_label=0 if sized else 1,
        )
        found = Recognised(
            family="RT-DETR, D-FINE, DEIM" if sized else "torchvision",
            decoder=options,
            resize="plain",
            end_to_end=True,
        )
        return found, None
    return None


def _detr(boxes: int, logits: int, shapes: Sequence[Shape], *, family: str) -> _Found:
    n = shapes[logits][-1]
    options = BoxesOptions(
        boxes_output=boxes,
        scores_output=logits,
        order="cxcywh",
        relative=True,
        activation="sigmoid",
        background=True,
    )
    found = Recognised(
        family=family,
        decoder=options,
        mean=IMAGENET[0],
        scale=IMAGENET[1],
        resize="plain",
        end_to_end=True,
    )
    return found, n if n > 0 else None


def _strides(file: _File, shapes: Sequence[Shape], n_names: int | None) -> _Found | None:
    """NanoDet with a score and a distance output for each stride."""
    height, width = file.size
    if min(height, width) < 1 or len(shapes) not in {6, 8}:
        return None
    strides = (*STRIDES, 64)[: len(shapes) // 2]
    widths: list[set[int]] = []
    for stride in strides:
        n = -(-height // stride) * -(-width // stride)
        fitting = {shape[2] for shape in shapes if len(shape) == 3 and shape[1] == n}
        if len(fitting) != 2:
            return None
        widths.append(fitting)
    common = set.intersection(*widths)
    distances = {w for w in common if w % 4 == 0 and w >= 32 and w != n_names}
    if len(common) != 2 or not distances:
        return None
    (n_classes,) = common - {min(distances)} if n_names is None else {n_names}
    found = Recognised(
        family="NanoDet",
        decoder=NanodetOptions(strides=strides, centre=0.5 if len(strides) == 3 else 0.0),
        channels="BGR",
        mean=IMAGENET[0][::-1],
        scale=IMAGENET[1][::-1],
    )
    return found, n_classes


def _single(
    file: _File, shape: Shape, n_names: int | None, model: ov.Model, core: ov.Core
) -> _Found | None:
    cells = file.n_cells
    if len(shape) == 4 and shape[3] == 7:
        found = Recognised(
            family="SSD",
            decoder=SsdOptions(),
            channels="BGR",
            mean=RAW[0],
            scale=RAW[1],
            resize="plain",
            end_to_end=True,
        )
        return found, None
    if len(shape) == 2 and shape[1] == 7:
        options = BoxesOptions(box=1, label=5, score=6)
        return Recognised(family="YOLOv7 end to end", decoder=options, end_to_end=True), None
    if len(shape) != 3:
        return None
    if shape[2] == 6 and (cells is None or shape[1] not in {cells, 3 * cells}):
        options = BoxesOptions(score=4, label=5)
        return Recognised(family="YOLO end to end", decoder=options, end_to_end=True), None
    by_columns = shape[2] == cells and shape[1] > 4
    if by_columns or (cells is None and n_names is not None and shape[1] == 4 + n_names):
        options = BoxesOptions(columns=True, order="cxcywh", classes=4)
        return Recognised(family="YOLO", decoder=options), shape[1] - 4
    if cells is not None and shape[1] == 3 * cells and shape[2] > 5:
        options = BoxesOptions(order="cxcywh", objectness=4, classes=5)
        return Recognised(family="YOLO with objectness", decoder=options), shape[2] - 5
    if cells is not None and shape[1] == cells and shape[2] > 5:
        return _grid(shape, n_names, model, core)
    if n_names is not None and shape[2] == 4 + n_names:
        options = BoxesOptions(order="cxcywh", relative=True, classes=4)
        found = Recognised(
            family="RT-DETR (Ultralytics)", decoder=options, resize="plain", end_to_end=True
        )
        return found, n_names
    return None


def _grid(shape: Shape, n_names: int | None, model: ov.Model, core: ov.Core) -> _Found:
    """One row for each cell: NanoDet, or YOLOX, whose boxes may be decoded or not."""
    if n_names is not None and shape[2] != 5 + n_names and (shape[2] - n_names) % 4 == 0:
        found = Recognised(
            family="NanoDet",
            decoder=NanodetOptions(),
            channels="BGR",
            mean=IMAGENET[0][::-1],
            scale=IMAGENET[1][::-1],
        )
        return found, n_names
    decoder: Decoder = YoloxOptions()
    if _is_decoded(model, core):
        decoder = BoxesOptions(order="cxcywh", objectness=4, classes=5)
    doubts = () if n_names is not None or shape[2] == 85 else ("YOLOX is assumed: state --decoder",)
    found = Recognised(
        family="YOLOX", decoder=decoder, channels="BGR", mean=RAW[0], scale=RAW[1], doubts=doubts
    )
    return found, shape[2] - 5


def _is_decoded(model: ov.Model, core: ov.Core) -> bool:
    """Whether the first two columns are centres in pixels: one frame of noise tells."""
    shape = list(image_input(model).shape)
    noise = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": ov.Type.f32})
    rows = next(iter(compiled([noise.astype(compiled.inputs[0].element_type.to_dtype())]).values()))
    return bool(np.abs(rows[0, :, :2]).max() > _DECODED_PX)


def _pair(shapes: Sequence[Shape]) -> _Found | None:
    boxes = [i for i, shape in enumerate(shapes) if shape[-1] == 4]
    if len(boxes) != 1:
        return None
    scores = 1 - boxes[0]
    if len(shapes[scores]) != 3 or shapes[scores][1] != shapes[boxes[0]][1]:
        return None
    options = BoxesOptions(boxes_output=boxes[0], scores_output=scores)
    n = shapes[scores][2]
    return Recognised(family="YOLO-NAS, DAMO-YOLO", decoder=options), n if n > 0 else None


def _with_metadata(found: Recognised, file: _File) -> Recognised:
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
