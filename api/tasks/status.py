"""Task status and resources, from the log or the index: pure functions, for one task and lists."""

from msgspec import UNSET

from api.contract import paths
from api.contract.query.tasks import TaskFacts
from api.contract.tasks import AttemptResource, Progress, Status, TaskFailure, TaskResource
from api.log.log_state import LogState
from api.store.task_queries import IndexedTask
from api.tasks.live_state import live_source
from api.timestamps import rfc3339_or_none
from streamproc.contract.bounds import usable_count, usable_fps
from streamproc.contract.chunk import Chunk, FinishReason
from streamproc.contract.frame_plan import expected_frames, plan_of
from streamproc.contract.masking import mask_request
from streamproc.contract.records import LiveSourceState
from streamproc.contract.source_label import public_url, short_name
from streamproc.contract.stored_request import StoredRequest
from streamproc.contract.task_spec import TaskSpec
from streamproc.contract.timestamps import rfc3339

_OUTCOMES: dict[FinishReason, Status] = {
    "stop": "succeeded",
    "max_frames": "succeeded",
    "error": "failed",
    "cancelled": "cancelled",
}


def status_of(state: LogState, *, cancel_requested: bool) -> Status:
    """Return a task's status from its log state.

    For a closed log `last_chunk` or `final` must be set, else the status is `failed`.
    """
    if state.closed:
        if state.last_chunk is not None and state.last_chunk.finish_reason is not None:
            return _OUTCOMES[state.last_chunk.finish_reason]
        if state.final is not None:
            return _outcome(state.final.status)
        return "failed"
    if cancel_requested:
        return "cancelling"
    return "running" if state.claimed else "pending"


def task_resource(
    stored: StoredRequest,
    state: LogState,
    *,
    cancel_requested: bool,
    with_request: bool = False,
    source: LiveSourceState | None = None,
) -> TaskResource:
    """Return the task resource from the current state of its log.

    `source`: what its worker reports of a live source.
    """
    chunk = state.last_chunk
    return TaskResource(
        id=stored.task,
        object="video.task",
        status=status_of(state, cancel_requested=cancel_requested),
        created_at=rfc3339(stored.created_ms),
        started_at=rfc3339_or_none(state.started_ms),
        finished_at=rfc3339_or_none(state.finished_ms) if state.closed else None,
        model=stored.spec.model_hint,
        provider=state.provider,
        attempts=[AttemptResource(a.provider, a.code, a.message) for a in state.attempts],
        progress=_progress(state, chunk, stored.spec),
        error=_failure(state, chunk),
        stream_url=paths.stream(stored.task),
        results_url=paths.results(stored.task),
        source=public_url(stored.spec.source),
        steps=[step.kind for step in stored.spec.steps],
        request=mask_request(stored.body) if with_request else UNSET,
        live=UNSET if stored.spec.live is None else live_source(None if state.closed else source),
    )


def pending_resource(stored: StoredRequest, *, cancel_requested: bool) -> TaskResource:
    """Return the resource of a task that was just accepted and has no log yet."""
    empty = LogState(length=0, closed=False, claimed=False)
    return task_resource(stored, empty, cancel_requested=cancel_requested)


def pending_facts(stored: StoredRequest, *, cancel_requested: bool) -> TaskFacts:
    """Return what a query asks of a task that was just accepted."""
    spec = stored.spec
    url = public_url(spec.source)
    return TaskFacts(
        id=stored.task,
        status="cancelling" if cancel_requested else "pending",
        created_ms=stored.created_ms,
        sources=(url, short_name(url)),
        source_name=short_name(url),
        steps=tuple(step.kind for step in spec.steps),
        models=(spec.model_hint or "", *(step.model for step in spec.steps)),
    )


def indexed_resource(
    row: IndexedTask,
    *,
    cancel_requested: bool,
    n_tracks: int,
    source: LiveSourceState | None = None,
) -> TaskResource:
    """Return the task resource from the index, which lags a little behind the log.

    `source`: what its worker reports of a live source.
    """
    failed = row.error_code is not None
    return TaskResource(
        id=row.task_id,
        object="video.task",
        status=row.facts(cancel_requested=cancel_requested).status,
        created_at=rfc3339(row.created_ms),
        started_at=rfc3339_or_none(row.started_ms),
        finished_at=rfc3339_or_none(row.finished_ms),
        model=row.model,
        provider=row.provider,
        attempts=[],
        progress=progress_of(
            row.processed_frames,
            row.total_frames,
            row.fps,
            estimated=row.total_frames_is_estimate,
            expected=row.expected_frames,
        ),
        error=TaskFailure(row.error_code or "", row.error_message or "") if failed else None,
        stream_url=paths.stream(row.task_id),
        results_url=paths.results(row.task_id),
        source=row.shown_source,
        steps=list(row.steps),
        tracks=n_tracks,
        live=live_source(source) or UNSET,
    )


def progress_of(
    processed: int, total: int | None, fps: float, *, estimated: bool, expected: int | None
) -> Progress:
    """Return the progress; unusable numbers are left out."""
    total = usable_count(total)
    said = True if estimated and total is not None else UNSET
    return Progress(processed, total, usable_fps(fps) or None, said, expected or UNSET)


def _outcome(text: str) -> Status:
    outcomes: dict[str, Status] = {
        **{str(reason): status for reason, status in _OUTCOMES.items()},
        "succeeded": "succeeded",
        "failed": "failed",
    }
    return outcomes.get(text, "failed")


def _progress(state: LogState, chunk: Chunk | None, spec: TaskSpec) -> Progress:
    if chunk is not None:
        info = chunk.stream_info
        if chunk.usage is not UNSET:
            processed = chunk.usage.processed_frames
        elif spec.live is not None:  # some of its chunks tell of no frame
            processed = max(0, info.frame_index + 1 - info.dropped_frames)
        else:
            processed = state.n_chunks
        total, fps = info.total_frames, info.fps
        estimated = info.total_frames_is_estimate is True
    elif (final := state.final) is not None:
        processed, total, fps = final.processed_frames, final.total_frames, final.fps
        estimated = final.total_frames_is_estimate
    else:
        return Progress(0, None, None)
    expected = expected_frames(plan_of(spec), usable_count(total), usable_fps(fps))
    return progress_of(processed, total, fps, estimated=estimated, expected=expected)


def _failure(state: LogState, chunk: Chunk | None) -> TaskFailure | None:
    if chunk is not None and chunk.error is not UNSET:
        return TaskFailure(chunk.error.code, chunk.error.message)
    if state.final is not None and state.final.error_code is not None:
        return TaskFailure(state.final.error_code, state.final.error_message or "")
    return None
