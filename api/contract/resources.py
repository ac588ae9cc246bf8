"""Schemas of the public API: request bodies and responses, with the reference's names and ours.

Import-light (stdlib and msgspec). Requests refuse unknown fields; responses grow by optional ones.
Times are RFC 3339 in UTC with milliseconds. `api.tasks.request_parser` parses requests into these.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from streamproc.contract.bounds import (
    DEFAULT_RECORDING_S,
    MAX_LIMIT,
    MAX_RECORDING_S,
    MAX_RETENTION_DAYS,
    MAX_WEIGHT,
    MIN_RECORDING_S,
)
from streamproc.contract.task_spec import Precision

Status = Literal["pending", "running", "cancelling", "succeeded", "failed", "cancelled"]
STATUSES: tuple[Status, ...] = (
    "pending",
    "running",
    "cancelling",
    "succeeded",
    "failed",
    "cancelled",
)

MAX_COUNT = 2**31 - 1
MAX_SECONDS = 10_000_000.0
MAX_STEPS = 32
MAX_STREAM = 127
"""Highest stream number; files with more streams are refused."""
MAX_URL_LENGTH = 8192
DEFAULT_OVERLAP_S = 24 * 3600
MAX_OVERLAP_S = 90 * 24 * 3600

Scope = Literal["read", "submit", "admin:project"]

Count = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Limit = Annotated[int, Meta(ge=0, le=MAX_LIMIT)]
Weight = Annotated[int, Meta(ge=1, le=MAX_WEIGHT)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all request bodies and their parts."""


class FpsSampling(_Request, frozen=True, tag_field="mode", tag="fps"):
    """The first frame at or after each k/value seconds from the range's start."""

    value: Annotated[float, Meta(gt=0, le=1000)] = 1.0


class KeyframeSampling(_Request, frozen=True, tag_field="mode", tag="keyframe"):
    """Keyframes only."""


class IntervalSampling(_Request, frozen=True, tag_field="mode", tag="interval"):
    """Every value-th frame, counted from the range's start."""

    value: Count


Sampling = FpsSampling | KeyframeSampling | IntervalSampling


StreamNumber = Annotated[int, Meta(ge=0, le=MAX_STREAM)]


class Range(_Request, frozen=True):
    """The half-open part `[start, end)` of the video; without `end`, to the video's end."""

    start: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] = 0
    end: Annotated[float, Meta(gt=0, le=MAX_SECONDS)] | None = None
    unit: Literal["seconds", "frames"] = "seconds"


class Record(_Request, frozen=True):
    """A live source is recorded, for `frames/N.jpg`; `retention_s`: how long a piece is kept."""

    retention_s: Annotated[int, Meta(ge=MIN_RECORDING_S, le=MAX_RECORDING_S)] = DEFAULT_RECORDING_S


class Live(_Request, frozen=True):
    """How a live source is read.

    `on_loss`: what a lost packet damaged is left out up to the next keyframe (`skip`), or decoded
    all the same (`conceal`). `max_lag_s`: decoding that is further behind continues at the newest
    keyframe. `give_up_s`: after so long without the source the task fails; null is never.
    `retention_days`: the log and the rows of the task are kept for so long, 0 for ever; null: as
    long as the server's setting says. `record`: the source is recorded; null: it is not.
    """

    transport: Literal["tcp", "udp"] = "tcp"
    on_loss: Literal["skip", "conceal"] = "skip"
    max_lag_s: Annotated[float, Meta(ge=0.2, le=60)] = 2.0
    give_up_s: Annotated[float, Meta(gt=0, le=MAX_SECONDS)] | None = None
    retention_days: Annotated[int, Meta(ge=0, le=MAX_RETENTION_DAYS)] | None = None
    record: Record | None = None


class VideoUrl(_Request, frozen=True, tag_field="type", tag="video_url"):
    """A video at a URL: http, https, or a file below a directory that the operator allows.

    Or a live source: rtsp, rtsps, or `camera:` and a name that the operator has given it.
    """

    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL_LENGTH)]
    sampling: Sampling | None = None
    range: Range | None = None
    max_frames: Count | None = None
    stream: StreamNumber | None = None
    live: Live | None = None


