"""What a live task shows: its source by the workers' heartbeats, its progress, and its results."""

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from api.contract.tasks import LiveRecording
from api.errors import BadRequestError
from api.log.log_state import LogState
from api.metrics import Metrics
from api.store.task_queries import IndexedTask
from api.store.track_queries import IndexedTrack
from api.tasks.live_state import live_source, live_states
from api.tasks.results import ResultQuery, has_results, result_resource
from api.tasks.status import task_resource
from streamproc.contract.chunk import decode_chunk
from streamproc.contract.framing import parse_events
from streamproc.contract.records import LiveSourceState, RecordingState, WorkerBeat
from streamproc.contract.stored_request import StoredRequest
from streamproc.contract.task_spec import SourceRef
from tests.golden.values import CHUNK, POINT, SPEC, STORED_REQUEST, WORKER_BEAT
from tests.streamproc.sinks.logs import LogBuilder, task_id

TASK = STORED_REQUEST.task
LIVE = StoredRequest(
    TASK, "p", 0, 5, POINT, {}, "", msgspec.structs.replace(SPEC, source=SourceRef(url="camera:a"))
)
FILE = msgspec.structs.replace(LIVE, spec=msgspec.structs.replace(SPEC, live=None))


def beat(beat_ms: int, *live: LiveSourceState, **dropped: int) -> WorkerBeat:
    return msgspec.structs.replace(
        WORKER_BEAT,
        beat_ms=beat_ms,
        live=live,
        dropped=dropped,
        pictures={},
        recordings={},
        lags=None,
    )


def source(state: str, task: str = TASK, **fields: Any) -> LiveSourceState:
    return LiveSourceState(task, state, 1_767_225_600_000, **fields)


def log_state(**fields: Any) -> LogState:
    return LogState(**{"length": 100, "closed": False, "claimed": True, "n_chunks": 9, **fields})


def test_the_later_of_two_heartbeats_counts() -> None:
    old, new = beat(1, source("lost"), source("live", "vt_2")), beat(2, source("connecting"))
    for beats in ([old, new], [new, old]):
        found = live_states(beats)
        assert {task: one.state for task, one in found.items()} == {
            TASK: "connecting",
            "vt_2": "live",
        }


def test_a_source_is_shown_with_times() -> None:
    shown = live_source(source("lost", code="source_timeout", last_frame_ms=1_767_225_599_250))
    assert shown is not None
    assert (shown.state, shown.code, shown.since) == (
        "lost",
        "source_timeout",
        "2026-01-01T00:00:00.000Z",
    )
    assert shown.last_frame_at == "2025-12-31T23:59:59.250Z"


def test_a_recording_is_shown_with_what_was_lost() -> None:
    plain = live_source(source("live"))
    assert plain is not None
    assert plain.recording is None
    state = RecordingState(360, 10**9, 2, 301, 1_767_225_597_500)
    shown = live_source(source("live", recording=state))
    assert shown is not None
    assert shown.recording == LiveRecording(360, 10**9, 2, 301, "2025-12-31T23:59:57.500Z")


def test_only_a_live_task_has_a_source_and_only_while_it_is_open() -> None:
    one = source("live", fps=4.96)

    def shown(stored: StoredRequest, found: LiveSourceState | None, **fields: Any) -> Any:
        return task_resource(stored, log_state(**fields), cancel_requested=False, source=found).live

    assert shown(FILE, one) is UNSET
    assert shown(LIVE, None) is None
    assert shown(LIVE, one).fps == 5.0
    assert shown(LIVE, one, closed=True) is None


def test_notices_are_no_progress() -> None:
    log = LogBuilder(task_id(1))
    log.chunk(dropped_frames=0)
    log.chunk(frame=29, dropped_frames=28)
    log.notice()
    *_, event = parse_events(log.log)
    chunk = decode_chunk(event.data)
    chunk = msgspec.structs.replace(
        chunk, stream_info=msgspec.structs.replace(chunk.stream_info, dropped_frames=28)
    )
    for stored, expected in ((LIVE, 2), (FILE, 3)):
        state = log_state(n_chunks=3, last_chunk=chunk)
        shown = task_resource(stored, state, cancel_requested=False)
        assert shown.progress.processed_frames == expected


