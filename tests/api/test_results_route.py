"""Results and track queries, from rows as the index writes them and from a real index."""

import asyncio
from typing import Any

import msgspec
import pytest

from api.ids import new_task_id
from api.tasks.submission import now_ms
from streamproc.contract import tables
from streamproc.contract.chunk import Target, decode_chunk
from streamproc.contract.framing import DONE, parse_events
from streamproc.contract.records import LiveSourceState
from streamproc.contract.topics import WORKERS
from tests.api.rows import embedding_row, insert, task_row, track_row
from tests.api.server import LiveApi, ProjectClient, until
from tests.api.test_tasks_route import BODY, status, submit
from tests.api.worker import StandInWorker
from tests.brokers import N_PARTITIONS
from tests.golden.values import WORKER_BEAT
from tests.streamproc.sinks.logs import target


def recompute(log: bytes) -> list[dict[str, Any]]:
    """Sum a stream up, track by track, as a client would."""
    found: dict[int, dict[str, Any]] = {}
    best: dict[int, float] = {}
    for event in parse_events(log):
        if event.data == DONE:
            continue
        chunk = decode_chunk(event.data)
        for seen in chunk.delta.results[0].targets if chunk.delta.results else ():
            frame = chunk.stream_info.frame_index
            track = found.setdefault(
                seen.track_id,
                {"track_id": seen.track_id, "class": seen.class_name, "first_frame": frame}
                | {"frames_seen": 0},
            )
            track["last_frame"] = frame
            track["frames_seen"] += 1
            if seen.confidence > best.get(seen.track_id, -1.0):
                best[seen.track_id] = track["best_confidence"] = seen.confidence
                track["feature_digest"] = seen.feature_digest
    return [found[track] for track in sorted(found)]


def seen(track: int, confidence: float, **fields: Any) -> Target:
    digest = f"dim=512;norm={confidence * 10:.4f}"
    return target(track, confidence=confidence, feature_digest=digest, **fields)


async def test_results_equal_a_recomputation_from_the_stream(
    project: ProjectClient, worker: StandInWorker, index: None
) -> None:
    task = await submit(project)
    worker.claim(project.project, task)
    worker.chunk(task, seen(1, 0.5), seen(2, 0.9, class_name="automobile"))
    worker.chunk(task, seen(1, 0.93), frame=4)
    worker.chunk(task, seen(1, 0.93), seen(3, 0.4), frame=9)
    worker.chunk(task, frame=12)
    worker.end(task)

    async def succeeded() -> bool:
        return bool((await status(project, task))["status"] == "succeeded")

    await until(succeeded)

    async def answered() -> Any:
        answer = await project.get(f"/v1/video/tasks/{task}/results")
        assert answer.status_code in {200, 503}, answer.text
        return answer if answer.status_code == 200 else None

    result = (await until(answered, within_s=20)).json()
    stream = await project.get(f"/v1/video/tasks/{task}/stream")
    expected = recompute(stream.content)
    assert stream.content == worker.logs[task].log
    assert len(expected) == 3
    compared = [{name: found.get(name) for name in expected[0]} for found in result["tracks"]]
    assert compared == expected
    assert result["object"] == "mm.pipeline.result"
    assert result["id"] == task
    assert result["model"] == "qwen-vl-max"
    assert result["usage"] == {"processed_frames": 4, "processing_time_ms": 1200}
    first = result["tracks"][0]
    assert (first["first_seen_s"], first["last_seen_s"], first["dwell_s"]) == (0.0, 0.9, 0.9)

    listed = (await project.get("/v1/video/tasks")).json()["data"]
    assert [(found["id"], found["status"]) for found in listed] == [(task, "succeeded")]


