"""Stand-ins for what people export: outputs with the makers' names and shapes, of known content.

Each has one object of class 1 of three (`CLASSES`) at `BOX` in a picture of 64 x 64, with a score
of .9, and a weaker one elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

SIZE = 64
CELLS = 64 + 16 + 4
CLASSES = ("cone", "forklift", "pallet")
BOX = (16.0, 8.0, 48.0, 40.0)
"""ltrb, of the object with the highest score."""
CENTRE = (32.0, 24.0, 32.0, 32.0)
OTHER = (4.0, 40.0, 24.0, 60.0)
OTHER_CENTRE = (14.0, 50.0, 20.0, 20.0)

Outputs = Mapping[str, Any]


def write(
    path: Path,
    outputs: Outputs,
    *,
    layout: str = "NCHW",
    extra: Sequence[tuple[str, Any, Sequence[int]]] = (),
    info: Mapping[str, Mapping[str, str]] | None = None,
    size: int = SIZE,
) -> Path:
    """Write a network that gives these outputs, whatever it sees, as an IR."""
    shape = [1, 3, size, size] if layout == "NCHW" else [1, size, size, 3]
    image = ops.parameter(shape, np.float32, name="images")
    image.output(0).set_names({"images"})
    nothing = ops.multiply(ops.reduce_mean(image, np.array([0, 1, 2, 3])), np.float32(0))
    others = []
    for name, kind, dimensions in extra:
        other = ops.parameter(list(dimensions), kind, name=name)
        other.output(0).set_names({name})
        others.append(other)
        used = ops.multiply(
            ops.convert(ops.reduce_max(other, np.array([0, 1])), "f32"), np.float32(0)
        )
        nothing = ops.add(nothing, used)
    results = []
    for name, value in outputs.items():
        array = np.asarray(value)
        if array.dtype.kind == "i":
            node = ops.add(ops.constant(array), ops.convert(nothing, "i64"))
        else:
            node = ops.add(ops.constant(array.astype(np.float32)), nothing)
        result = ops.result(node)
        result.output(0).set_names({name})
        node.output(0).set_names({name})
        results.append(result)
    model = ov.Model(results, [image, *others], "export")
    for section, pairs in (info or {}).items():
        for key, text in pairs.items():
            model.set_rt_info(text, [section, key])
    ov.save_model(model, str(path), compress_to_fp16=False)
    return path


def class_scores(n: int, first: float = 0.9) -> Any:
    """(n, 3): the first row is a forklift, the second a cone."""
    scores = np.zeros((n, 3), np.float32)
    scores[0, 1], scores[1, 0] = first, 0.6
    return scores


def rows(n: int, first: Sequence[float], second: Sequence[float]) -> Any:
    """(n, k) with two rows that are not 0."""
    table = np.zeros((n, len(first)), np.float32)
    table[0], table[1] = first, second
    return table


def logit(scores: Any) -> Any:
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def _relative(box: Sequence[float]) -> list[float]:
    return [value / SIZE for value in box]


def yolo_v8() -> Outputs:
    table = np.concatenate([rows(CELLS, CENTRE, OTHER_CENTRE), class_scores(CELLS)], axis=1)
    return {"output0": table.T[None]}


def yolo_v5() -> Outputs:
    n = 3 * CELLS
    scores = class_scores(n) / 0.95
    table = np.concatenate([rows(n, CENTRE, OTHER_CENTRE), np.full((n, 1), 0.95), scores], axis=1)
    return {"output0": table[None]}


def yolo_v10() -> Outputs:
    return {"output0": rows(300, [*BOX, 0.9, 1], [*OTHER, 0.6, 0])[None]}


def yolo_v7_nms() -> Outputs:
    return {"output": rows(12, [0, *BOX, 1, 0.9], [0, *OTHER, 0, 0.6])}


def yolox_decoded() -> Outputs:
    table = np.concatenate(
        [rows(CELLS, CENTRE, OTHER_CENTRE), np.ones((CELLS, 1)), class_scores(CELLS)], axis=1
    )
    return {"output": table[None]}


def tensorflow() -> Outputs:
    boxes = rows(20, _relative([8, 16, 40, 48]), _relative([40, 4, 60, 24]))
    labels, scores = np.ones(20), np.zeros(20)
    labels[:2], scores[:2] = [2, 1], [0.9, 0.6]
    return {
        "detection_boxes": boxes[None],
        "detection_classes": labels[None],
        "detection_scores": scores[None],
    }


def efficient_nms() -> Outputs:
    labels, scores = np.full((1, 20), -1, np.int64), np.zeros((1, 20))
    labels[0, :2], scores[0, :2] = [1, 0], [0.9, 0.6]
    return {
        "num_dets": np.array([[2]], np.int64),
        "det_boxes": rows(20, BOX, OTHER)[None],
        "det_scores": scores,
        "det_classes": labels,
    }


def mmdeploy() -> Outputs:
    labels = np.full((1, 20), -1, np.int64)
    labels[0, :2] = [1, 0]
    return {"dets": rows(20, [*BOX, 0.9], [*OTHER, 0.6])[None], "labels": labels}


def geti() -> Outputs:
    labels = np.array([1, 0], np.int64)
    return {"boxes": rows(2, [*BOX, 0.9], [*OTHER, 0.6]), "labels": labels}


def detr(*, names: tuple[str, str] = ("pred_boxes", "logits")) -> Outputs:
    boxes = rows(20, _relative(CENTRE), _relative(OTHER_CENTRE))
    scores = np.concatenate([logit(class_scores(20)), np.full((20, 1), -9.0)], axis=1)
    return {names[0]: boxes[None], names[1]: scores[None]}


def rf_detr() -> Outputs:
    return detr(names=("dets", "labels"))


def d_fine() -> Outputs:
    labels, scores = np.zeros((1, 20), np.int64), np.zeros((1, 20))
    labels[0, :2], scores[0, :2] = [1, 0], [0.9, 0.6]
    return {"labels": labels, "boxes": rows(20, BOX, OTHER)[None], "scores": scores}


def torchvision() -> Outputs:
    return {
        "boxes": rows(2, BOX, OTHER),
        "labels": np.array([2, 1], np.int64),
        "scores": np.array([0.9, 0.6]),
    }


def yolo_nas() -> Outputs:
    return {"graph2_pred": rows(CELLS, BOX, OTHER)[None], "pred_scores": class_scores(CELLS)[None]}


def rt_detr_ultralytics() -> Outputs:
    table = np.concatenate(
        [rows(30, _relative(CENTRE), _relative(OTHER_CENTRE)), class_scores(30)], axis=1
    )
    return {"output0": table[None]}


SIZES = (("orig_target_sizes", np.int64, [1, 2]),)
NAMED = {"framework": {"names": str(dict(enumerate(CLASSES))), "task": "detect"}}

EXPORTS: dict[str, tuple[Callable[[], Outputs], dict[str, Any], str]] = {
    "YOLOv8": (yolo_v8, {}, "YOLO"),
    "YOLOv5": (yolo_v5, {}, "YOLO with objectness"),
    "YOLOv10": (yolo_v10, {}, "YOLO end to end"),
    "YOLOv7-nms": (yolo_v7_nms, {}, "YOLOv7 end to end"),
    "YOLOX": (yolox_decoded, {}, "YOLOX"),
    "TensorFlow": (tensorflow, {"layout": "NHWC"}, "TensorFlow Object Detection"),
    "EfficientNMS": (efficient_nms, {}, "EfficientNMS"),
    "mmdeploy": (mmdeploy, {}, "dets and labels (mmdeploy, Geti)"),
    "Geti": (geti, {}, "dets and labels (mmdeploy, Geti)"),
    "HuggingFace": (detr, {}, "DETR (Hugging Face)"),
    "RF-DETR": (rf_detr, {}, "RF-DETR"),
    "D-FINE": (d_fine, {"extra": SIZES}, "RT-DETR, D-FINE, DEIM"),
    "torchvision": (torchvision, {}, "torchvision"),
    "YOLO-NAS": (yolo_nas, {}, "YOLO-NAS, DAMO-YOLO"),
    "RT-DETR": (rt_detr_ultralytics, {}, "RT-DETR (Ultralytics)"),
}