class VideoBase64(_Request, frozen=True, tag_field="type", tag="video_base64"):
    """A video in the request body: `data` is base64, or a data: URL that holds base64.

    Or it is `staged:` and an object key, as a request of the same project is echoed: the video of
    that request is used again.
    """

    data: Annotated[str, Meta(min_length=1)]
    sampling: Sampling | None = None
    range: Range | None = None
    max_frames: Count | None = None
    stream: StreamNumber | None = None


Input = VideoUrl | VideoBase64


class When(_Request, frozen=True):
    """Filter of the targets that a step processes: all given conditions must hold."""

    class_is: Annotated[list[str], Meta(min_length=1, max_length=1000)] | None = None
    min_confidence: Fraction | None = None


class StepRequest(_Request, frozen=True):
    """One step: `detect`, `ocr`, `feature`, or a `name@version` of `/v1/models`."""

    model: Annotated[str, Meta(min_length=1, max_length=128)]
    parameters: dict[str, Any] | None = None
    when: When | None = None


class ProcessRequest(_Request, frozen=True):
    """The body of `POST /v1/video/process`."""

    input: Annotated[list[Input], Meta(min_length=1, max_length=1)]
    steps: Annotated[list[StepRequest], Meta(min_length=1, max_length=MAX_STEPS)]
    model: Annotated[str, Meta(max_length=256)] | None = None
    precision: Precision | None = None


class ProjectRequest(_Request, frozen=True):
    """The body of `POST /v1/admin/projects`; without an id the server creates one."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{1,62}$")] | None = None


class LimitsPatch(_Request, frozen=True):
    """A project's limits: absent keeps a limit, null resets it to the setting, 0 is no limit."""

    submissions_per_minute: Limit | UnsetType | None = UNSET
    open_streams: Limit | UnsetType | None = UNSET
    upload_bytes_per_day: Limit | UnsetType | None = UNSET
    stored_bytes: Limit | UnsetType | None = UNSET
    open_tasks: Limit | UnsetType | None = UNSET
    weight: Weight | UnsetType | None = UNSET


class ProjectPatch(_Request, frozen=True):
    """The body of `PATCH /v1/admin/projects/:id`."""

    limits: LimitsPatch


class KeyRequest(_Request, frozen=True):
    """The body of `POST /v1/admin/keys`. Default scopes: `read`, `submit`; default expiry: none."""

    project: Annotated[str, Meta(min_length=1, max_length=64)]
    name: Annotated[str, Meta(max_length=128)] = ""
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=3)] | None = None
    expires_at: Annotated[str, Meta(max_length=64)] | None = None


class RotateRequest(_Request, frozen=True):
    """The body of `POST /v1/admin/keys/:id/rotate`; the old key works for another `overlap_s`."""

    overlap_s: Annotated[int, Meta(ge=0, le=MAX_OVERLAP_S)] = DEFAULT_OVERLAP_S
    expires_at: Annotated[str, Meta(max_length=64)] | None = None


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


class Counts(msgspec.Struct, frozen=True):
    """Numbers of rows of a list: those that match its filters, and all of the project.

    `is_capped`: true or absent; true if one of the numbers is larger than the limit it shows.
    """

    matching: int
    all: int
    is_capped: bool | UnsetType = UNSET


class TaskPage(msgspec.Struct, frozen=True):
    """A page of tasks; `counts` is present with `?include=counts`."""

    data: list[TaskResource]
    next_cursor: str | None
    counts: Counts | UnsetType = UNSET


class CancelAccepted(msgspec.Struct, frozen=True):
    id: str
    status: Status


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


class LimitsResource(msgspec.Struct, frozen=True):
    """A project's own limits; null is the server's setting, 0 is no limit.

    `weight` is its share of the workers, relative to the default of 1; null is 1.
    """

    submissions_per_minute: int | None = None
    open_streams: int | None = None
    upload_bytes_per_day: int | None = None
    stored_bytes: int | None = None
    open_tasks: int | None = None
    weight: int | None = None


