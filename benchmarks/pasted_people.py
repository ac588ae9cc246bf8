"""120 made frames with people whose boxes are known: the set by which detectors are judged in CI.

Eleven people are cut out of two frames of a car park and walk over the same, empty car park: on
straight ways that cross, larger when they are nearer, behind one another and behind the lamp post.
Boxes are those of the pasted pixels, so that the truth depends on no detector. The same frames in
every run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from models.types import Image

N_FRAMES = 120
MIN_VISIBLE = 0.4
"""The share of a person that has to be visible for its box to be in the truth."""
CUT_OUTS = {
    "vtest_0300.jpg": (
        (184, 156, 222, 238),
        (242, 156, 272, 225),
        (300, 156, 322, 233),
        (312, 207, 347, 300),
        (579, 156, 613, 240),
        (617, 157, 647, 239),
    ),
    "vtest_0600.jpg": (
        (187, 142, 218, 218),
        (566, 197, 599, 291),
        (667, 206, 702, 301),
        (640, 303, 674, 415),
        (452, 300, 509, 422),
    ),
}
"""Boxes (ltrb, px) drawn by hand around people who stand alone."""
NOBODY = 0
_POST_FOOT_Y = 392
_DIFFERENT = 40
_STANDING = np.s_[165:275, 362:440]
_Mask = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CutOut:
    """A person's pixels, and how opaque each is (0 to 1)."""

    pixels: Image
    mask: _Mask


@dataclass(frozen=True, slots=True)
class Walk:
    """A straight way of a person's feet, in pixels, between two frames."""

    person: CutOut
    start: tuple[float, float]
    end: tuple[float, float]
    first: int
    last: int

    def is_there(self, frame: int) -> bool:
        return self.first <= frame < self.last

    def feet(self, frame: int) -> tuple[float, float]:
        """Return where the feet are in a frame: half a step up and down at every step."""
        part = (frame - self.first) / (self.last - self.first)
        x = self.start[0] + part * (self.end[0] - self.start[0])
        y = self.start[1] + part * (self.end[1] - self.start[1])
        return x, y + 1.5 * np.sin(frame * 1.3)


def frames(
    clip: Path, stills: Path, seed: int = 5
) -> Iterator[tuple[int, Image, npt.NDArray[np.float64]]]:
    """Yield each frame (BGR) with its index and truth: rows of id, left, top, right, bottom."""
    cv2.setNumThreads(1)
    pictures = {name: _read(stills / name) for name in CUT_OUTS}
    ground = empty(clip, pictures["vtest_0600.jpg"])
    people = [
        _cut(pictures[name], ground, box) for name, boxes in CUT_OUTS.items() for box in boxes
    ]
    walks = list(_walks(people, np.random.default_rng(seed)))
    post = _post(ground)
    for index in range(N_FRAMES):
        yield index, *_composed(ground, post, walks, index)


def empty(clip: Path, other: Image) -> Image:
    """Return the place without people: the clip's median, and where two stand, another picture."""
    with av.open(str(clip)) as container:
        seen = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)][::3]
    ground = np.sort(np.stack(seen), axis=0)[len(seen) // 2]
    ground[_STANDING] = other[_STANDING]
    return np.asarray(ground, np.uint8)


def _read(path: Path) -> Image:
    picture = cv2.imread(str(path))
    assert picture is not None, path
    return np.asarray(picture, np.uint8)


def _cut(picture: Image, ground: Image, box: tuple[int, int, int, int]) -> CutOut:
    """Cut out what differs from the empty place: the largest connected part, with soft edges."""
    left, top, right, bottom = box
    pixels, behind = picture[top:bottom, left:right], ground[top:bottom, left:right]
    differs = np.asarray(cv2.absdiff(pixels, behind).max(axis=2) > _DIFFERENT, np.uint8)
    closed = cv2.morphologyEx(differs, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    _, parts, facts, _ = cv2.connectedComponentsWithStats(closed)
    largest = 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax())
    x, y, width, height = (int(value) for value in facts[largest][:4])
    whole = np.asarray(parts == largest, np.float32)
    mask = cv2.GaussianBlur(whole, (0, 0), 0.7)
    inside = np.s_[y : y + height, x : x + width]
    return CutOut(np.ascontiguousarray(pixels[inside]), np.asarray(mask[inside], np.float32))


def _post(ground: Image) -> _Mask:
    """Return how opaque the lamp post and its sign are, who stand before those farther away."""
    mask = np.zeros(ground.shape[:2], np.float32)
    mask[60:_POST_FOOT_Y, 427:437] = 1.0
    mask[202:244, 413:446] = 1.0
    return mask


def _walks(people: list[CutOut], rng: np.random.Generator) -> Iterator[Walk]:
    """Yield two ways for each person, one after the other, at a walker's pace."""
    for person in people:
        first = int(rng.integers(-20, 25))
        for _ in range(2):
            last = first + int(rng.integers(45, 70))
            start = float(rng.uniform(45, 723)), float(rng.uniform(225, 520))
            angle, pace = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(1.5, 4.0))
            far = pace * (last - first)
            end = (
                float(np.clip(start[0] + far * np.cos(angle), 45, 723)),
                float(np.clip(start[1] + far * np.sin(angle) * 0.5, 220, 550)),
            )
            yield Walk(person, start, end, first, last)
            first = last + int(rng.integers(5, 25))


def _composed(
    ground: Image, post: _Mask, walks: list[Walk], index: int
) -> tuple[Image, npt.NDArray[np.float64]]:
    """Paste whoever is there, the farthest first; the lamp post when its foot is reached."""
    picture = ground.astype(np.float32)
    owner = np.full(ground.shape[:2], NOBODY, np.int32)
    truth: dict[int, tuple[int, int, int, int]] = {}
    whole_px: dict[int, int] = {}
    here = [(i, walk.feet(index)) for i, walk in enumerate(walks, 1) if walk.is_there(index)]
    here.sort(key=lambda one: one[1][1])
    n_behind = sum(feet[1] < _POST_FOOT_Y for _, feet in here)
    for n, (i, (x, y)) in enumerate(here):
        if n == n_behind:
            _stand(picture, owner, ground, post)
        person = walks[i - 1].person
        scale = _height_px(y) / person.mask.shape[0]
        width, height = (max(1, round(scale * side)) for side in person.mask.shape[::-1])
        left, top = round(x - width / 2), round(y - height)
        place = np.s_[top : top + height, left : left + width]
        pixels = cv2.resize(person.pixels, (width, height), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(person.mask, (width, height), interpolation=cv2.INTER_AREA)
        alpha = np.asarray(mask, np.float32)[..., None]
        picture[place] += alpha * (pixels - picture[place])
        owner[place][alpha[..., 0] > 0.5] = i
        whole_px[i] = int((alpha > 0.5).sum())
        truth[i] = (left, top, left + width, top + height)
    if n_behind == len(here):
        _stand(picture, owner, ground, post)
    rows = [
        (i, *box) for i, box in truth.items() if (owner == i).sum() >= MIN_VISIBLE * whole_px[i]
    ]
    shown = np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)
    return shown, np.array(rows, float).reshape(-1, 5)


def _stand(
    picture: npt.NDArray[np.float32], owner: npt.NDArray[np.int32], ground: Image, post: _Mask
) -> None:
    """Put the lamp post before all that was pasted so far."""
    picture += post[..., None] * (ground - picture)
    owner[post > 0.5] = NOBODY


def _height_px(feet_y: float) -> float:
    """How tall a person is whose feet are there: read off the people in the frames."""
    return 28 + 0.195 * feet_y
