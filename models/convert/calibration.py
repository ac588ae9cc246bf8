"""Pictures by which the weights that ship were quantised: `calibration.json` lists each of them.

vtest.avi      Debian's opencv-doc 4.6.0, the footage of PETS 2009 S2.L1
text_signs.mp4 pans and zooms over scenetext*.jpg of the same package (tests/data)
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from models.errors import InvalidModelFileError
from models.types import Image

LIST = Path(__file__).with_name("calibration.json")


def pictures(clips: Path) -> list[Image]:
    """Read the listed parts of frames from the clips in a directory, in the list's order.

    Raises InvalidModelFileError if a clip is missing or shorter than the one that was used.
    """
    found: list[Image] = []
    for name, parts in json.loads(LIST.read_text(encoding="utf-8")).items():
        found += _parts_of(clips / name, parts)
    return found


def _parts_of(clip: Path, parts: list[list[int]]) -> list[Image]:
    """`parts`: frame, left, top, width, height each."""
    wanted = {part[0] for part in parts}
    images: dict[int, Image] = {}
    try:
        for index, image in _frames(clip):
            if index in wanted:
                images[index] = image
            if len(images) == len(wanted):
                break
        return [
            np.ascontiguousarray(images[frame][top : top + height, left : left + width])
            for frame, left, top, width, height in parts
        ]
    except (OSError, av.FFmpegError, KeyError) as exc:
        raise InvalidModelFileError(f"{clip.name} is not the clip that was used: {exc!r}") from exc


def _frames(clip: Path) -> Iterator[tuple[int, Any]]:
    with av.open(str(clip)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            yield index, frame.to_ndarray(format="bgr24")
