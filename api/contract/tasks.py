"""A task as clients see it: accepted, its state and progress, its results, pages of tasks.

Times are RFC 3339 in UTC with milliseconds. Answers grow by optional fields.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from api.contract.counts import Counts
from api.contract.tracks import TrackSummary

Status = Literal["pending", "running", "cancelling", "succeeded", "failed", "cancelled"]
STATUSES: tuple[Status, ...] = (
    "pending",
    "running",
    "cancelling",
    "succeeded",
    "failed",
    "cancelled",
)


class Accepted(msgspec.Struct, frozen=True):
    """The body of a 202 response: the task is durably accepted and will be done."""

    id: str
    status: Status
    stream_url: str


class StreamToken(msgspec.Struct, frozen=True):
    """A token that gives access to one task's stream until `expires_at` (RFC 3339).

    `stream_url` is the stream's path with the token in it; an `EventSource` can open it directly.
    """

    token: str
    expires_at: str
    stream_url: str


class Progress(msgspec.Struct, frozen=True):
    """Progress of a task. `fps` is the source's frame rate, null until the first chunk has it.

    `total_frames` is the source's length, `expected_frames` the estimate of how many of them the
    request's sampling and range select; absent while that is unknown. `total_frames_is_estimate`
    is true or absent.
    """

    processed_frames: int
    total_frames: int | None
    fps: float | None
    total_frames_is_estimate: bool | UnsetType = UNSET
    expected_frames: int | UnsetType = UNSET


class TaskFailure(msgspec.Struct, frozen=True):
    code: str
    message: str


class AttemptResource(msgspec.Struct, frozen=True):
    """A provider that failed before the first chunk."""

    provider: str
    code: str
    message: str


class LiveRecording(msgspec.Struct, frozen=True):
    """What its worker has recorded of a live source since it opened it.

    `size_bytes`: of the video in stored pieces. `lost_pictures`: those of `lost_pieces`, and those
    that were in no piece. `last_at`: when the newest stored picture was captured.
    """

    pieces: int
    size_bytes: int
    lost_pieces: int
    lost_pictures: int
    last_at: str | None


class LiveSource(msgspec.Struct, frozen=True):
    """A live source as its worker reported it, some two seconds ago at most.

    `state` is `connecting` before its first frame, then `live` or `lost`, since `since`; `code` is
    why it is not live. `fps`: processed frames per second over about ten seconds. `lag_ms`: from
    the capture of the last frame to its chunk. `recording`: null if the task is not recorded.
    """

    state: str
    since: str
    code: str | None
    reconnects: int
    last_frame_at: str | None
    fps: float
    lag_ms: int | None
    keyframe_interval_s: float | None
    recording: LiveRecording | None = None


class TaskResource(msgspec.Struct, frozen=True):
    """The current state of a task; `request` is present with `?include=request`.

    `source` is the URL with possible secrets as `***`, or `upload`; of a list's tasks that an
    older version indexed, the URL's host. `steps` are the kinds. `tracks`, the number of tracks so
    far, is in lists. `live`: the state of a live source, null while no worker has the task; absent
    for files.
    """

    id: str
    object: Literal["video.task"]
    status: Status
    created_at: str
    started_at: str | None
    finished_at: str | None
    model: str | None
    provider: str | None
    attempts: list[AttemptResource]
    progress: Progress
    error: TaskFailure | None
    stream_url: str
    results_url: str
    request: dict[str, Any] | UnsetType = UNSET
    source: str = ""
    steps: list[str] = []
    tracks: int | UnsetType = UNSET
    live: LiveSource | UnsetType | None = UNSET


class TaskPage(msgspec.Struct, frozen=True):
    """A page of tasks; `counts` is present with `?include=counts`."""

    data: list[TaskResource]
    next_cursor: str | None
    counts: Counts | UnsetType = UNSET


class CancelAccepted(msgspec.Struct, frozen=True):
    id: str
    status: Status


class UsageResource(msgspec.Struct, frozen=True):
    """`dropped`: frames of a live source that were not processed, by reason, once it has ended."""

    processed_frames: int
    processing_time_ms: int
    dropped: dict[str, int] | UnsetType = UNSET


class ResultResource(msgspec.Struct, frozen=True):
    """The results of a succeeded task, of a cancelled live one, or with `?partial=true` so far.

    `partial`: true, or absent if the whole log is in it; then there are the first `log_length`
    bytes. `seen_from` and `seen_to` are when the first and the last frame of a live source were
    captured. `next_cursor` is there where tracks come in pages: null at the last one.
    """

    id: str
    object: Literal["mm.pipeline.result"]
    model: str | None
    usage: UsageResource
    tracks: list[TrackSummary]
    partial: bool | UnsetType = UNSET
    log_length: int | UnsetType = UNSET
    seen_from: str | UnsetType | None = UNSET
    seen_to: str | UnsetType | None = UNSET
    next_cursor: str | UnsetType | None = UNSET
