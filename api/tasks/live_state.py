"""State of live sources, as the workers' last heartbeats report it."""

from collections.abc import Iterable

from api.contract.tasks import LiveRecording, LiveSource
from streamproc.contract.records import LiveSourceState, RecordingState, WorkerBeat
from streamproc.contract.timestamps import rfc3339


def live_states(beats: Iterable[WorkerBeat]) -> dict[str, LiveSourceState]:
    """Return the state of each live task's source, by task id.

    A task that moves is for a moment in the heartbeats of both workers: the later one counts.
    """
    ordered = sorted(beats, key=lambda beat: beat.beat_ms)
    return {one.task: one for beat in ordered for one in beat.live}


def live_source(state: LiveSourceState | None) -> LiveSource | None:
    """Return the state as a task shows it; None if no worker reports one."""
    if state is None:
        return None
    return LiveSource(
        state=state.state,
        since=rfc3339(state.since_ms),
        code=state.code,
        reconnects=state.reconnects,
        last_frame_at=None if state.last_frame_ms is None else rfc3339(state.last_frame_ms),
        fps=round(state.fps, 1),
        lag_ms=state.lag_ms,
        keyframe_interval_s=state.keyframe_interval_s,
        recording=None if state.recording is None else _recording(state.recording),
    )


def _recording(state: RecordingState) -> LiveRecording:
    return LiveRecording(
        pieces=state.pieces,
        size_bytes=state.size_bytes,
        lost_pieces=state.lost_pieces,
        lost_pictures=state.lost_pictures,
        last_at=None if state.last_ms is None else rfc3339(state.last_ms),
    )