class ProjectResource(msgspec.Struct, frozen=True):
    id: str
    name: str
    created_at: str
    limits: LimitsResource = LimitsResource()


class ProjectPage(msgspec.Struct, frozen=True):
    data: list[ProjectResource]


class KeyResource(msgspec.Struct, frozen=True):
    """A project key. `key` is the key itself: it is shown once, and only its hash is stored.

    `last_used_at` is accurate to about ten minutes. `replaces` and `replaced_by` are key ids.
    """

    id: str
    project: str
    name: str
    prefix: str
    created_at: str
    revoked: bool
    scopes: list[str] = msgspec.field(default_factory=list)
    expires_at: str | None = None
    last_used_at: str | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    key: str | UnsetType = UNSET


class KeyPage(msgspec.Struct, frozen=True):
    data: list[KeyResource]


class AuditResource(msgspec.Struct, frozen=True):
    """One record of the audit log. `actor` is `admin`, a key's id, or `-` for an unknown caller.

    `outcome` is `done`, `denied` or `failed`. `suppressed` is how many denied attempts before this
    one exceeded the rate limit and have no record of their own.
    """

    id: str
    at: str
    actor: str
    project: str | None
    action: str
    object: str
    address: str
    outcome: str
    status: int
    detail: str
    suppressed: int


class AuditPage(msgspec.Struct, frozen=True):
    data: list[AuditResource]
    next_cursor: str | None


class UsageDay(msgspec.Struct, frozen=True):
    """A project's usage on one UTC day: the tasks submitted on that day, as far as processed.

    `processing_s` is the time from a task's first claim to its end; `log_bytes` are stored.
    """

    day: str
    project: str
    tasks: int
    processed_frames: int
    decoded_frames: int
    processing_s: float
    log_bytes: int


class UsagePage(msgspec.Struct, frozen=True):
    data: list[UsageDay]
    next_cursor: str | None


class ModelResource(msgspec.Struct, frozen=True):
    """A model for steps, named by `id`, or by its kind if it is that kind's `default`.

    Text encoders are for no step: their words find the pictures of `feature_model`.
    """

    id: str
    object: Literal["model"]
    name: str
    version: str
    kind: str
    description: str
    licence: str
    source: str
    default: bool
    classes: list[str]
    parameters: dict[str, Any]
    devices: list[str]
    feature_model: str | None = None


class ModelPage(msgspec.Struct, frozen=True):
    data: list[ModelResource]


class ModelTask(msgspec.Struct, frozen=True):
    """A task that waits or runs and needs a model."""

    id: str
    project: str
    status: Status
    created_at: str


class ModelTaskPage(msgspec.Struct, frozen=True):
    """The tasks that need a model, oldest first; `total` counts also those that are not listed."""

    data: list[ModelTask]
    total: int


class SandboxResource(msgspec.Struct, frozen=True):
    """The sandbox of a worker's decoders; `missing` names the parts that its host refused."""

    level: Literal["full", "partial", "none"]
    missing: list[str]


class WorkerResource(msgspec.Struct, frozen=True):
    """A worker as its last heartbeat reported it; `alive` if the heartbeat is recent.

    `fps`: frames per second over about ten seconds. `device` is the one that computes;
    `device_fault` says why it computes nothing. `cpu_percent`: CPU time of its process over about
    two seconds, 100 is one core; null of a worker of an older version. `live_slots` and `live_busy`
    are as `slots` and `busy`, for live tasks. `sources` has the names of up to 1,000 of its named
    sources.
    """

    id: str
    host: str
    pid: int
    alive: bool
    started_at: str
    seen_at: str
    device: str
    precision: str
    models: list[str]
    slots: int
    busy: int
    fps: float
    processed_frames: int
    partitions: list[int]
    rss_bytes: int
    sandbox: SandboxResource | None = None
    device_fault: str | None = None
    cpu_percent: float | None = None
    live_slots: int = 0
    live_busy: int = 0
    sources: list[str] = []


