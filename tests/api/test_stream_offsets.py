"""Every cut of a log: from whatever byte it is read, the answer is exactly the suffix."""

import asyncio
import contextlib
import random
from typing import NamedTuple
from urllib.parse import urlsplit

from api.log.segments import BLOCK_BYTES
from streamproc.contract.framing import frame_event
from tests.api.server import Fresh, LiveApi, ProjectClient
from tests.api.streams import (
    archive_waits,
    archived,
    begin,
    every_suffix,
    seen,
    stream_path,
    suffixes,
)
from tests.api.test_tasks_route import submit
from tests.api.worker import StandInWorker
from tests.id_first import frame_id_first
from tests.streamproc.sinks.logs import target

N_CHUNKS = 8
N_RANDOM = 60
N_AT_ONCE = 250
SEED = 20


async def test_every_offset_of_a_closed_log_gives_exactly_the_suffix(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, N_CHUNKS)
    log = worker.end(task)
    await seen(project, task, len(log))
    await asyncio.to_thread(every_suffix, project, task, log)
    assert (await project.get(stream_path(task, f"offset={len(log)}"))).status_code == 204
    beyond = await project.get(stream_path(task, f"offset={len(log) + 1}"))
    assert beyond.status_code == 416
    assert beyond.json()["length"] == len(log)


