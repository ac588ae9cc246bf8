"""Formats of detectors' outputs, told apart by the names and shapes of the outputs.

What is not certain is named in `Recognised.doubts`, never guessed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from models.manifest import BoxesOptions, Decoder, NanodetOptions, Resize, SsdOptions, YoloxOptions
from models.network_file import STRIDES, NetworkFile, Shape

Triple: TypeAlias = tuple[float, float, float]

IMAGENET: tuple[Triple, Triple] = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
UNIT: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
RAW: tuple[Triple, Triple] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


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


Found: TypeAlias = tuple[Recognised, int | None]
"""A format, and the number of classes that it has scores of; None if its shape does not say."""


def format_of(
    file: NetworkFile, n_names: int | None, is_decoded: Callable[[], bool]
) -> Found | None:
    """Return the format of a detector's outputs; None if no known one fits.

    `n_names`: of the classes that the file names, if it does. `is_decoded` is asked only where
    shapes do not tell whether boxes are decoded.
    """
    shapes = [shape for _, shape in file.outputs]
    return (
        _named_outputs(file, shapes)
        or _strides(file, shapes, n_names)
        or (_single(file, shapes[0], n_names, is_decoded) if len(shapes) == 1 else None)
        or (_pair(shapes) if len(shapes) == 2 else None)
    )


def _named_outputs(file: NetworkFile, shapes: Sequence[Shape]) -> Found | None:
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


def _detr(boxes: int, logits: int, shapes: Sequence[Shape], *, family: str) -> Found:
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


def _strides(file: NetworkFile, shapes: Sequence[Shape], n_names: int | None) -> Found | None:
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
    file: NetworkFile, shape: Shape, n_names: int | None, is_decoded: Callable[[], bool]
) -> Found | None:
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
        return _grid(shape, n_names, is_decoded)
    if n_names is not None and shape[2] == 4 + n_names:
        options = BoxesOptions(order="cxcywh", relative=True, classes=4)
        found = Recognised(
            family="RT-DETR (Ultralytics)", decoder=options, resize="plain", end_to_end=True
        )
        return found, n_names
    return None


def _grid(shape: Shape, n_names: int | None, is_decoded: Callable[[], bool]) -> Found:
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
    if is_decoded():
        decoder = BoxesOptions(order="cxcywh", objectness=4, classes=5)
    doubts = () if n_names is not None or shape[2] == 85 else ("YOLOX is assumed: state --decoder",)
    found = Recognised(
        family="YOLOX", decoder=decoder, channels="BGR", mean=RAW[0], scale=RAW[1], doubts=doubts
    )
    return found, shape[2] - 5


def _pair(shapes: Sequence[Shape]) -> Found | None:
    boxes = [i for i, shape in enumerate(shapes) if shape[-1] == 4]
    if len(boxes) != 1:
        return None
    scores = 1 - boxes[0]
    if len(shapes[scores]) != 3 or shapes[scores][1] != shapes[boxes[0]][1]:
        return None
    options = BoxesOptions(boxes_output=boxes[0], scores_output=scores)
    n = shapes[scores][2]
    return Recognised(family="YOLO-NAS, DAMO-YOLO", decoder=options), n if n > 0 else None
