"""A task's stream over HTTP, on real Kafka and S3: every mode, every refusal."""

import asyncio
import random
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from api.log.sse_response import HEARTBEAT
from api.routes import stream as stream_routes
from tests.api.server import Fresh, LiveApi, NewKey, ProjectClient, until
from tests.api.streams import archive_waits, archived, begin, seen, stream_path
from tests.api.test_tasks_route import submit
from tests.api.worker import StandInWorker
from tests.streamproc.sinks.logs import target

N_CHUNKS = 20


@contextmanager
def lazy_reader(api: LiveApi, project: ProjectClient, task: str) -> Iterator[socket.socket]:
    """Ask for a task's stream over a connection with small buffers, and take nothing of it."""
    host, port = urlsplit(api.url).netloc.split(":")
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((host, int(port)))
        lazy.sendall(
            f"GET {stream_path(task)} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: {project.headers['authorization']}\r\n\r\n".encode()
        )
        yield lazy


async def test_a_ring_too_small_for_its_readers_falls_back_to_the_archive(
    project: ProjectClient, worker: StandInWorker, archive: None, live: LiveApi, fresh: Fresh
) -> None:
    api = await fresh(ring_bytes=20_000)
    task = await submit(project)
    begin(worker, project, task, 1)
    async with httpx.AsyncClient(base_url=api.url, headers=project.headers, timeout=60) as client:
        reading = [asyncio.create_task(client.get(stream_path(task))) for _ in range(5)]
        for n in range(200):
            await asyncio.to_thread(worker.chunk, task, target())
            if n % 50 == 49:
                reading.append(asyncio.create_task(client.get(stream_path(task))))
                await asyncio.to_thread(archive_waits, live, project.project, task)
        log = await asyncio.to_thread(worker.end, task)
        for answer in await asyncio.gather(*reading):
            assert answer.content == log
        await archived(live, project.project, task)

        async def evicted() -> bool:
            return api.services.log.tail_cache.size_bytes <= 20_000

        await until(evicted)
        again = await client.get(stream_path(task, "offset=5"))
        assert again.content == log[5:]
    assert api.services.log.cache.n_reads > 0


async def test_a_claim_that_nothing_follows_stalls_no_other_stream(
    project: ProjectClient, worker: StandInWorker, archive: None, live: LiveApi, fresh: Fresh
) -> None:
    """It holds the archive's commit of its partition: the ring must not wait for that."""
    api = await fresh(ring_bytes=20_000)

    async def submitted() -> tuple[str, int]:
        task = await submit(project)
        return task, (await live.services.requests.get(project.project, task)).partition

    idle, partition = await submitted()
    worker.claim(project.project, idle)
    task, there = await submitted()
    while there != partition:
        task, there = await submitted()
    begin(worker, project, task, 1)
    async with httpx.AsyncClient(base_url=api.url, headers=project.headers, timeout=90) as client:
        reading = asyncio.create_task(client.get(stream_path(task)))
        for _ in range(200):
            await asyncio.to_thread(worker.chunk, task, target())
        log = await asyncio.to_thread(worker.end, task)
        assert len(log) > 40_000, "less than what stalls a ring that nothing leaves"
        assert (await reading).content == log
        status = (await client.get(f"/v1/video/tasks/{idle}")).json()["status"]
        assert status == "running", "its claim is still known"
    # One that starts now has all of it to read: the commit still lies before the claim.
    later = await fresh(ring_bytes=20_000)
    async with httpx.AsyncClient(base_url=later.url, headers=project.headers, timeout=30) as client:
        assert (await client.get(stream_path(task, "offset=7"), timeout=60)).content == log[7:]
    await asyncio.to_thread(worker.end, idle, "cancelled")