async def test_results_wait_for_the_index_and_then_say_so(
    project: ProjectClient, worker: StandInWorker, clickhouse: Any
) -> None:
    task = await submit(project)
    worker.claim(project.project, task)
    worker.chunk(task, target())
    length = len(worker.end(task))

    async def behind() -> bool:
        answer = await project.get(f"/v1/video/tasks/{task}/results")
        if answer.status_code != 503:
            assert answer.json()["code"] == "results_not_ready"
            return False
        assert answer.json()["code"] == "index_behind"
        assert int(answer.headers["retry-after"]) > 0
        return True

    await until(behind)
    asked = asyncio.create_task(project.get(f"/v1/video/tasks/{task}/results"))
    insert(clickhouse, tables.TRACKS, [track_row(project.project, task, 1)])
    insert(
        clickhouse,
        tables.TASKS,
        [task_row(project.project, task, log_length=length, processed_frames=1, rev=99)],
    )
    answer = await asked
    assert answer.status_code == 200, answer.text
    assert [track["track_id"] for track in answer.json()["tracks"]] == [1]


async def test_a_live_task_has_results_while_it_runs_and_once_it_is_cancelled(
    project: ProjectClient,
    worker: StandInWorker,
    index: None,
    live: LiveApi,
) -> None:
    beat = msgspec.structs.replace(
        WORKER_BEAT,
        worker="w-live",
        beat_ms=now_ms(),
        partitions=tuple(range(N_PARTITIONS)),
        device_fault=None,
        sources=("gate",),
        live=(),
    )
    live.services.directory.apply(WORKERS, "w-live", msgspec.msgpack.encode(beat))
    video = {"type": "video_url", "url": "camera:gate", "live": {"give_up_s": 60}}
    task = await submit(project, {**BODY, "input": [video]})
    path = f"/v1/video/tasks/{task}/results"
    assert (await status(project, task))["live"] is None
    early = (await project.get(f"{path}?partial=true")).json()
    assert (early["tracks"], early["partial"], early["log_length"]) == ([], True, 0)

    worker.claim(project.project, task)
    worker.chunk(task, seen(1, 0.5), captured_at="2026-11-30T12:00:00.250Z")
    worker.notice(task)
    worker.chunk(task, seen(1, 0.9), seen(2, 0.4), captured_at="2026-11-30T12:00:31.500Z")
    length = worker.logs[task].end
    beat = msgspec.structs.replace(
        beat,
        beat_ms=now_ms(),
        live=(LiveSourceState(task, "live", 1_767_225_600_000, reconnects=1),),
    )
    live.services.directory.apply(WORKERS, "w-live", msgspec.msgpack.encode(beat))
    assert (await status(project, task))["live"]["reconnects"] == 1
    assert (await project.get(path)).json()["code"] == "results_not_ready"

    async def summed_up() -> Any:
        found = (await project.get(f"{path}?partial=true&limit=1")).json()
        return found if found["log_length"] == length else None

    found = await until(summed_up, within_s=20)
    assert (found["partial"], found["usage"]["processed_frames"]) == (True, 2)
    assert found["seen_from"] == "2026-11-30T12:00:00.250Z"
    assert found["seen_to"] == "2026-11-30T12:00:31.500Z"
    (one,) = found["tracks"]
    assert (one["first_seen_at"], one["last_seen_at"]) == (found["seen_from"], found["seen_to"])
    assert (one["frames_seen"], one["dwell_s"]) == (2, 31.25)
    page = (await project.get(f"{path}?partial=true&cursor={found['next_cursor']}")).json()
    assert [one["track_id"] for one in page["tracks"]] == [2]
    assert page["next_cursor"] is None
    listed = (await project.get("/v1/video/tasks")).json()["data"]
    assert [one["live"]["state"] for one in listed if one["id"] == task] == ["live"]

    worker.end(task, "cancelled")

    async def ended() -> Any:
        answer = await project.get(path)
        return answer.json() if answer.status_code == 200 else None

    whole = await until(ended, within_s=20)
    assert "partial" not in whole
    assert [one["track_id"] for one in whole["tracks"]] == [1, 2]
    assert (await project.get(f"/v1/video/tasks/{task}/frames/0.jpg")).json()["code"] == (
        "frame_not_kept"
    )