class WorkerSampleResource(msgspec.Struct, frozen=True):
    """A worker in one step of time from `at` on.

    `fps`, `cpu_percent` (100 is one core; null if unknown) and `busy` are means, `rss_bytes` and
    `slots` maxima, `processed_frames` is the last count.
    """

    at: str
    fps: float
    cpu_percent: float | None
    rss_bytes: int
    busy: float
    slots: int
    processed_frames: int


class WorkerHistoryResource(msgspec.Struct, frozen=True):
    """A worker's history, oldest first; steps without a heartbeat are left out."""

    id: str
    samples: list[WorkerSampleResource]


class FailureGroup(msgspec.Struct, frozen=True):
    """The number of a project's failed tasks with one error `code` and one source (its name).

    `last_at` is the end of the latest of them, `last_task`.
    """

    code: str
    source: str
    tasks: int
    last_at: str
    last_task: str


class FailureGroups(msgspec.Struct, frozen=True):
    """Failed tasks by code and source, the largest group first, 100 at most."""

    data: list[FailureGroup]


class LagSampleResource(msgspec.Struct, frozen=True):
    """The largest lag in one step of time from `at` on, of all partitions together."""

    at: str
    lag: int


class LagHistoryResource(msgspec.Struct, frozen=True):
    """A consumer group's lag in a topic, oldest first; steps without a sample are left out."""

    group: str
    topic: str
    samples: list[LagSampleResource]


class SystemHistory(msgspec.Struct, frozen=True):
    """History of the workers and of consumer lag in `[from, to)`, in steps of `step_s` seconds.

    `lag` is empty if one worker alone was asked for.
    """

    from_: str = msgspec.field(name="from")
    to: str
    step_s: int
    workers: list[WorkerHistoryResource]
    lag: list[LagHistoryResource] = []


class LagResource(msgspec.Struct, frozen=True):
    """Consumer lag: messages that a group has not committed; `lag` is null if it never did."""

    group: str
    topic: str
    partition: int
    lag: int | None


class ConsumerResource(msgspec.Struct, frozen=True):
    """A process of the archive or the index, as its last heartbeat reported it.

    `standing`: partitions where records wait and nothing was read for a minute, or the limit set.
    `waiting_for`: what it waits for on purpose. `renewals`: how often its consumer was recreated.
    `cpu_percent` and `rss_bytes` are as those of a worker, null of a process of an older version.
    """

    role: str
    host: str
    pid: int
    alive: bool
    started_at: str
    seen_at: str
    partitions: list[int]
    standing: list[int]
    waiting_for: str | None
    renewals: int
    cpu_percent: float | None = None
    rss_bytes: int | None = None


class ApiProcessResource(msgspec.Struct, frozen=True):
    """The api process that answers; there may be others."""

    host: str
    pid: int
    started_at: str
    cpu_percent: float | None
    rss_bytes: int


class DeadLetterResource(msgspec.Struct, frozen=True):
    """A dead letter: a task that a role ended, or a record that it skipped."""

    at: str
    role: str
    code: str
    message: str
    task: str | None
    topic: str | None
    partition: int | None
    offset: int | None


class PartResource(msgspec.Struct, frozen=True):
    """The state of one dependency of the service; `detail` names the fault, without addresses."""

    name: str
    ready: bool
    detail: str | None = None


class SystemResource(msgspec.Struct, frozen=True):
    """State of the service. `project` is that of the caller's key, null for the operator.

    `dead_letters`: the last ones, newest first; the operator sees all, a key its project's own.
    """

    version: str
    partitions: int | None
    parts: list[PartResource]
    workers: list[WorkerResource]
    devices: list[str]
    lag: list[LagResource]
    project: str | None = None
    consumers: list[ConsumerResource] = []
    dead_letters: list[DeadLetterResource] = []
    api: ApiProcessResource | None = None


class HealthResource(msgspec.Struct, frozen=True):
    status: Literal["ready", "not_ready", "live"]
    parts: list[PartResource]


class Problem(msgspec.Struct, frozen=True):
    """An error response (RFC 9457). `code` is stable; `errors` lists the wrong fields of a 422."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] | UnsetType = UNSET
