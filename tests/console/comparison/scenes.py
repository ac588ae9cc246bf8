"""Made scenes: tracks as boxes by frame, and the frames of a log that has seen them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from console.comparison.fold import ComparisonFold, Side
from console.comparison.frames import SeenFrame
from console.comparison.verdicts import Verdicts, judged
from streamproc.contract.chunk import Roi, Target

FPS = 10.0
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Seen:
    """One track: its box by frame, and what its targets say."""

    boxes: Mapping[int, Box]
    class_name: str = "pedestrian"
    text: str | None = None
    confidence: float = 0.9

    def target(self, track: int, frame: int) -> Target:
        left, top, width, height = self.boxes[frame]
        target = Target(track, self.class_name, self.confidence, Roi(left, top, width, height))
        if self.text is None:
            return target
        return Target(
            track,
            self.class_name,
            self.confidence,
            Roi(left, top, width, height),
            text=self.text,
            text_confidence=0.9,
        )

    def only(self, frames: Iterable[int]) -> "Seen":
        return replace(self, boxes={frame: self.boxes[frame] for frame in frames})


Scene = Mapping[int, Seen]
"""The tracks of one task, by id."""


@dataclass(frozen=True)
class Log:
    """What a task has processed of a scene."""

    scene: Scene
    n_frames: int = 30
    step: int = 1
    timed: bool = True
    fps: float = FPS
    first: int = 0
    estimates: bool = False
    shift: int = 0
    """Added to all frame indices, not to the times."""
    delay_s: float = 0.0
    """Added to all times."""

    def frames(self) -> list[SeenFrame]:
        return [
            SeenFrame(
                frame + self.shift,
                frame / self.fps + self.delay_s if self.timed else None,
                self.fps,
                self.estimates,
                tuple(
                    seen.target(track, frame)
                    for track, seen in sorted(self.scene.items())
                    if frame in seen.boxes
                ),
                100 * frame,
            )
            for frame in range(self.first, self.n_frames, self.step)
        ]


def walk(lane: int, frames: Iterable[int], *, speed: int = 3, **what: str) -> Seen:
    """Return a track that walks along its own lane: it never touches those of other lanes."""
    return Seen({n: (20 + speed * n, 100 * lane, 30, 60) for n in frames}, **what)  # type: ignore[arg-type]


def folded(
    a: Log, b: Log, *, pieces: int = 7, same_source: bool = True, min_iou: float = 0.5
) -> ComparisonFold:
    """Return the fold over both logs, given in pieces of so many frames."""
    fold = ComparisonFold(min_iou=min_iou, same_source=same_source)
    left: dict[Side, list[SeenFrame]] = {"a": a.frames(), "b": b.frames()}
    while (side := fold.wants) is not None:
        if not left[side]:
            fold.end(side)
            continue
        fold.feed(side, left[side][:pieces])
        left[side] = left[side][pieces:]
    return fold


def compared(a: Scene, b: Scene, n_frames: int = 30) -> Verdicts:
    return judged(folded(Log(a, n_frames), Log(b, n_frames)))


def kinds(verdicts: Verdicts) -> list[str]:
    return [one.kind for one in verdicts.differences]
