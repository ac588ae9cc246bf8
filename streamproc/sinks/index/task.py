"""Rows of one task: folds its log into a task row, track rows, detections and vectors.

Everything here is a pure function of the submission and of the log's bytes, and each row states up
to which offset it counts (`log_length`, `last_off`, `off`). So a task can be resumed from its rows
in the tables, even after a batch that reached only some of them: a track row whose `last_off` is at
or after a chunk's end already includes that chunk.

Log values beyond a column's range are clamped here, and unusable estimates become unknown: every
log that could be written can be indexed.
"""

from collections.abc import Sequence
from itertools import islice
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from streamproc.contract.bounds import (
    MAX_CODE_CHARS,
    MAX_COUNT,
    MAX_DURATION_MS,
    MAX_REASONS,
    MAX_TIME_MS,
    clamped,
    usable_count,
    usable_fps,
    usable_time_s,
)
from streamproc.contract.chunk import Chunk, decode_chunk, track_ids
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.frame_plan import decode_plan, encode_plan, expected_frames, plan_of
from streamproc.contract.framing import DONE, event_data, parse_events
from streamproc.contract.live_url import CAMERA
from streamproc.contract.records import ChunkRecord, Submitted, decode_vectors, started_ms
from streamproc.contract.source_label import public_url, short_name
from streamproc.contract.tables import (
    DETECTIONS,
    EMBEDDINGS,
    TASKS,
    TRACKS,
    DetectionRow,
    EmbeddingRow,
    TaskRow,
    TrackRow,
    created_ms_of,
    month_of,
)
from streamproc.contract.task_spec import SourceRef
from streamproc.sinks.archive.actions import VectorEntry
from streamproc.sinks.archive.final import UNREADABLE, status_of
from streamproc.sinks.index.tables import EVICT_AFTER_MS, Embedded, Recovered
from streamproc.sinks.index.track_rows import (
    Sighting,
    clamped_track_id,
    detection_row,
    embedding_row,
    frame_time_s,
    track_row,
)


class TaskRows(msgspec.Struct, frozen=True):
    """New rows of one task, in the write order of their tables."""

    detections: list[DetectionRow]
    embeddings: list[EmbeddingRow]
    tracks: list[TrackRow]
    tasks: list[TaskRow]

    def by_table(self) -> tuple[tuple[str, Sequence[msgspec.Struct]], ...]:
        """Return `(table, rows)` in write order: `tasks` is last, as it states what is complete."""
        return (
            (DETECTIONS, self.detections),
            (EMBEDDINGS, self.embeddings),
            (TRACKS, self.tracks),
            (TASKS, self.tasks),
        )


