"""Builders of frames for the tracker's tests."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from streamproc.stages.tracking.tracker import Tracker

IMAGE_SIZE = (768, 576)


@dataclass
class Frame:
    """One frame's detections; `boxes` as centre x, centre y, width, height."""

    time_s: float
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    scores: list[float] | None = None
    classes: list[int] | None = None
    features: npt.NDArray[np.float32] | None = None

    @property
    def boxes_px(self) -> npt.NDArray[np.float32]:
        table = np.array(self.boxes, np.float64).reshape(-1, 4)
        half = table[:, 2:] / 2
        return np.hstack([table[:, :2] - half, table[:, :2] + half]).astype(np.float32)

    def shown_to(
        self, tracker: Tracker, index: int, order: list[int] | None = None
    ) -> npt.NDArray[np.int32]:
        """Return the ids in this frame's own order, whatever `order` they are shown in."""
        n = len(self.boxes)
        places = np.arange(n) if order is None else np.array(order, dtype=np.intp)
        scores = np.array(self.scores or [0.9] * n, np.float32)
        classes = np.array(self.classes or [0] * n, np.int32)
        features = None if self.features is None else self.features[places]
        given = tracker.update(
            self.boxes_px[places],
            scores[places],
            classes[places],
            features,
            self.time_s,
            index,
            IMAGE_SIZE,
        )
        ids = np.zeros(n, np.int32)
        ids[places] = given
        return ids


def walk(
    n_frames: int, fps: float, starts: list[tuple[float, float]], speeds: list[float]
) -> list[Frame]:
    """Return people of 40 x 100 px that walk along x with `speeds`, px per second."""
    return [
        Frame(
            k / fps,
            [(x + v * k / fps, y, 40.0, 100.0) for (x, y), v in zip(starts, speeds, strict=True)],
        )
        for k in range(n_frames)
    ]


def shown(tracker: Tracker, frames: list[Frame]) -> list[list[int]]:
    return [frame.shown_to(tracker, index).tolist() for index, frame in enumerate(frames)]
