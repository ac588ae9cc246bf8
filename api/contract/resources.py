"""The public requests and answers of the API, field for field: the reference's names and ours.

Import-light (stdlib and msgspec). Requests refuse unknown fields; answers grow by optional ones.
Times are RFC 3339 in UTC with milliseconds. `api.tasks.request_parser` reads requests into these.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from streamproc.contract.bounds import MAX_LIMIT, MAX_WEIGHT

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
"""Files with more streams are refused."""
MAX_URL_LENGTH = 8192
DEFAULT_OVERLAP_S = 24 * 3600
MAX_OVERLAP_S = 90 * 24 * 3600

Scope = Literal["read", "submit", "admin:project"]

Count = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
Limit = Annotated[int, Meta(ge=0, le=MAX_LIMIT)]
Weight = Annotated[int, Meta(ge=1, le=MAX_WEIGHT)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything a client sends."""


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
    """The half-open part `[start, end)` of the video; no end is the video's end."""

    start: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] = 0
    end: Annotated[float, Meta(gt=0, le=MAX_SECONDS)] | None = None
    unit: Literal["seconds", "frames"] = "seconds"


class VideoUrl(_Request, frozen=True, tag_field="type", tag="video_url"):
    """A video behind a URL: http, https, or file below a directory that the operator allows."""

    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL_LENGTH)]
    sampling: Sampling | None = None
    range: Range | None = None
    max_frames: Count | None = None
    stream: StreamNumber | None = None


class VideoBase64(_Request, frozen=True, tag_field="type", tag="video_base64"):
    """A video in the request: `data` is base64, or a data: URL that holds base64."""

    data: Annotated[str, Meta(min_length=1)]
    sampling: Sampling | None = None
    range: Range | None = None
    max_frames: Count | None = None
    stream: StreamNumber | None = None


Input = VideoUrl | VideoBase64


class When(_Request, frozen=True):
    """Which targets a step works on: all given conditions must hold."""

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


class ProjectRequest(_Request, frozen=True):
    """The body of `POST /v1/admin/projects`; without an id one is made."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{1,62}$")] | None = None


class LimitsPatch(_Request, frozen=True):
    """A project's limits: what is absent stays, null takes the server's setting, 0 is no limit."""

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
    """The body of `POST /v1/admin/keys`: no scopes are `read` and `submit`, no expiry is never."""

    project: Annotated[str, Meta(min_length=1, max_length=64)]
    name: Annotated[str, Meta(max_length=128)] = ""
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=3)] | None = None
    expires_at: Annotated[str, Meta(max_length=64)] | None = None


class RotateRequest(_Request, frozen=True):
    """The body of `POST /v1/admin/keys/:id/rotate`: for how long the old key still works."""

    overlap_s: Annotated[int, Meta(ge=0, le=MAX_OVERLAP_S)] = DEFAULT_OVERLAP_S
    expires_at: Annotated[str, Meta(max_length=64)] | None = None


class Accepted(msgspec.Struct, frozen=True):
    """202: the task will be done."""

    id: str
    status: Status
    stream_url: str


class StreamToken(msgspec.Struct, frozen=True):
    """A token that opens one task's stream in a URL, until `expires_at`."""

    token: str
    expires_at: str
    stream_url: str


class Progress(msgspec.Struct, frozen=True):
    """`fps` is the source's frame rate; null until the first chunk says it.

    `total_frames_is_estimate`: true, or not there.
    """

    processed_frames: int
    total_frames: int | None
    fps: float | None
    total_frames_is_estimate: bool | UnsetType = UNSET


class TaskFailure(msgspec.Struct, frozen=True):
    code: str
    message: str


class AttemptResource(msgspec.Struct, frozen=True):
    """A provider that failed before the first chunk."""

    provider: str
    code: str
    message: str


class TaskResource(msgspec.Struct, frozen=True):
    """A task as it stands; `request` is there with `?include=request`."""

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


class TaskPage(msgspec.Struct, frozen=True):
    data: list[TaskResource]
    next_cursor: str | None


class CancelAccepted(msgspec.Struct, frozen=True):
    id: str
    status: Status


class TrackSummary(msgspec.Struct, frozen=True, rename={"class_name": "class"}, omit_defaults=True):
    """One object over the frames of a task; confidences have 4 decimals.

    `feature_digest` is of the frame with the best confidence, the first such frame.
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
    first_seen_s: float | None = None
    last_seen_s: float | None = None
    dwell_s: float | None = None


class UsageResource(msgspec.Struct, frozen=True):
    processed_frames: int
    processing_time_ms: int


class ResultResource(msgspec.Struct, frozen=True):
    """What a succeeded task found."""

    id: str
    object: Literal["mm.pipeline.result"]
    model: str | None
    usage: UsageResource
    tracks: list[TrackSummary]


class TrackResource(msgspec.Struct, frozen=True, rename={"class_name": "class"}):
    """One track of any task of the project; `distance` (cosine) with `similar_to` alone."""

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


class TrackPage(msgspec.Struct, frozen=True):
    data: list[TrackResource]
    next_cursor: str | None


class LimitsResource(msgspec.Struct, frozen=True):
    """A project's own limits; null is the server's setting, 0 is no limit.

    `weight` is its share of the workers against the 1 of others; null is 1.
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
    """A project key. `key` is the key itself: shown once; only its hash is kept.

    `last_used_at` is true to some ten minutes. `replaces` and `replaced_by` are ids of keys.
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
    """One record of the audit trail. `actor` is `admin`, a key's id, or `-` for nobody known.

    `outcome` is `done`, `denied` or `failed`. `suppressed` denied attempts before this one were too
    many to be written each.
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
    """What a project used on one UTC day: the tasks submitted on it, as far as they have come.

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
    """A model that a step may name: by `id`, and by its kind when it is the kind's `default`."""

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


class ModelPage(msgspec.Struct, frozen=True):
    data: list[ModelResource]


class SandboxResource(msgspec.Struct, frozen=True):
    """What holds a worker's decoders; `missing` names the parts that its host refused."""

    level: Literal["full", "partial", "none"]
    missing: list[str]


class WorkerResource(msgspec.Struct, frozen=True):
    """A worker as its last heartbeat told; `alive` when that is not long ago."""

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


class LagResource(msgspec.Struct, frozen=True):
    """Messages of a topic that a group has not committed yet; null: it never committed any."""

    group: str
    topic: str
    partition: int
    lag: int | None


class ConsumerResource(msgspec.Struct, frozen=True):
    """A process of the archive or the index, as its last heartbeat told.

    `standing`: partitions in which records wait and nothing was read for a minute or the limit set.
    `waiting_for`: what it waits for on purpose. `renewals`: how often its consumer was made anew.
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


class DeadLetterResource(msgspec.Struct, frozen=True):
    """What a role goes on without: a task that it ended, or a record that it left out."""

    at: str
    role: str
    code: str
    message: str
    task: str | None
    topic: str | None
    partition: int | None
    offset: int | None


class PartResource(msgspec.Struct, frozen=True):
    """One part that the service leans on; `detail` names the fault, without addresses."""

    name: str
    ready: bool
    detail: str | None = None


class SystemResource(msgspec.Struct, frozen=True):
    """`project` is the asking key's own, null for the operator.

    `dead_letters`: the last ones, newest first; of the key's project, for the operator all.
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


class HealthResource(msgspec.Struct, frozen=True):
    status: Literal["ready", "not_ready", "live"]
    parts: list[PartResource]


class Problem(msgspec.Struct, frozen=True):
    """RFC 9457. `code` is stable; `errors` names the wrong fields of a 422."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, str]] | UnsetType = UNSET
