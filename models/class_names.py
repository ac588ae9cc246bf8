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