@pytest.mark.parametrize(
    ("stored", "status", "partial", "expected"),
    [
        (FILE, "succeeded", False, True),
        (FILE, "cancelled", False, False),
        (FILE, "running", False, False),
        (FILE, "running", True, True),
        (LIVE, "cancelled", False, True),
        (LIVE, "cancelling", False, False),
        (LIVE, "running", False, False),
        (LIVE, "running", True, True),
        (LIVE, "failed", False, False),
        (LIVE, "failed", True, True),
    ],
)
def test_which_tasks_have_results(
    stored: StoredRequest, status: Any, partial: bool, expected: bool
) -> None:
    assert has_results(stored, status, ResultQuery(partial)) is expected


def row(length: int, **fields: Any) -> IndexedTask:
    values: dict[str, Any] = dict.fromkeys(IndexedTask.__struct_fields__)
    return IndexedTask(
        **{**values, "log_length": length, "processed_frames": 4, "dropped": {}, **fields}
    )


def track(track_id: int) -> IndexedTrack:
    values: dict[str, Any] = dict.fromkeys(IndexedTrack.__struct_fields__)
    return IndexedTrack(
        **{**values, "task_id": TASK, "track_id": track_id, "created_ms": 5, "first_seen_ms": 250}
    )


def results(stored: StoredRequest, state: LogState, found: IndexedTask | None, **query: Any) -> Any:
    tracks = [track(1), track(2), track(3)]
    resource = result_resource(stored, state, found, tracks, ResultQuery(**query))
    return msgspec.to_builtins(resource)


def test_results_so_far_say_how_far_and_come_in_pages() -> None:
    state = log_state(last_chunk=CHUNK)
    times = {"seen_from_ms": 0, "seen_to_ms": 5_000}
    found = results(LIVE, state, row(90, **times), partial=True, limit=2)
    assert [one["track_id"] for one in found["tracks"]] == [1, 2]
    assert found["tracks"][0]["first_seen_at"] == "1970-01-01T00:00:00.250Z"
    assert (found["partial"], found["log_length"]) == (True, 90)
    assert found["seen_from"] == "1970-01-01T00:00:00.000Z"
    assert found["seen_to"] == "1970-01-01T00:00:05.000Z"
    assert found["usage"] == {"processed_frames": 4, "processing_time_ms": 5123}
    query = ResultQuery(partial=True, cursor=found["next_cursor"])
    assert query.after(TASK) == 2
    with pytest.raises(BadRequestError):
        query.after("vt_other")
    last = results(LIVE, state, row(90, **times), partial=True)
    assert (len(last["tracks"]), last["next_cursor"]) == (3, None)


def test_what_the_index_has_not_seen_has_no_results_yet() -> None:
    found = result_resource(LIVE, log_state(), None, [], ResultQuery(partial=True))
    assert (found.partial, found.log_length, found.seen_from, found.tracks) == (True, 0, None, [])


def test_whole_results_of_a_file_have_the_references_fields_alone() -> None:
    found = results(FILE, log_state(closed=True), row(100, processing_time_ms=7))
    assert set(found) == {"id", "object", "model", "usage", "tracks"}
    assert found["usage"] == {"processed_frames": 4, "processing_time_ms": 7}


def test_the_end_of_a_live_task_has_what_was_dropped_and_is_not_partial() -> None:
    end = row(100, processing_time_ms=7, dropped={"overload": 2})
    found = results(LIVE, log_state(closed=True), end)
    assert found["usage"]["dropped"] == {"overload": 2}
    assert "partial" not in found
    assert found["next_cursor"] is None


def test_metrics_count_sources_by_state_and_drops_by_reason() -> None:
    metrics = Metrics()
    pictured = {"stored": 7, "no_store": 1}
    metrics.set_workers(
        [
            beat(1, source("live", lag_ms=250), source("lost", lag_ms=9000), overload=2, x=5),
            msgspec.structs.replace(beat(3), pictures=pictured),
            msgspec.structs.replace(beat(4), pictures=pictured, recordings={"no_store": 3}),
            beat(2, source("live", lag_ms=400), overload=1),
        ]
    )
    text = metrics.render().decode()
    assert 'framewire_live_sources{state="live"} 2.0' in text
    assert 'framewire_live_sources{state="lost"} 1.0' in text
    assert 'framewire_live_sources{state="connecting"} 0.0' in text
    assert "framewire_live_lag_seconds 0.4" in text
    assert 'framewire_live_dropped_frames{reason="overload"} 3.0' in text
    assert 'reason="x"' not in text
    assert 'framewire_live_pictures{result="stored"} 14.0' in text
    assert 'framewire_live_pictures{result="busy"} 0.0' in text
    assert 'framewire_live_recordings{result="no_store"} 3.0' in text
    assert 'framewire_live_recordings{result="stored"} 0.0' in text