async def test_headers_come_before_the_first_chunk(
    project: ProjectClient, live: LiveApi, worker: StandInWorker
) -> None:
    task = await submit(project)
    async with project.stream("GET", stream_path(task)) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-cache, no-transform"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["stream-start-offset"] == "0"
        assert answer.headers["stream-closed"] == "false"
        assert "content-encoding" not in answer.headers
        begin(worker, project, task, 1)
        log = worker.end(task)
        assert b"".join([piece async for piece in answer.aiter_raw()]) == log


async def test_last_event_id_wins_and_junk_is_refused(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, 2)
    log = worker.end(task)
    await seen(project, task, len(log))
    answer = await project.get(stream_path(task, "offset=3"), headers={"Last-Event-ID": "11"})
    assert answer.content == log[11:]
    for query in ("offset=-1", "offset=x", "offset=1&offset=1", "live=maybe", "heartbeat=0"):
        refused = await project.get(stream_path(task, query))
        assert refused.status_code == 400, query
        assert refused.json()["code"] == "bad_request"


async def test_ahead_of_an_open_log_is_409_after_a_wait(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, 1)
    length = len(worker.logs[task].log)
    await seen(project, task, length)
    refused = await project.get(stream_path(task, f"offset={length + 5}"))
    assert refused.status_code == 409
    assert refused.json()["length"] == length
    waiting = asyncio.create_task(project.get(stream_path(task, f"offset={length + 5}")))
    log = await asyncio.to_thread(worker.end, task)
    assert (await waiting).content == log[length + 5 :]


async def test_a_long_poll_waits_for_one_more_event(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, 1)
    first = len(worker.logs[task].log)
    await seen(project, task, first)
    now = await project.get(stream_path(task, "live=long-poll"))
    assert now.content == worker.logs[task].log
    waiting = asyncio.create_task(project.get(stream_path(task, f"live=long-poll&offset={first}")))
    await asyncio.to_thread(worker.chunk, task, target())
    answer = await waiting
    assert answer.content == worker.logs[task].log[first:]
    assert answer.headers["stream-next-offset"] == str(len(worker.logs[task].log))


async def test_a_long_poll_that_nothing_comes_for_is_204(
    project: ProjectClient, worker: StandInWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_routes, "LONG_POLL_S", 0.1)
    task = await submit(project)
    begin(worker, project, task, 1)
    length = len(worker.logs[task].log)
    await seen(project, task, length)
    answer = await project.get(stream_path(task, f"live=long-poll&offset={length}"))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["stream-next-offset"] == str(length)
    assert answer.headers["stream-closed"] == "false"


