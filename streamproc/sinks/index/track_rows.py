"""Rows of tracks, detections and vectors: pure functions of a task's row and one sighting."""

from typing import NamedTuple

import msgspec
import numpy as np

from streamproc.contract.bounds import (
    MAX_PX,
    MAX_TRACK_ID,
    MAX_VECTOR_BYTES,
    clamped,
)
from streamproc.contract.chunk import Roi, Target
from streamproc.contract.records import TrackVector
from streamproc.contract.tables import DetectionRow, EmbeddingRow, TaskRow, TrackRow, month_at
from streamproc.contract.text_vote import Spelling, add_reading, count


class Sighting(NamedTuple):
    """One target of a chunk that ends at log offset `end`; `time_s` is media time.

    `captured_ms`: when the frame of a live source was captured.
    """

    target: Target
    frame: int
    time_s: float
    end: int
    captured_ms: int | None = None


def detection_row(task: TaskRow, seen: Sighting, det_idx: int, epoch: int) -> DetectionRow:
    target, roi = seen.target, clamped_roi(seen.target.roi)
    return DetectionRow(
        project=task.project,
        task_id=task.task_id,
        month=_month(task, seen),
        frame=seen.frame,
        det_idx=det_idx,
        time_s=seen.time_s,
        track_id=clamped_track_id(target.track_id),
        class_name=target.class_name,
        confidence=target.confidence,
        left=roi.left,
        top=roi.top,
        width=roi.width,
        height=roi.height,
        text=target.text or None,
        text_confidence=(target.text_confidence or 0.0) if target.text else None,
        epoch=epoch,
        captured_ms=seen.captured_ms,
        retention_days=task.retention_days,
    )


def track_row(task: TaskRow, known: TrackRow | None, seen: Sighting) -> TrackRow:
    """Return the track's row with one more sighting; `known` None: it is the first one."""
    target = seen.target
    track = known or _first_seen(task, seen)
    fields: dict[str, object] = {
        "last_frame": seen.frame,
        "last_s": seen.time_s,
        "dwell_s": round(max(0.0, seen.time_s - track.first_s), 6),
        "frames_seen": track.frames_seen + 1,
        "last_off": seen.end,
        **_seen_at(track, seen.captured_ms),
    }
    if target.confidence > track.best_confidence:
        roi = clamped_roi(target.roi)
        fields |= {
            "class_name": target.class_name,
            "best_confidence": target.confidence,
            "best_frame": seen.frame,
            "best_left": roi.left,
            "best_top": roi.top,
            "best_width": roi.width,
            "best_height": roi.height,
        }
    if target.feature_digest and _better(target.confidence, track.feature_confidence):
        fields["feature_digest"] = target.feature_digest
        fields["feature_confidence"] = target.confidence
    if target.text:
        fields |= _text_fields(track, target.text, target.text_confidence or 0.0)
    return msgspec.structs.replace(track, **fields)


def embedding_row(
    task: TaskRow, track: TrackRow | None, found: TrackVector, frame: int, end: int
) -> EmbeddingRow | None:
    """Return the vector's row; None for a zero or invalid vector, or a non-finite confidence.

    `track` is its track as far as it is known.
    """
    vector = normalised(found.vector)
    if vector is None or not np.isfinite(found.confidence):
        return None
    return EmbeddingRow(
        project=task.project,
        task_id=task.task_id,
        month=task.month if track is None else track.month,
        track_id=clamped_track_id(found.track_id),
        frame=frame,
        confidence=found.confidence,
        vector=vector,
        off=end,
        first_seen_ms=None if track is None else track.first_seen_ms,
        retention_days=task.retention_days,
    )


def clamped_track_id(track_id: int) -> int:
    return clamped(track_id, 0, MAX_TRACK_ID)


def clamped_roi(roi: Roi) -> Roi:
    """Return the box, clamped to the maximum size of an image."""
    return Roi(
        left=clamped(roi.left, -MAX_PX, MAX_PX),
        top=clamped(roi.top, -MAX_PX, MAX_PX),
        width=clamped(roi.width, 0, MAX_PX),
        height=clamped(roi.height, 0, MAX_PX),
    )


def frame_time_s(frame: int, fps: float) -> float:
    """Estimate the media time of a frame whose chunk has none; 0 without a frame rate."""
    return round(frame / fps, 6) if fps > 0 else 0.0


def normalised(vector: bytes) -> tuple[float, ...] | None:
    """Normalise little-endian float16 to a vector of length 1; None if zero or invalid."""
    if len(vector) % 2 or len(vector) > MAX_VECTOR_BYTES:
        return None
    with np.errstate(invalid="ignore"):  # a signalling NaN is an invalid vector too
        values = np.frombuffer(vector, "<f2").astype(np.float32)
        norm = float(np.linalg.norm(values))
    if not np.isfinite(norm) or norm == 0:
        return None
    return tuple((values / norm).tolist())


def _first_seen(task: TaskRow, seen: Sighting) -> TrackRow:
    """Return a new track's row, with a confidence below that of its first target."""
    roi = clamped_roi(seen.target.roi)
    return TrackRow(
        project=task.project,
        task_id=task.task_id,
        month=_month(task, seen),
        track_id=clamped_track_id(seen.target.track_id),
        created_ms=task.created_ms,
        class_name=seen.target.class_name,
        first_frame=seen.frame,
        last_frame=seen.frame,
        first_s=seen.time_s,
        last_s=seen.time_s,
        dwell_s=0.0,
        frames_seen=0,
        best_confidence=-1.0,
        best_frame=seen.frame,
        best_left=roi.left,
        best_top=roi.top,
        best_width=roi.width,
        best_height=roi.height,
        feature_digest=None,
        feature_confidence=None,
        text=None,
        text_confidence=None,
        last_off=0,
        retention_days=task.retention_days,
    )


def _month(task: TaskRow, seen: Sighting) -> int:
    """Return the partition of a row that is first written for this sighting."""
    return task.month if seen.captured_ms is None else month_at(seen.captured_ms)


def _seen_at(track: TrackRow, captured_ms: int | None) -> dict[str, object]:
    """Return the changed times of capture, and the time between them.

    A source's clock may be set back; a track's time never goes backwards.
    """
    if captured_ms is None:
        return {}
    if track.first_seen_ms is None:
        first_ms = last_ms = captured_ms
    else:
        first_ms = track.first_seen_ms
        last_ms = max(captured_ms, track.last_seen_ms or first_ms)
    return {
        "first_seen_ms": first_ms,
        "last_seen_ms": last_ms,
        "dwell_s": (last_ms - first_ms) / 1000,
    }


def _text_fields(track: TrackRow, text: str, confidence: float) -> dict[str, object]:
    """Return the changed fields after one more reading of the track's text."""
    candidates = zip(track.text_readings, track.text_weights, track.text_confidences, strict=False)
    spellings = tuple(Spelling(*candidate) for candidate in candidates)
    if not spellings and track.text:  # indexed before there was a vote
        spellings = add_reading((), track.text, track.text_confidence or 0.0)
    spellings = add_reading(spellings, text, confidence)
    vote = count(spellings)
    if vote is None:
        return {}
    return {
        "text": vote.text,
        "text_confidence": vote.confidence,
        "text_support": vote.support,
        "text_readings": tuple(spelling.text for spelling in spellings),
        "text_weights": tuple(spelling.weight for spelling in spellings),
        "text_confidences": tuple(spelling.confidence for spelling in spellings),
    }


def _better(confidence: float, than: float | None) -> bool:
    return than is None or confidence > than
