"""ClickHouse schema: tables and views, the same statements for a server and for chDB.

Every row is fully determined by the bytes of a task's log (and by its submission), so a replay
writes the same rows again and ReplacingMergeTree keeps one of them. Read a table with `FINAL`, or
read its view, which does so. Partitions follow the month in the task id, never the clock; rows of a
live task's frames, tracks and vectors follow the month of the capture, and expire by it.

Write order of one batch: detections, embeddings, tracks, tasks. Therefore all other rows of the
bytes that `tasks.log_length` counts exist. The audit trail (`contract.audit`) is in the same
database: it comes only from video.audit, and `reindex` does not change it. So are the samples of
workers' heartbeats (`contract.worker_history`), which are kept for days.
"""

from datetime import UTC, datetime
from typing import Literal

import msgspec

from streamproc.contract import audit, lag_history, worker_history

TASKS = "tasks"
TRACKS = "tracks"
DETECTIONS = "detections"
EMBEDDINGS = "embeddings"
TABLES = (TASKS, TRACKS, DETECTIONS, EMBEDDINGS)

V_TASKS = "v_tasks"
V_TRACKS = "v_tracks"
V_DETECTIONS = "v_detections"
V_EMBEDDINGS = "v_embeddings"
V_USAGE = "v_usage"
VIEWS = (V_TASKS, V_TRACKS, V_DETECTIONS, V_EMBEDDINGS, V_USAGE, audit.V_AUDIT)

TASK_ID_PREFIX = "vt_"

TaskStatus = Literal["pending", "running", "succeeded", "failed", "cancelled"]