class IndexedTask:
    """State of one task in the index; `take_rows` returns the changed rows.

    Raises ValueError on an id that no api issued.
    """

    def __init__(self, project: str, task_id: str) -> None:
        self.row = TaskRow(
            project=project,
            task_id=task_id,
            month=month_of(task_id),
            created_ms=created_ms_of(task_id),
            status="pending",
            started_ms=None,
            finished_ms=None,
            model=None,
            provider=None,
            steps=(),
            models=(),
            source="",
            processed_frames=0,
            total_frames=None,
            fps=0.0,
            finish_reason=None,
            processing_time_ms=None,
            decoded_frames=None,
            failed_frames=None,
            skipped_frames=None,
            error_code=None,
            error_message=None,
            log_length=0,
            log_epoch=-1,
            log_position=0,
            last_frame=-1,
            rev=0,
        )
        self.fold = Fold()
        self.tracks: dict[int, TrackRow] = {}
        self._embedded: dict[int, tuple[float, int]] = {}  # track id: confidence, off
        self._claim: int | None = None
        self._is_submitted = False
        self._task_changed = False
        self._detections: list[DetectionRow] = []
        self._changed_tracks: set[int] = set()
        self._embeddings: dict[int, EmbeddingRow] = {}
        self._unreadable: list[int] = []
        self._last_evicted = -1  # no track with a higher id was evicted

    @classmethod
    def recover(cls, found: Recovered) -> "IndexedTask":
        task = cls(found.row.project, found.row.task_id)
        row = task.row = found.row
        task.tracks = {track.track_id: track for track in found.tracks}
        task._embedded = {e.track_id: (e.confidence, e.off) for e in found.embedded}
        task._last_evicted = found.last_evicted
        task._is_submitted = row.rev % 2 == 1
        task.fold = Fold(
            position=row.log_position,
            epoch=row.log_epoch,
            next_off=row.log_length,
            last_frame=row.last_frame,
            closed=row.finish_reason is not None,
        )
        return task

    @property
    def is_submitted(self) -> bool:
        """Whether the submission is known; without it, no chunk should be indexed."""
        return self._is_submitted

    @property
    def hold(self) -> int | None:
        """Kafka offset of the newest claim, if its epoch has no indexed record yet."""
        return self._claim

    def submit(self, submitted: Submitted) -> None:
        """Apply the submission; a second call changes nothing."""
        if self._is_submitted:
            return
        self._is_submitted = True
        spec = submitted.spec
        self._change(
            created_ms=_unix_ms(submitted.created_ms),
            model=spec.model_hint,
            steps=tuple(one.kind for one in spec.steps),
            models=tuple(one.model for one in spec.steps),
            source=source_host(spec.source),
            source_url=(url := public_url(spec.source)),
            source_name=short_name(url),
            frame_plan=encode_plan(plan_of(spec)),
            retention_days=None if spec.live is None else spec.live.retention_days,
        )

    def accept(self, record: ChunkRecord) -> Verdict:
        """Fold one record of the task, in Kafka order; a gap changes nothing."""
        before = self.fold
        self.fold, verdict = step(before, record)
        if verdict in {Verdict.CLAIMED, Verdict.ACCEPTED} and self.row.started_ms is None:
            self._change(started_ms=_unix_ms(started_ms(record)), status="running")
        if verdict is Verdict.CLAIMED:
            self._claim = record.position
        elif verdict is Verdict.ACCEPTED:
            self._claim = None
            self.add_bytes(
                record.value, before.next_off, epoch=record.epoch, time_ms=record.time_ms
            )
            if record.vectors is not None:
                self.add_vectors(VectorEntry(record.end, record.frame, record.vectors))
            self._change(log_epoch=record.epoch, log_position=record.position + 1)
        return verdict

    def add_bytes(self, log: bytes, start: int, *, epoch: int, time_ms: int | None) -> None:
        """Index complete events of the log, from byte `start`; `time_ms`: time of the terminal."""
        for event in parse_events(log, start):
            self._change(log_length=event.end)
            if event.data == DONE:
                continue
            try:
                chunk = decode_chunk(event.data)
            except msgspec.DecodeError:
                self._change(error_code=UNREADABLE)
                self._unreadable.append(event.start)
                continue
            self._add_chunk(chunk, event.end, epoch)
            if chunk.finish_reason is not None:
                self._finish(chunk, time_ms)

    def add_vectors(self, entry: VectorEntry) -> None:
        """Keep each track's vector with the highest confidence, the first one if equal.

        Raises `msgspec.DecodeError` on invalid vectors.
        """
        frame, end = entry.frame, entry.end
        for found in decode_vectors(entry.vectors):
            confidence, off = self._embedded.get(found.track_id, (-1.0, -1))
            if off >= end or found.confidence <= confidence:
                continue
            track = self.tracks.get(clamped_track_id(found.track_id))
            row = embedding_row(self.row, track, found, clamped(frame, 0, MAX_COUNT), end)
            if row is not None:
                self._embedded[found.track_id] = (found.confidence, end)
                self._embeddings[found.track_id] = row

    def evict(self) -> None:
        """Forget the tracks of a live source that were not seen for `EVICT_AFTER_MS`.

        Call it only when their rows are in the tables. A later sighting needs `restore` first.
        """
        if self.row.seen_to_ms is None:
            return
        before_ms = self.row.seen_to_ms - EVICT_AFTER_MS
        old = [one for one, track in self.tracks.items() if (track.last_seen_ms or 0) < before_ms]
        for track_id in old:
            del self.tracks[track_id]
            self._embedded.pop(track_id, None)
            self._last_evicted = max(self._last_evicted, track_id)

    def evicted(self, record: ChunkRecord) -> list[int]:
        """Return the tracks in the record that may have been evicted: `restore` them before it."""
        if self._last_evicted < 0 or step(self.fold, record)[1] is not Verdict.ACCEPTED:
            return []
        return self._gone(track_ids(event_data(record.value)))

    def evicted_in(self, log: bytes, start: int) -> list[int]:
        """Return the tracks in these bytes of the log that may have been evicted, like `evicted`.

        Raises ValueError like `add_bytes`.
        """
        if self._last_evicted < 0:
            return []
        return self._gone(
            {one for event in parse_events(log, start) for one in track_ids(event.data)}
        )

    def _gone(self, found: set[int]) -> list[int]:
        ids = {clamped_track_id(track_id) for track_id in found}
        return sorted(one for one in ids if one <= self._last_evicted and one not in self.tracks)

    def restore(self, tracks: Sequence[TrackRow], embedded: Sequence[Embedded]) -> None:
        """Take up evicted tracks again, from their rows in the tables."""
        self.tracks |= {track.track_id: track for track in tracks}
        self._embedded |= {one.track_id: (one.confidence, one.off) for one in embedded}

    def set_fields(self, **fields: object) -> None:
        """Set fields of the task row that are not in the log's bytes."""
        self._change(**fields)

    def take_unreadable(self) -> list[int]:
        """Return the log offsets of events without a valid chunk, found since the last call."""
        found, self._unreadable = self._unreadable, []
        return found

    def take_rows(self) -> TaskRows:
        """Return the rows that changed since the last call."""
        rows = TaskRows(
            detections=self._detections,
            embeddings=list(self._embeddings.values()),
            tracks=[self.tracks[track_id] for track_id in sorted(self._changed_tracks)],
            tasks=[self._versioned()] if self._task_changed else [],
        )
        self._detections, self._embeddings, self._changed_tracks = [], {}, set()
        self._task_changed = False
        return rows

    def _versioned(self) -> TaskRow:
        """Set `rev`, the order of the row's versions: indexed bytes, then the submission."""
        progress = self.row.log_length + 1 if self.row.started_ms is not None else 0
        self.row = msgspec.structs.replace(self.row, rev=2 * progress + self._is_submitted)
        return self.row

    def _change(self, **fields: object) -> None:
        self.row = msgspec.structs.replace(self.row, **fields)
        self._task_changed = True

    def _add_chunk(self, chunk: Chunk, end: int, epoch: int) -> None:
        info = chunk.stream_info
        frame, fps = clamped(info.frame_index, 0, MAX_COUNT), usable_fps(info.fps)
        if chunk.provider is not UNSET:
            self._change(provider=chunk.provider)
        if chunk.finish_reason is None and not info.is_notice:
            self._change(
                processed_frames=self.row.processed_frames + 1,
                last_frame=max(self.row.last_frame, frame),
                **self._seen(info.captured_ms),
            )
        total = usable_count(info.total_frames)
        self._change(
            total_frames=total,
            total_frames_is_estimate=total is not None and info.total_frames_is_estimate is True,
            fps=fps,
            expected_frames=self._expected_frames(total, fps),
        )
        time_s = usable_time_s(None if info.time_s is UNSET else info.time_s)
        if time_s is None:
            time_s = frame_time_s(frame, fps)
        targets = [target for result in chunk.delta.results for target in result.targets]
        for det_idx, target in enumerate(targets):
            seen = Sighting(target, frame, time_s, end, info.captured_ms)
            self._detections.append(detection_row(self.row, seen, det_idx, epoch))
            track_id = clamped_track_id(target.track_id)
            known = self.tracks.get(track_id)
            if known is None or known.last_off < end:
                self.tracks[track_id] = track_row(self.row, known, seen)
                self._changed_tracks.add(track_id)

    def _seen(self, captured_ms: int | None) -> dict[str, object]:
        """Return the changed times of the first and the last frame; they never go backwards."""
        if captured_ms is None:
            return {}
        from_ms, to_ms = self.row.seen_from_ms, self.row.seen_to_ms
        return {
            "seen_from_ms": captured_ms if from_ms is None else from_ms,
            "seen_to_ms": captured_ms if to_ms is None else max(captured_ms, to_ms),
        }

    def _expected_frames(self, total: int | None, fps: float) -> int | None:
        plan = decode_plan(self.row.frame_plan)
        return None if plan is None else expected_frames(plan, total, fps)

    def _finish(self, chunk: Chunk, time_ms: int | None) -> None:
        usage = chunk.usage or None
        error = chunk.error or None
        reason = str(chunk.finish_reason)
        self._change(
            status=status_of(reason),
            finish_reason=reason,
            finished_ms=None if time_ms is None else _unix_ms(time_ms),
            error_code=error.code if error else None,
            error_message=error.message if error else None,
        )
        if usage is not None:
            self._change(
                processed_frames=clamped(usage.processed_frames, 0, MAX_COUNT),
                processing_time_ms=clamped(usage.processing_time_ms, 0, MAX_DURATION_MS),
                decoded_frames=_given(usage.decoded_frames),
                failed_frames=_given(usage.failed_frames),
                skipped_frames=_given(usage.skipped_frames),
                dropped=_by_reason(usage.dropped),
            )


def summarise(project: str, task_id: str, log: bytes) -> dict[int, TrackRow]:
    """Return the track rows of a whole log, by track id: the reference for `/results`."""
    task = IndexedTask(project, task_id)
    task.add_bytes(log, 0, epoch=0, time_ms=None)
    return task.tracks


def source_host(source: SourceRef) -> str:
    """Return the public description of a source: its host, `file`, `camera` or `upload`."""
    if source.url is None:
        return "upload"
    if source.url.startswith(CAMERA):
        return "camera"
    try:
        return urlsplit(source.url).hostname or "file"
    except ValueError:
        return ""


def _given(value: int | msgspec.UnsetType) -> int | None:
    return None if value is UNSET else clamped(value, 0, MAX_COUNT)


def _by_reason(counts: dict[str, int] | msgspec.UnsetType) -> dict[str, int]:
    """Return the counts of frames by reason, at most `MAX_REASONS` of them."""
    some = islice(() if counts is UNSET else counts.items(), MAX_REASONS)
    return {reason[:MAX_CODE_CHARS]: clamped(count, 0, MAX_COUNT) for reason, count in some}


def _unix_ms(time_ms: int) -> int:
    return clamped(time_ms, 0, MAX_TIME_MS)