def seed(clickhouse: Any, project: str) -> tuple[str, str]:
    """Insert two tasks' tracks; the newer task comes second."""
    older, newer = new_task_id(now_ms() - 5000), new_task_id(now_ms())
    insert(
        clickhouse,
        tables.TRACKS,
        [
            track_row(project, older, 1, dwell_s=9.0, best_confidence=0.5),
            track_row(project, older, 2, class_name="automobile", text="AB 123 C"),
            track_row(project, newer, 1, dwell_s=0.2, text="ab 987"),
            track_row(project, newer, 2, class_name="bus"),
        ],
    )
    insert(
        clickhouse,
        tables.EMBEDDINGS,
        [
            embedding_row(project, older, 1, (1.0, 0.0, 0.0)),
            embedding_row(project, older, 2, (0.0, 1.0, 0.0)),
            embedding_row(project, newer, 1, (0.8, 0.6, 0.0)),
            embedding_row(project, newer, 2, (1.0, 0.0)),
        ],
    )
    return older, newer


async def tracks(client: Any, query: str) -> list[tuple[str, int]]:
    answer = await client.get(f"/v1/video/tracks?{query}")
    assert answer.status_code == 200, answer.text
    return [(found["task"], found["track_id"]) for found in answer.json()["data"]]


async def test_tracks_are_found_by_what_they_are(project: ProjectClient, clickhouse: Any) -> None:
    older, newer = seed(clickhouse, project.project)
    seed(clickhouse, "somebody_else")
    everything = [(newer, 1), (newer, 2), (older, 1), (older, 2)]
    assert await tracks(project, "") == everything
    assert await tracks(project, f"task={older}") == everything[2:]
    assert await tracks(project, "class=car&class=bus") == [(newer, 2), (older, 2)]
    assert await tracks(project, "class=person") == [(newer, 1), (older, 1)]
    assert await tracks(project, "min_dwell_s=5") == [(older, 1)]
    assert await tracks(project, "min_confidence=0.6&class=pedestrian") == [(newer, 1)]
    assert await tracks(project, "text=AB%20") == [(newer, 1), (older, 2)]
    assert await tracks(project, f"from={tables.created_ms_of(newer)}") == everything[:2]
    assert await tracks(project, f"to={tables.created_ms_of(newer)}") == everything[2:]


async def test_similar_tracks_come_nearest_first(project: ProjectClient, clickhouse: Any) -> None:
    older, newer = seed(clickhouse, project.project)
    assert await tracks(project, f"similar_to={older}:1") == [(newer, 1), (older, 2)]
    answer = await project.get(f"/v1/video/tracks?similar_to={older}:1")
    distances = [found["distance"] for found in answer.json()["data"]]
    assert distances == pytest.approx([0.2, 1.0], abs=1e-6)
    assert await tracks(project, f"similar_to={older}:1&class=car") == [(older, 2)]


@pytest.mark.parametrize("query", ["", "similar_to={}:1&"])
async def test_pages_of_tracks_join_up(project: ProjectClient, clickhouse: Any, query: str) -> None:
    older, _ = seed(clickhouse, project.project)
    query = query.format(older)
    whole = await tracks(project, query)
    paged: list[tuple[str, int]] = []
    cursor = ""
    while True:
        answer = (await project.get(f"/v1/video/tracks?{query}limit=1{cursor}")).json()
        paged += [(found["task"], found["track_id"]) for found in answer["data"]]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"
    assert paged == whole


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("similar_to=vt_1", "similar_to"),
        ("similar_to=vt_1:one", "similar_to"),
        ("similar_to=vt_1:1", "similar_to"),
        ("min_confidence=2", "min_confidence"),
        ("min_dwell_s=-1", "min_dwell_s"),
        ("from=x", "from"),
    ],
)
async def test_bad_track_queries_are_named(project: ProjectClient, query: str, field: str) -> None:
    answer = await project.get(f"/v1/video/tracks?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_a_foreign_track_is_nothing_to_be_similar_to(
    project: ProjectClient, clickhouse: Any
) -> None:
    older, _ = seed(clickhouse, "somebody_else")
    answer = await project.get(f"/v1/video/tracks?similar_to={older}:1")
    assert answer.status_code == 422
