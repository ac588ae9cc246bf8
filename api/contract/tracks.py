"""Tracks as clients see them: in the results of a task and in answers to queries."""

import msgspec
from msgspec import UNSET, UnsetType

from api.contract.counts import Counts


class TrackSummary(msgspec.Struct, frozen=True, rename={"class_name": "class"}, omit_defaults=True):
    """One object over the frames of a task; confidences have 4 decimals.

    `first_seen_at` and `last_seen_at` are times of capture, of live sources alone; `dwell_s` is
    then their difference. `feature_digest` belongs to the first frame with the best confidence.
    `text` is the spelling that most readings agree on, `text_support` its share of all votes (0 to
    1), each of which is confidence x letters; `text_confidence` is that of its best reading.
    """

    track_id: int
    class_name: str
    first_frame: int
    last_frame: int
    frames_seen: int
    best_confidence: float
    feature_digest: str | None = None
    text: str | None = None
    text_confidence: float | None = None
    text_support: float | None = None
    first_seen_s: float | None = None
    last_seen_s: float | None = None
    dwell_s: float | None = None
    first_seen_at: str | None = None
    last_seen_at: str | None = None


class TrackResource(msgspec.Struct, frozen=True, rename={"class_name": "class"}):
    """One track of any task of the project.

    `distance` (cosine) only with `similar_to` or `like_text`. `source` is the task's, as in lists
    of tasks.
    """

    task: str
    track_id: int
    class_name: str
    first_frame: int
    last_frame: int
    frames_seen: int
    best_confidence: float
    feature_digest: str | None
    text: str | None
    text_confidence: float | None
    first_seen_s: float | None
    last_seen_s: float | None
    dwell_s: float | None
    created_at: str
    distance: float | UnsetType = UNSET
    text_support: float | None = None
    source: str = ""
    first_seen_at: str | None = None
    last_seen_at: str | None = None


class TrackPage(msgspec.Struct, frozen=True):
    """A page of tracks; `counts` is present with `?include=counts`."""

    data: list[TrackResource]
    next_cursor: str | None
    counts: Counts | UnsetType = UNSET
