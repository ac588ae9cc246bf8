"""Result of a comparison: the JSON of `framewire diff --json`. Fields are only ever added."""

from collections import Counter
from typing import Any, Literal

import msgspec

from console.comparison.fold import MatchedBy
from console.comparison.requests import RequestChange

Kind = Literal["lost", "new", "split", "merged", "switched", "class", "text"]
KINDS: tuple[Kind, ...] = ("lost", "new", "split", "merged", "switched", "class", "text")


class Difference(msgspec.Struct, frozen=True, rename={"class_name": "class"}):
    """One difference, of the tracks `a` of the first task and `b` of the second.

    It is first seen at `frame`, the index in the first task, of which `time_s` is the media time;
    `frame_b` is the index in the second. `offset` and `offset_b` are where the frame's events begin
    in the logs. `frames`: the common frames that it concerns, out of
    `of_frames` that the track is seen in. `before` and `after`: two classes or texts.

    lost       `a` has no box of the other task in more than half of its frames
    new        the same for `b`
    split      one track `a` is several tracks `b`
    merged     several tracks `a` are one track `b`
    switched   `b` follows one object, and then another one that has a track of its own
    class      `a` and `b` are one track, of another class
    text       `a` and `b` are one track, with another text

    `like` is the other task's track with the nearest feature vector, of a lost or new one, and
    `distance` the cosine distance of the two vectors.
    """

    kind: Kind
    a: tuple[int, ...]
    b: tuple[int, ...]
    class_name: str
    frame: int
    frame_b: int
    time_s: float | None
    offset: int
    offset_b: int
    frames: int
    of_frames: int
    before: str | None = None
    after: str | None = None
    like: int | None = None
    distance: float | None = None

    @property
    def tracks(self) -> tuple[str | None, str | None]:
        """The tracks of either task as text, in the order of their frames."""
        between = " → " if self.kind == "switched" else ", "
        return between.join(map(str, self.a)) or None, ", ".join(map(str, self.b)) or None

    @property
    def change(self) -> str | None:
        """The classes or texts as text: `truck → bus`; or the nearest track: `like 12 (0.04)`."""
        if self.like is not None and self.distance is not None:
            return f"like {self.like} ({self.distance:.2f})"
        if self.before == self.after:
            return None
        return f"{self.before or '-'} → {self.after or '-'}"


class Match(msgspec.Struct, frozen=True, rename={"class_name": "class"}):
    """Track `a` of the first task is track `b` of the second, in `frames` common frames.

    `iou` is the mean over these frames.
    """

    a: int
    b: int
    class_name: str
    frames: int
    iou: float


class ComparedStep(msgspec.Struct, frozen=True):
    """A step as the request has it: its model's name, and the parameters that are given."""

    model: str
    parameters: dict[str, Any]

    def __str__(self) -> str:
        given = ", ".join(f"{name}={_plain(value)}" for name, value in self.parameters.items())
        return f"{self.model} ({given})" if given else self.model


class Compared(msgspec.Struct, frozen=True):
    """One of the two tasks. `tracks` are those that are seen in a common frame.

    `other_tracks` are seen only in frames that the other task has not processed, and are not
    compared. `precision` is the one that the request wants; None: that of its provider.
    """

    task: str
    steps: tuple[ComparedStep, ...]
    precision: str | None
    frames: int
    tracks: int
    other_tracks: int


class FirstDifference(msgspec.Struct, frozen=True):
    """The first common frame that differs: its indices, media time and offsets in the logs."""

    frame: int
    frame_b: int
    time_s: float | None
    offset: int
    offset_b: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two tasks, compared by their tracks. Differences are in the order of their frames.

    `requests` are the fields in which the requests differ. `first` is the first common frame in
    which a target or a track does, and `differing_frames` the number of those in which targets do.
    """

    object: Literal["framewire.diff"] = "framewire.diff"
    a: Compared
    b: Compared
    source: str
    min_iou: float
    matched_by: MatchedBy | None
    common_frames: int
    iou: float | None
    counts: dict[str, int]
    differences: tuple[Difference, ...]
    matches: tuple[Match, ...]
    requests: tuple[RequestChange, ...] = ()
    first: FirstDifference | None = None
    differing_frames: int = 0

    @property
    def summary(self) -> str:
        """One line: what was compared, and the number of differences of each kind."""
        kinds = [f"{n} {kind}" for kind, n in self.counts.items() if n]
        overlap = "" if self.iou is None else f" (mean IoU {self.iou:.2f})"
        first = ""
        if self.first is not None:
            first = f"; frame {self.first.frame} is the first that differs"
        return (
            f"{len(self.matches)} tracks matched in {self.common_frames} common frames{overlap}; "
            f"{', '.join(kinds) or 'no difference'}{first}"
        )


def counted(differences: tuple[Difference, ...]) -> dict[str, int]:
    """Return the number of differences of each kind, zeros included."""
    found = Counter(difference.kind for difference in differences)
    return {kind: found[kind] for kind in KINDS}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
