"""Class names: the product speaks the reference's, and understands COCO's.

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
"""COCO's names where the reference has its own, and the Pascal VOC spelling some lists use."""


def public_class(name: str) -> str:
    """The name under which the product speaks of a class: `person` is `pedestrian`."""
    return CLASS_ALIASES.get(name, name)