async def test_a_closed_log_answers_ranges(project: ProjectClient, worker: StandInWorker) -> None:
    task = await submit(project)
    begin(worker, project, task, 3)
    log = worker.end(task)
    await seen(project, task, len(log))
    path = stream_path(task, "live=false")
    whole = await project.get(path)
    tag = whole.headers["etag"]
    assert whole.content == log
    assert whole.headers["accept-ranges"] == "bytes"
    part = await project.get(path, headers={"Range": "bytes=7-19", "If-Range": tag})
    assert (part.status_code, part.content) == (206, log[7:20])
    assert part.headers["content-range"] == f"bytes 7-19/{len(log)}"
    assert (await project.get(path, headers={"Range": "bytes=-9"})).content == log[-9:]
    other = await project.get(path, headers={"Range": "bytes=7-19", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, log)
    assert (await project.get(path, headers={"If-None-Match": tag})).status_code == 304
    beyond = await project.get(path, headers={"Range": f"bytes={len(log)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(log)}"


async def test_heartbeats_come_on_demand_and_do_not_count(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    got = b""
    async with project.stream("GET", stream_path(task, "heartbeat=1")) as answer:
        async for piece in answer.aiter_raw():
            got += piece
            if got.count(HEARTBEAT) >= 2 and task not in worker.logs:
                begin(worker, project, task, 2)
                worker.end(task)
    log = worker.logs[task].log
    assert re.fullmatch(rb"retry: [1-4]\d{3}\n\n(:\n\n){2,}" + re.escape(log), got)


async def test_a_token_opens_one_stream_alone(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task, other = await submit(project), await submit(project)
    begin(worker, project, task, 1)
    log = worker.end(task)
    answer = await project.post(f"/v1/video/tasks/{task}/token")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    async with httpx.AsyncClient(base_url=project.base_url, timeout=30) as anybody:
        assert (await anybody.get(made["stream_url"])).content == log
        for url in (
            stream_path(task),
            stream_path(task, "token=v1.99999999999.cDE.AAAA"),
            stream_path(task, f"token={made['token'][:-2]}AA"),
            stream_path(other, f"token={made['token']}"),
        ):
            refused = await anybody.get(url)
            assert refused.status_code == 401, url
            assert "expired" not in refused.json()["detail"], url
        assert (
            await anybody.get(f"/v1/video/tasks/{task}?token={made['token']}")
        ).status_code == 401
    past = await project.post(f"/v1/video/tasks/{task}/token?ttl_s=0")
    assert past.status_code == 400


async def test_a_token_that_expires_leaves_its_stream_open_and_opens_no_other(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, 1)
    made = (await project.post(f"/v1/video/tasks/{task}/token?ttl_s=2")).json()
    async with httpx.AsyncClient(base_url=project.base_url, timeout=30) as anybody:
        async with anybody.stream("GET", made["stream_url"]) as answer:
            assert answer.status_code == 200
            refused = answer

            async def expired() -> bool:
                nonlocal refused
                refused = await anybody.get(made["stream_url"] + "&live=false")
                return refused.status_code == 401

            await until(expired, within_s=10)
            await asyncio.to_thread(worker.chunk, task, target())
            log = await asyncio.to_thread(worker.end, task)
            assert b"".join([piece async for piece in answer.aiter_raw()]) == log
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "unauthorized"
        assert refused.json()["detail"] == "The token has expired: ask for another one."


async def test_an_empty_token_is_none(project: ProjectClient, worker: StandInWorker) -> None:
    task = await submit(project)
    begin(worker, project, task, 1)
    log = worker.end(task)
    assert (await project.get(stream_path(task, "token="))).content == log
    async with httpx.AsyncClient(base_url=project.base_url, timeout=30) as anybody:
        assert (await anybody.get(stream_path(task, "token="))).status_code == 401
    both = await project.get(stream_path(task, "token=&token=v2.1.x"))
    assert both.status_code == 401, "a token that is no good is not made good by a key"


async def test_unknown_and_foreign_streams_are_the_same_404(
    project: ProjectClient, new_key: NewKey, live: LiveApi
) -> None:
    task = await submit(project)
    _, key = await new_key()
    async with live.client(key) as stranger:
        foreign = await stranger.get(stream_path(task))
        unknown = await stranger.get(stream_path("vt_01KAN7W0000000000000000000"))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content


async def test_a_client_that_leaves_is_forgotten_at_once(
    project: ProjectClient, live: LiveApi
) -> None:
    task = await submit(project)
    broadcast = live.services.log.broadcast

    async def there() -> bool:
        return broadcast.n_members(task) == 1

    async def gone() -> bool:
        return broadcast.n_members(task) == 0

    async with project.stream("GET", stream_path(task)) as answer:
        assert answer.status_code == 200
        await until(there)
    await until(gone, within_s=2)


async def test_two_hundred_readers_at_once_read_the_archive_once(
    project: ProjectClient, worker: StandInWorker, archive: None, live: LiveApi, fresh: Fresh
) -> None:
    task = await submit(project)
    begin(worker, project, task, N_CHUNKS)
    log = worker.end(task)
    await archived(live, project.project, task)
    api = await fresh()
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(
        base_url=api.url, headers=project.headers, limits=limits, timeout=60
    ) as client:
        chance = random.Random(1)
        offsets = [0, *(chance.randrange(len(log)) for _ in range(199))]
        answers = await asyncio.gather(
            *(client.get(stream_path(task, f"offset={offset}")) for offset in offsets)
        )
    for offset, answer in zip(offsets, answers, strict=True):
        assert answer.content == log[offset:], f"from offset {offset}"
    assert api.services.log.cache.read_bytes <= 2 * len(log)


async def test_a_reader_that_takes_nothing_is_let_go(
    project: ProjectClient, worker: StandInWorker, fresh: Fresh
) -> None:
    task = await submit(project)
    worker.claim(project.project, task)
    many = [target(n) for n in range(4000)]
    for _ in range(30):
        worker.chunk(task, *many)
    api = await fresh(send_deadline_s=1.0)
    with lazy_reader(api, project, task) as lazy:

        async def expired() -> bool:
            return api.services.log.deadlines.n_expired == 1

        await until(expired, within_s=15)
        lazy.settimeout(5)
        taken = b""
        while piece := lazy.recv(65536):
            taken += piece
    assert len(taken) < len(worker.logs[task].log)
    assert not taken.endswith(b"0\r\n\r\n"), "a log that was cut off looked whole"


async def test_a_reader_that_stops_at_the_live_end_holds_nobody_up(
    project: ProjectClient, worker: StandInWorker, fresh: Fresh
) -> None:
    task = await submit(project)
    worker.claim(project.project, task)
    api = await fresh(send_deadline_s=1.0)
    log = api.services.log
    with lazy_reader(api, project, task):
        async with httpx.AsyncClient(
            base_url=api.url, headers=project.headers, timeout=30
        ) as client:
            reading = asyncio.create_task(client.get(stream_path(task), timeout=90))

            async def both_follow() -> bool:
                return log.broadcast.n_members(task) == 2

            async def expired() -> bool:
                return log.deadlines.n_expired == 1

            await until(both_follow, within_s=60)
            crowd = [target(n) for n in range(500)]
            for _ in range(200):
                await asyncio.to_thread(worker.chunk, task, *crowd)
            await until(expired, within_s=60)
            whole = await asyncio.to_thread(worker.end, task)
            assert (await reading).content == whole
    assert len(whole) > 8_000_000, "it might all lie in buffers"


async def test_head_gives_the_headers_of_a_get_and_no_body(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, 2)
    length = len(worker.logs[task].log)
    await seen(project, task, length)
    for query, status, headers in (
        ("", 200, {"stream-start-offset": "0"}),
        ("offset=7", 200, {"stream-start-offset": "7"}),
        ("offset=7&live=false", 200, {"content-length": str(length - 7)}),
        (f"offset={length}&live=long-poll", 204, {}),
        (f"offset={length + 1}", 409, {}),
    ):
        answer = await project.head(stream_path(task, query))
        assert (answer.status_code, answer.content) == (status, b""), query
        assert answer.headers["stream-closed"] == "false"
        assert answer.headers.items() >= headers.items(), query
        if status < 400:
            assert answer.headers["stream-next-offset"] == str(length)


async def test_head_of_a_closed_log_tells_its_length(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, 2)
    log = worker.end(task)
    await seen(project, task, len(log))
    whole = await project.head(stream_path(task, "live=false"))
    got = await project.get(stream_path(task, "live=false"))
    for headers in (whole.headers, got.headers):
        headers.pop("date")
    assert whole.headers == got.headers
    assert (whole.status_code, whole.content) == (200, b"")
    assert whole.headers["content-length"] == str(len(log))
    at_end = await project.head(stream_path(task, f"offset={len(log)}"))
    assert (at_end.status_code, at_end.content) == (204, b"")
    assert at_end.headers["stream-next-offset"] == str(len(log))
    beyond = await project.head(stream_path(task, f"offset={len(log) + 1}"))
    assert (beyond.status_code, beyond.content) == (416, b"")
    assert beyond.headers["content-range"] == f"bytes */{len(log)}"
    part = await project.head(stream_path(task, "live=false"), headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.headers["content-length"]) == (206, "3")
    assert (await project.head(stream_path("vt_01KAN7W0000000000000000000"))).status_code == 404