async def test_every_offset_of_an_open_log_gives_exactly_the_suffix(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    begin(worker, project, task, N_CHUNKS)
    log = worker.logs[task].log
    await seen(project, task, len(log))
    await asyncio.to_thread(every_suffix, project, task, log, "live=false")
    at_end = await project.get(stream_path(task, f"offset={len(log)}&live=false"))
    assert (at_end.status_code, at_end.content) == (200, b"")
    assert at_end.headers["stream-next-offset"] == str(len(log))
    assert at_end.headers["stream-closed"] == "false"


async def test_every_offset_of_an_archived_log_gives_exactly_the_suffix_elsewhere(
    project: ProjectClient, worker: StandInWorker, archive: None, live: LiveApi, fresh: Fresh
) -> None:
    """An earlier version's worker began it: half of the log has `id` before `data`."""
    task = await submit(project)
    worker.claim(project.project, task)
    worker.logs[task].frame_event = frame_id_first
    for _ in range(N_CHUNKS // 2):
        worker.chunk(task, target())
    await asyncio.to_thread(archive_waits, live, project.project, task)
    earlier = worker.logs[task].log
    worker.logs[task].frame_event = frame_event
    for _ in range(N_CHUNKS // 2):
        worker.chunk(task, target())
    log = worker.end(task)
    assert (earlier[:4], log[len(earlier) :][:6]) == (b"id: ", b"data: ")
    assert log.startswith(earlier)
    await archived(live, project.project, task)
    api = await fresh()
    async with api.client(project.headers["authorization"].split()[1]) as client:
        await asyncio.to_thread(every_suffix, client, task, log)
        assert (await client.get(f"/v1/video/tasks/{task}")).json() == (
            await project.get(f"/v1/video/tasks/{task}")
        ).json()
    cache = api.services.log.cache
    assert cache.n_reads <= 3, "the segments of a small log are read once each"


async def test_readers_of_a_growing_log_get_exactly_the_suffix(
    project: ProjectClient, worker: StandInWorker, archive: None
) -> None:
    task = await submit(project)
    begin(worker, project, task, 5)
    chance = random.Random(SEED)
    so_far = len(worker.logs[task].log)
    offsets = [0, so_far, *(chance.randrange(so_far) for _ in range(30))]
    await seen(project, task, so_far)

    async def read(offset: int) -> bytes:
        answer = await project.get(stream_path(task, f"offset={offset}"), timeout=60)
        assert answer.status_code == 200
        assert answer.headers["stream-start-offset"] == str(offset)
        return answer.content

    reading = [asyncio.create_task(read(offset)) for offset in offsets]
    for _ in range(40):
        await asyncio.to_thread(worker.chunk, task, target())
    log = await asyncio.to_thread(worker.end, task)
    for offset, got in zip(offsets, await asyncio.gather(*reading), strict=True):
        assert got == log[offset:], f"from offset {offset}"


async def test_a_growing_log_gives_exactly_the_suffix_at_every_offset(
    project: ProjectClient, worker: StandInWorker, live: LiveApi
) -> None:
    task = await submit(project)
    begin(worker, project, task, N_CHUNKS)
    so_far = len(worker.logs[task].log)
    await seen(project, task, so_far)
    reader = GrowingReader(live.url, project.headers["authorization"], task)
    for first in range(0, so_far, N_AT_ONCE):
        offsets = range(first, min(first + N_AT_ONCE, so_far))
        before = worker.logs[task].log
        taking = [asyncio.create_task(reader.open(offset, before)) for offset in offsets]
        answers = await asyncio.gather(*taking)
        await asyncio.to_thread(worker.chunk, task, target())
        after = worker.logs[task].log
        await asyncio.gather(*(answer.expect(after[len(before) :]) for answer in answers))
        await asyncio.gather(*(answer.close() for answer in answers))
    log = await asyncio.to_thread(worker.end, task)
    assert (await project.get(stream_path(task, "offset=1"))).content == log[1:]


async def test_random_offsets_of_a_long_log_give_exactly_the_suffix(
    project: ProjectClient, worker: StandInWorker, archive: None, live: LiveApi, fresh: Fresh
) -> None:
    task = await submit(project)
    worker.claim(project.project, task)
    crowd = [target(n) for n in range(900)]
    api = await fresh(cache_bytes=2_000_000, ring_bytes=1_000_000)
    for _ in range(60):
        await asyncio.to_thread(worker.chunk, task, *crowd)
    so_far = worker.logs[task].log
    assert len(so_far) > 4_000_000, "several segments and several blocks of a segment"
    chance = random.Random(SEED)
    offsets = [chance.randrange(len(so_far)) for _ in range(N_RANDOM)]
    async with api.client(project.headers["authorization"].split()[1]) as client:
        await seen(client, task, len(so_far))
        await asyncio.to_thread(suffixes, client, task, so_far, offsets, "live=false")
        assert api.services.log.cache.n_reads > 0, "all of it was in the ring"
        log = await asyncio.to_thread(worker.end, task)
        await archived(live, project.project, task)
        starts = await asyncio.to_thread(block_starts, live, project.project, task)
        assert len(starts) > 3
        offsets += [start + step for start in starts for step in (-1, 0, 1) if start + step >= 0]
        await asyncio.to_thread(suffixes, client, task, log, offsets)
    assert api.services.log.cache.size_bytes <= 2_000_000


def block_starts(api: LiveApi, project: str, task: str) -> list[int]:
    """Return the offsets in the log at which its segments, and what is read of them, begin."""
    found = api.services.objects._list_segments(project, task, None)
    return [
        segment.start + block
        for segment in found
        for block in range(0, segment.size_bytes, BLOCK_BYTES)
    ]


class GrowingReader:
    """Opens streams of a log that grows, and takes from each what is there."""

    def __init__(self, url: str, authorization: str, task: str) -> None:
        self._host, self._port = urlsplit(url).netloc.split(":")
        self._authorization = authorization
        self._task = task

    async def open(self, offset: int, log: bytes) -> "Opened":
        """Return the stream from `offset` once it has given all of `log`."""
        reader, writer = await asyncio.open_connection(self._host, int(self._port))
        opened = Opened(reader, writer, offset)
        try:
            writer.write(
                f"GET {stream_path(self._task, f'offset={offset}')} HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: {self._authorization}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await opened.expect(log[offset:])
        except BaseException:
            await opened.close()
            raise
        return opened


class Opened(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    offset: int

    async def expect(self, data: bytes) -> None:
        """Take as many bytes as `data` has: they must be `data`."""
        got = b""
        while len(got) < len(data):
            size_bytes = int(await self.reader.readline(), 16)
            got += (await self.reader.readexactly(size_bytes + 2))[:-2]
        assert got == data, f"opened at offset {self.offset}"

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
