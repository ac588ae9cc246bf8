"""Reading a live task's log: from its end, from a time, and after its first bytes have expired."""

import asyncio
import time

import pytest

from streamproc.contract import object_keys
from streamproc.contract.timestamps import rfc3339
from tests.api.server import Fresh, LiveApi, ProjectClient
from tests.api.streams import archived, begin, seen, stream_path
from tests.api.test_tasks_route import submit
from tests.api.worker import StandInWorker
from tests.streamproc.sinks.logs import target

pytestmark = pytest.mark.usefixtures("archive")
START_MS = round(time.time() * 1000) - 3_600_000
"""Frames are captured before they are written."""


async def segmented(
    live: LiveApi, worker: StandInWorker, project: ProjectClient
) -> tuple[str, list[int]]:
    """Return a task whose open log has several segments, and where they start."""
    task = await submit(project)
    worker.claim(project.project, task)
    n = 0
    while len(starts := found(live, project, task)) < 3:
        for _ in range(4):
            worker.chunk(task, target(), captured_at=rfc3339(START_MS + 1000 * n))
            n += 1
        await asyncio.to_thread(stored, live, project, task, len(worker.logs[task].log))
    return task, starts


def found(live: LiveApi, project: ProjectClient, task: str) -> list[int]:
    listed = live.services.objects._list_segments(project.project, task, None)
    return [segment.start for segment in listed]


def stored(live: LiveApi, project: ProjectClient, task: str, length: int) -> None:
    until_s = time.monotonic() + 30
    while True:
        listed = live.services.objects._list_segments(project.project, task, None)
        if listed and listed[-1].end == length:
            return
        assert time.monotonic() < until_s, "not archived"
        time.sleep(0.02)


def expire(live: LiveApi, project: ProjectClient, task: str, start: int) -> None:
    objects = live.services.objects
    key = object_keys.segment_key(project.project, task, start)
    objects._client.delete_object(Bucket=objects._bucket, Key=key)


async def test_the_end_of_an_open_log_is_where_it_ends_now(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, 3)
    log = worker.logs[task].log
    await seen(project, task, len(log))
    now = await project.get(stream_path(task, "offset=end&live=false"))
    assert (now.status_code, now.content) == (200, b"")
    assert now.headers["stream-start-offset"] == str(len(log))
    head = await project.head(stream_path(task, "offset=end"))
    assert head.headers["stream-start-offset"] == str(len(log))
    poll = asyncio.create_task(project.get(stream_path(task, "offset=end&live=long-poll")))
    await asyncio.sleep(0.2)
    worker.chunk(task, target())
    answer = await poll
    assert answer.content == worker.logs[task].log[len(log) :] != b""
    whole = worker.end(task)
    await seen(project, task, len(whole))
    assert (await project.get(stream_path(task, "offset=end"))).status_code == 204


async def test_a_time_is_found_in_segments_and_behind_them(
    project: ProjectClient, worker: StandInWorker, live: LiveApi, fresh: Fresh
) -> None:
    task, _ = await segmented(live, worker, project)
    log = worker.logs[task].log
    n_chunks = log.count(b"data: ")
    cold = await fresh()
    async with cold.client(project.headers["authorization"].split()[1]) as client:
        for api in (project, client):
            for n in (0, 1, 5, n_chunks - 1):
                moment = rfc3339(START_MS + 1000 * n - 500)
                path = stream_path(task, f"from={moment}&live=false")
                answer = await api.get(path)
                assert answer.content == log[log.index(at(n)) - behind(log, n) :], n
    late = await project.get(stream_path(task, f"from={rfc3339(START_MS + 86_400_000)}&live=false"))
    assert (late.status_code, late.content) == (200, b"")


def at(n: int) -> bytes:
    return b'"captured_at":"%b"' % rfc3339(START_MS + 1000 * n).encode()


def behind(log: bytes, n: int) -> int:
    """Return how far behind its event's first byte the time of chunk `n` is."""
    place = log.index(at(n))
    return place - (log.rfind(b"\n\n", 0, place) + 2 if b"\n\n" in log[:place] else 0)


async def test_expired_bytes_are_410_with_the_first_kept_byte(
    project: ProjectClient, worker: StandInWorker, live: LiveApi, fresh: Fresh
) -> None:
    task, starts = await segmented(live, worker, project)
    log = worker.logs[task].log
    cold = await fresh(ring_bytes=1, cache_bytes=1)
    async with cold.client(project.headers["authorization"].split()[1]) as client:
        assert (await client.get(stream_path(task, "live=false"))).content == log
        expire(live, project, task, starts[0])  # it knows the segment
        for query in ("", "offset=1", "offset=1&live=false", "live=long-poll"):
            gone = await client.get(stream_path(task, query))
            assert gone.status_code == 410, query
            assert gone.json()["code"] == "offset_expired"
            assert gone.json()["start"] == starts[1]
            assert gone.headers["stream-first-offset"] == str(starts[1])
        assert (await client.get(stream_path(task, "offset=1"))).status_code == 410
        head = await client.head(stream_path(task))
        assert (head.status_code, head.headers["stream-first-offset"]) == (410, str(starts[1]))
        kept = await client.get(stream_path(task, f"offset={starts[1]}&live=false"))
        assert kept.content == log[starts[1] :]
        first = await client.get(stream_path(task, f"from={rfc3339(START_MS)}&live=false"))
        assert first.content == kept.content
        status = (await client.get(f"/v1/video/tasks/{task}")).json()
        assert (status["status"], status["provider"]) == ("running", "local")
    whole = worker.end(task)
    await archived(live, project.project, task)
    closed = await fresh()
    async with closed.client(project.headers["authorization"].split()[1]) as client:
        gone = await client.get(stream_path(task, "live=false"), headers={"Range": "bytes=0-10"})
        assert gone.status_code == 410
        end = await client.get(
            stream_path(task, "live=false"), headers={"Range": f"bytes={starts[1]}-"}
        )
        assert (end.status_code, end.content) == (206, whole[starts[1] :])