_CROCKFORD = {char: value for value, char in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
_ULID_CHARS = 26
_ULID_TIME_CHARS = 10
_MAX_ULID_MS = 2**48 - 1


class TaskRow(
    msgspec.Struct,
    frozen=True,
    rename={
        "created_ms": "created_at",
        "started_ms": "started_at",
        "finished_ms": "finished_at",
        "seen_from_ms": "seen_from",
        "seen_to_ms": "seen_to",
    },
):
    """One task, as far as its log is indexed; fields in column order, times in Unix ms.

    `steps` are the kinds (`detect`, `ocr`, `feature`) and `models` their `name@version`, in order.
    `source` is the host of the input's URL, `file` or `upload`: never a URL. `source_url` is the
    URL with possible secrets masked, or `upload`, and `source_name` its short name
    (`contract.source_label`). `fps` is the source's frame rate. `frame_plan` is as
    `contract.frame_plan.encode_plan` writes it, `expected_frames` the estimate from it.
    `log_length` is the count of log bytes indexed; `log_epoch` and `log_position` are the fold's
    epoch and Kafka position there. `rev` orders the versions of the row. Of a live source:
    `seen_from_ms` and `seen_to_ms` are when its first and its last frame so far were captured, and
    `dropped` counts the frames that were not processed by reason, once the task has ended.
    `retention_days` is how long its rows of frames, tracks and vectors are kept, 0 for ever, None
    as long as the index's setting says; these rows have the same.
    """

    project: str
    task_id: str
    month: int
    created_ms: int
    status: TaskStatus
    started_ms: int | None
    finished_ms: int | None
    model: str | None
    provider: str | None
    steps: tuple[str, ...]
    models: tuple[str, ...]
    source: str
    processed_frames: int
    total_frames: int | None
    fps: float
    finish_reason: str | None
    processing_time_ms: int | None
    decoded_frames: int | None
    failed_frames: int | None
    skipped_frames: int | None
    error_code: str | None
    error_message: str | None
    log_length: int
    log_epoch: int
    log_position: int
    last_frame: int
    rev: int
    total_frames_is_estimate: bool = False
    source_url: str = ""
    source_name: str = ""
    frame_plan: str = ""
    expected_frames: int | None = None
    seen_from_ms: int | None = None
    seen_to_ms: int | None = None
    dropped: dict[str, int] = {}
    retention_days: int | None = None


class TrackRow(
    msgspec.Struct,
    frozen=True,
    rename={
        "created_ms": "created_at",
        "class_name": "class",
        "first_seen_ms": "first_seen_at",
        "last_seen_ms": "last_seen_at",
    },
):
    """One track of a task, aggregated over the log's first `last_off` bytes.

    `first_s`, `last_s` are media time since the source's first frame; `dwell_s` is their
    difference. Of a live source, `first_seen_ms` and `last_seen_ms` are when those frames were
    captured, and `dwell_s` is their difference. `best_*` are of the target with the highest
    confidence, the first one if equal; `feature_digest` is of the best target that has one. `text`
    is the winner of a vote over all readings (`contract.text_vote`), `text_support` its share of
    the votes, and `text_readings`, `text_weights` and `text_confidences` are the candidates.
    `created_ms` is the task's.
    """

    project: str
    task_id: str
    month: int
    track_id: int
    created_ms: int
    class_name: str
    first_frame: int
    last_frame: int
    first_s: float
    last_s: float
    dwell_s: float
    frames_seen: int
    best_confidence: float
    best_frame: int
    best_left: int
    best_top: int
    best_width: int
    best_height: int
    feature_digest: str | None
    feature_confidence: float | None
    text: str | None
    text_confidence: float | None
    last_off: int
    text_support: float | None = None
    text_readings: tuple[str, ...] = ()
    text_weights: tuple[float, ...] = ()
    text_confidences: tuple[float, ...] = ()
    first_seen_ms: int | None = None
    last_seen_ms: int | None = None
    retention_days: int | None = None


class DetectionRow(
    msgspec.Struct, frozen=True, rename={"class_name": "class", "captured_ms": "captured_at"}
):
    """One target in one frame; box in whole source pixels, `det_idx` its position in the chunk.

    `epoch` is the writer's claim; rows written by `reindex` have the epoch of their segment's end.
    `captured_ms`: when the frame of a live source was captured.
    """

    project: str
    task_id: str
    month: int
    frame: int
    det_idx: int
    time_s: float
    track_id: int
    class_name: str
    confidence: float
    left: int
    top: int
    width: int
    height: int
    text: str | None
    text_confidence: float | None
    epoch: int
    captured_ms: int | None = None
    retention_days: int | None = None


class EmbeddingRow(msgspec.Struct, frozen=True, rename={"first_seen_ms": "first_seen_at"}):
    """A track's most confident feature vector, of length 1; `off` is the log offset after it.

    `first_seen_ms` is the track's, of a live source.
    """

    project: str
    task_id: str
    month: int
    track_id: int
    frame: int
    confidence: float
    vector: tuple[float, ...]
    off: int
    first_seen_ms: int | None = None
    retention_days: int | None = None


ROW_TYPES: dict[str, type[TaskRow | TrackRow | DetectionRow | EmbeddingRow]] = {
    TASKS: TaskRow,
    TRACKS: TrackRow,
    DETECTIONS: DetectionRow,
    EMBEDDINGS: EmbeddingRow,
}

_TIME = "Nullable(DateTime64(3, 'UTC'))"
_DAYS = "Nullable(UInt32)"
_SETTINGS = "SETTINGS non_replicated_deduplication_window = 1000"

# ruff: noqa: S608 - the statements are put together from the table names above alone
_CREATE_TABLES = (
    f"""CREATE TABLE IF NOT EXISTS {TASKS} (
    project LowCardinality(String),
    task_id String,
    month UInt32 COMMENT 'YYYYMM of the task id',
    created_at DateTime64(3, 'UTC'),
    status LowCardinality(String) COMMENT 'pending, running, succeeded, failed, cancelled',
    started_at Nullable(DateTime64(3, 'UTC')) COMMENT 'first claim by a worker',
    finished_at Nullable(DateTime64(3, 'UTC')),
    model Nullable(String) COMMENT 'routing hint of the request',
    provider LowCardinality(Nullable(String)) COMMENT 'who computed it',
    steps Array(LowCardinality(String)) COMMENT 'detect, ocr, feature, in order',
    models Array(LowCardinality(String)) COMMENT 'name@version of each step',
    source String COMMENT 'host of the input URL, file or upload',
    processed_frames UInt64,
    total_frames Nullable(UInt64),
    fps Float64 COMMENT 'frame rate of the source',
    finish_reason LowCardinality(Nullable(String)),
    processing_time_ms Nullable(UInt64),
    decoded_frames Nullable(UInt64),
    failed_frames Nullable(UInt64),
    skipped_frames Nullable(UInt64),
    error_code LowCardinality(Nullable(String)),
    error_message Nullable(String),
    log_length UInt64 COMMENT 'log bytes that are indexed',
    log_epoch Int64,
    log_position UInt64,
    last_frame Int64,
    rev UInt64,
    total_frames_is_estimate Bool DEFAULT false,
    source_url String DEFAULT '' COMMENT 'masked URL, or upload',
    source_name String DEFAULT '' COMMENT 'file name of the source, or upload',
    frame_plan String DEFAULT '' COMMENT 'sampling, range and max_frames as JSON',
    expected_frames Nullable(UInt64) COMMENT 'estimate of the frames to process',
    seen_from {_TIME} COMMENT 'capture of a live source first frame',
    seen_to {_TIME} COMMENT 'capture of the last frame so far',
    dropped Map(LowCardinality(String), UInt64) COMMENT 'unprocessed frames of a live source',
    retention_days {_DAYS} COMMENT 'of a live task, 0: for ever'
) ENGINE = ReplacingMergeTree(rev)
PARTITION BY month
ORDER BY (project, task_id)
{_SETTINGS}""",
    f"""CREATE TABLE IF NOT EXISTS {TRACKS} (
    project LowCardinality(String),
    task_id String,
    month UInt32,
    track_id UInt32,
    created_at DateTime64(3, 'UTC') COMMENT 'of the task',
    class LowCardinality(String),
    first_frame UInt64,
    last_frame UInt64,
    first_s Float64 COMMENT 'media time',
    last_s Float64 COMMENT 'media time',
    dwell_s Float64,
    frames_seen UInt64,
    best_confidence Float64,
    best_frame UInt64,
    best_left Int32,
    best_top Int32,
    best_width Int32,
    best_height Int32,
    feature_digest Nullable(String),
    feature_confidence Nullable(Float64),
    text Nullable(String),
    text_confidence Nullable(Float64),
    last_off UInt64 COMMENT 'log offset after the last chunk that shows the track',
    text_support Nullable(Float64) COMMENT 'share of the votes that text has',
    text_readings Array(String) DEFAULT [] COMMENT 'spellings that were read',
    text_weights Array(Float64) DEFAULT [] COMMENT 'sum of confidence x letters of each',
    text_confidences Array(Float64) DEFAULT [] COMMENT 'best confidence of each',
    first_seen_at {_TIME} COMMENT 'capture of first_frame, live sources',
    last_seen_at {_TIME} COMMENT 'capture of last_frame, live sources',
    retention_days {_DAYS} COMMENT 'of a live task, 0: for ever'
) ENGINE = ReplacingMergeTree(last_off)
PARTITION BY month
ORDER BY (project, task_id, track_id)
{_SETTINGS}""",
    f"""CREATE TABLE IF NOT EXISTS {DETECTIONS} (
    project LowCardinality(String),
    task_id String,
    month UInt32,
    frame UInt64,
    det_idx UInt32 COMMENT 'place in the chunk',
    time_s Float64 COMMENT 'media time',
    track_id UInt32,
    class LowCardinality(String),
    confidence Float64,
    left Int32,
    top Int32,
    width Int32,
    height Int32,
    text Nullable(String),
    text_confidence Nullable(Float64),
    epoch UInt64 COMMENT 'claim of the writer',
    captured_at {_TIME} COMMENT 'capture of the frame, live sources',
    retention_days {_DAYS} COMMENT 'of a live task, 0: for ever'
) ENGINE = ReplacingMergeTree(epoch)
PARTITION BY month
ORDER BY (project, task_id, frame, det_idx)
{_SETTINGS}""",
    f"""CREATE TABLE IF NOT EXISTS {EMBEDDINGS} (
    project LowCardinality(String),
    task_id String,
    month UInt32,
    track_id UInt32,
    frame UInt64,
    confidence Float64,
    vector Array(Float32) COMMENT 'length 1',
    off UInt64 COMMENT 'log offset after the chunk it came with',
    first_seen_at {_TIME} COMMENT 'of the track, live sources',
    retention_days {_DAYS} COMMENT 'of a live task, 0: for ever'
) ENGINE = ReplacingMergeTree(off)
PARTITION BY month
ORDER BY (project, task_id, track_id)
{_SETTINGS}""",
)

_ADD_COLUMNS = (
    f"ALTER TABLE {TASKS} ADD COLUMN IF NOT EXISTS total_frames_is_estimate Bool DEFAULT false",
    f"ALTER TABLE {TASKS} ADD COLUMN IF NOT EXISTS source_url String DEFAULT ''",
    f"ALTER TABLE {TASKS} ADD COLUMN IF NOT EXISTS source_name String DEFAULT ''",
    f"ALTER TABLE {TASKS} ADD COLUMN IF NOT EXISTS frame_plan String DEFAULT ''",
    f"ALTER TABLE {TASKS} ADD COLUMN IF NOT EXISTS expected_frames Nullable(UInt64)",
    f"ALTER TABLE {TRACKS} ADD COLUMN IF NOT EXISTS text_support Nullable(Float64)",
    f"ALTER TABLE {TRACKS} ADD COLUMN IF NOT EXISTS text_readings Array(String) DEFAULT []",
    f"ALTER TABLE {TRACKS} ADD COLUMN IF NOT EXISTS text_weights Array(Float64) DEFAULT []",
    f"ALTER TABLE {TRACKS} ADD COLUMN IF NOT EXISTS text_confidences Array(Float64) DEFAULT []",
    f"ALTER TABLE {TASKS} ADD COLUMN IF NOT EXISTS seen_from {_TIME}",
    f"ALTER TABLE {TASKS} ADD COLUMN IF NOT EXISTS seen_to {_TIME}",
    f"ALTER TABLE {TASKS} ADD COLUMN IF NOT EXISTS dropped Map(LowCardinality(String), UInt64)",
    f"ALTER TABLE {TRACKS} ADD COLUMN IF NOT EXISTS first_seen_at {_TIME}",
    f"ALTER TABLE {TRACKS} ADD COLUMN IF NOT EXISTS last_seen_at {_TIME}",
    f"ALTER TABLE {DETECTIONS} ADD COLUMN IF NOT EXISTS captured_at {_TIME}",
    f"ALTER TABLE {EMBEDDINGS} ADD COLUMN IF NOT EXISTS first_seen_at {_TIME}",
    *(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS retention_days {_DAYS}" for table in TABLES),
)
"""Columns added after the first version."""

_CREATE_VIEWS = (
    f"""CREATE OR REPLACE VIEW {V_TASKS} AS SELECT
    project, task_id, created_at, status, started_at, finished_at,
    dateDiff('millisecond', created_at, started_at) / 1000 AS waited_s,
    dateDiff('millisecond', started_at, finished_at) / 1000 AS worked_s,
    model, provider, steps, models, source, processed_frames, total_frames, fps, finish_reason,
    processing_time_ms, decoded_frames, failed_frames, skipped_frames, error_code, error_message,
    log_length, total_frames_is_estimate, source_url, source_name, expected_frames, seen_from,
    seen_to, dropped
FROM {TASKS} FINAL""",
    f"""CREATE OR REPLACE VIEW {V_TRACKS} AS SELECT
    project, task_id, track_id, created_at, class, first_frame, last_frame, first_s, last_s,
    dwell_s, frames_seen, best_confidence, best_frame, best_left, best_top, best_width,
    best_height, feature_digest, text, text_confidence, text_support, text_readings, text_weights,
    first_seen_at, last_seen_at
FROM {TRACKS} FINAL""",
    f"""CREATE OR REPLACE VIEW {V_DETECTIONS} AS SELECT
    project, task_id, frame, time_s, track_id, class, confidence, left, top, width, height,
    left + width / 2 AS centre_x, top + height / 2 AS centre_y, text, text_confidence,
    captured_at
FROM {DETECTIONS} FINAL""",
    f"""CREATE OR REPLACE VIEW {V_EMBEDDINGS} AS SELECT
    project, task_id, track_id, frame, confidence, vector
FROM {EMBEDDINGS} FINAL""",
    f"""CREATE OR REPLACE VIEW {V_USAGE} AS SELECT
    project, toDate(created_at) AS day, count() AS tasks,
    sum(processed_frames) AS processed_frames,
    sum(ifNull(decoded_frames, 0)) AS decoded_frames,
    sum(ifNull(processing_time_ms, 0)) AS processing_time_ms,
    sum(log_length) AS log_bytes
FROM {TASKS} FINAL
GROUP BY project, day""",
)

DDL = (
    *(*_CREATE_TABLES, *_ADD_COLUMNS, *_CREATE_VIEWS),
    *(*audit.DDL, *worker_history.DDL, *lag_history.DDL),
)
"""Statements that migrate a database to this schema, in order; each one is idempotent."""


_AGED_BY = {DETECTIONS: "captured_at", TRACKS: "last_seen_at", EMBEDDINGS: "first_seen_at"}


def keep_statements(days: int) -> tuple[str, ...]:
    """Return the statements that set the TTL of live tasks' rows; `days` 0: for ever.

    Rows of other tasks have no time of capture, and none expires.
    """
    kept = f"ifNull(retention_days, {int(days)})"
    return tuple(
        f"ALTER TABLE {table} MODIFY TTL"
        f" toDateTime(ifNull({column}, toDateTime64('2100-01-01 00:00:00', 3, 'UTC')), 'UTC')"
        f" + toIntervalDay({kept}) DELETE WHERE {column} IS NOT NULL AND {kept} > 0"
        " SETTINGS materialize_ttl_after_modify = 0"
        for table, column in _AGED_BY.items()
    )


def columns(table: str) -> tuple[str, ...]:
    """Return the table's column names in order: the row type's fields as encoded."""
    return tuple(ROW_TYPES[table].__struct_encode_fields__)


def created_ms_of(task_id: str) -> int:
    """Return the Unix ms in a task id (`vt_` + ULID); for a derived id, its 24 h bucket.

    Raises ValueError on an id that no api issued.
    """
    ulid = task_id.removeprefix(TASK_ID_PREFIX)
    if len(ulid) != _ULID_CHARS or not task_id.startswith(TASK_ID_PREFIX):
        raise ValueError(f"not a task id: {task_id!r}")
    created_ms = 0
    for char in ulid[:_ULID_TIME_CHARS]:
        digit = _CROCKFORD.get(char)
        if digit is None:
            raise ValueError(f"not a task id: {task_id!r}")
        created_ms = created_ms * 32 + digit
    if created_ms > _MAX_ULID_MS:
        raise ValueError(f"not a task id: {task_id!r}")
    return created_ms


def month_of(task_id: str) -> int:
    """Return the month of the task id's time, UTC, as YYYYMM: the partition of all its rows.

    Raises ValueError on an id that no api issued.
    """
    return month_at(created_ms_of(task_id))


def month_at(time_ms: int) -> int:
    """Return the month of a Unix time, UTC, as YYYYMM."""
    moment = datetime.fromtimestamp(time_ms / 1000, tz=UTC)
    return moment.year * 100 + moment.month
