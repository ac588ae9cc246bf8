"""Rows of the tables as the index would write them."""

from collections.abc import Sequence
from typing import Any

import msgspec

from streamproc.contract import tables


def task_row(project: str, task: str, **changes: Any) -> tables.TaskRow:
    defaults: dict[str, Any] = {
        "created_ms": tables.created_ms_of(task),
        "status": "succeeded",
        "started_ms": None,
        "finished_ms": None,
        "model": None,
        "provider": None,
        "steps": ("detect",),
        "models": ("detect@1",),
        "source": "example.com",
        "processed_frames": 0,
        "total_frames": None,
        "fps": 0.0,
        "finish_reason": None,
        "processing_time_ms": None,
        "decoded_frames": None,
        "failed_frames": None,
        "skipped_frames": None,
        "error_code": None,
        "error_message": None,
        "log_length": 0,
        "log_epoch": 0,
        "log_position": 0,
        "last_frame": -1,
        "rev": 1,
    }
    return tables.TaskRow(
        project=project, task_id=task, month=tables.month_of(task), **{**defaults, **changes}
    )


def track_row(project: str, task: str, track: int, **changes: Any) -> tables.TrackRow:
    defaults: dict[str, Any] = {
        "created_ms": tables.created_ms_of(task),
        "class_name": "pedestrian",
        "first_frame": 0,
        "last_frame": 10,
        "first_s": 0.0,
        "last_s": 1.0,
        "dwell_s": 1.0,
        "frames_seen": 11,
        "best_confidence": 0.9,
        "best_frame": 3,
        "best_left": 1,
        "best_top": 2,
        "best_width": 3,
        "best_height": 4,
        "feature_digest": None,
        "feature_confidence": None,
        "text": None,
        "text_confidence": None,
        "last_off": 100,
    }
    return tables.TrackRow(
        project=project,
        task_id=task,
        month=tables.month_of(task),
        track_id=track,
        **{**defaults, **changes},
    )


def embedding_row(
    project: str, task: str, track: int, vector: Sequence[float]
) -> tables.EmbeddingRow:
    return tables.EmbeddingRow(
        project=project,
        task_id=task,
        month=tables.month_of(task),
        track_id=track,
        frame=0,
        confidence=0.9,
        vector=tuple(vector),
        off=100,
    )


def insert(client: Any, table: str, rows: Sequence[msgspec.Struct]) -> None:
    """Insert rows the way the index does: whole numbers are a time column's milliseconds."""
    client.insert(
        table,
        [msgspec.structs.astuple(row) for row in rows],
        column_names=tables.columns(table),
        column_type_names=[row[1] for row in client.query(f"DESCRIBE {table}").result_rows],
    )
