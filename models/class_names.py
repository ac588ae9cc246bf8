"""Class-name aliases: the product uses the reference's names and accepts COCO's.

Import-light (no imports at all).
"""

CLASS_ALIASES = {
    "person": "pedestrian",
    "car": "automobile",
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "pottedplant": "potted plant",
    "diningtable": "dining table",
    "tvmonitor": "tv",
}
"""From COCO names, and the Pascal VOC spelling that some lists use, to the reference's names."""


def public_class(name: str) -> str:
    """The product's name of a class: `person` gives `pedestrian`. Other names are unchanged."""
    return CLASS_ALIASES.get(name, name)


COCO_80 = (
    "pedestrian",
    "bicycle",
    "automobile",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
)
"""The classes of COCO, in the order of networks with 80 of them, by the reference's names."""

_COCO_UNUSED = frozenset({0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83})


def _by_coco_id() -> tuple[str, ...]:
    names = iter(COCO_80)
    return tuple(f"unused {i}" if i in _COCO_UNUSED else next(names) for i in range(91))


COCO_91 = _by_coco_id()
"""The same by COCO's category id, as networks with 91 scores have them."""
