"""The two sides of a task's log, both the real ones: records in Kafka, bytes over the api."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx
from confluent_kafka import KafkaError, Message, Producer

from streamproc.contract import topics
from streamproc.contract.chunk import Target
from streamproc.contract.records import ChunkRecord
from tests.streamproc.sinks.logs import LogBuilder

_SOURCE = "https://example.com/clip.mp4"
_VISIBLE_S = 20.0


class Answer(NamedTuple):
    """A part of a log as the api gave it."""

    status: int
    data: bytes
    next_offset: int
    closed: bool


class LogWriter:
    """Writes one task's records; every write is acknowledged when it returns.

    `end` is the log's length after the last write. Calls must not overlap.
    """

    def __init__(self, backend: "Backend", task: str) -> None:
        self.task = task
        self._backend = backend
        self._log = LogBuilder(task, backend.project)
        self._epoch = -1
        self._old_epoch = -1
        self._written: dict[tuple[str, int, int], ChunkRecord] = {}

    @property
    def end(self) -> int:
        return self._log.end

    async def claim(self) -> None:
        """Begin a new epoch: what is written under an older one is dropped from now on.

        The first record claims by itself: a claim that nothing follows would hold the archive.
        """
        self._old_epoch = self._epoch
        self._epoch = await self._backend.produce(self._log.claim(), -1)

    async def append(self, targets: list[Target], name: tuple[str, int, int] | None) -> None:
        await self._claimed()
        record = self._log.chunk(*targets)
        await self._backend.produce(record, self._epoch)
        if name is not None:
            self._written[name] = record

    async def close(self) -> None:
        await self._claimed()
        await self._backend.produce(self._log.terminal(), self._epoch)

    async def again(self, name: tuple[str, int, int]) -> None:
        """Write a record that is in the log already once more."""
        record = self._written.get(name)
        if record is not None:
            await self._backend.produce(record, self._epoch)

    async def as_zombie(self, targets: list[Target]) -> None:
        """Write what would come next, under the epoch before this one."""
        log, seq, frames, frame = self._log.log, self._log.seq, self._log.n_frames, self._log.frame
        end = self._log.end
        record = self._log.chunk(*targets)
        self._log.log, self._log.seq, self._log.end = log, seq, end
        self._log.n_frames, self._log.frame = frames, frame
        await self._backend.produce(record, self._old_epoch)

    async def _claimed(self) -> None:
        if self._epoch < 0:
            await self.claim()


class Backend:
    """A running Framewire: `url` and `key` of its api, `kafka` bootstrap servers."""

    def __init__(self, url: str, key: str, project: str, kafka: str) -> None:
        self.project = project
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            limits=httpx.Limits(max_connections=None),
            timeout=60,
            trust_env=False,
        )
        self._producer = Producer({"bootstrap.servers": kafka, "acks": "all", "linger.ms": 0})
        self._n_partitions = len(
            self._producer.list_topics(topics.CHUNKS, timeout=10).topics[topics.CHUNKS].partitions
        )

    async def aclose(self) -> None:
        await self._http.aclose()
        del self._producer  # it would complain of a broker that stops

    async def create(self) -> LogWriter:
        """Submit a task, which no worker will take."""
        body = {
            "input": [{"type": "video_url", "url": _SOURCE}],
            "steps": [{"model": "detect"}],
        }
        answer = (await self._http.post("/v1/video/process", json=body)).raise_for_status()
        return LogWriter(self, answer.json()["id"])

    async def produce(self, record: ChunkRecord, epoch: int) -> int:
        """Write the record under `epoch` and return its Kafka offset."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[int | None] = loop.create_future()

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                loop.call_soon_threadsafe(written.set_exception, RuntimeError(str(error)))
            else:
                loop.call_soon_threadsafe(written.set_result, message.offset())

        headers: list[tuple[str, str | bytes | None]] = [
            (name, b"%d" % epoch if name == "epoch" else value) for name, value in record.headers()
        ]
        self._producer.produce(
            topics.CHUNKS,
            key=record.task,
            value=record.value,
            headers=headers,
            partition=topics.partition_of(record.task.encode(), self._n_partitions),
            on_delivery=delivered,
        )
        await asyncio.to_thread(self._producer.flush, 10)
        offset = await written
        assert offset is not None
        return offset

    async def visible(self, task: str, before: int, length: int) -> None:
        """Wait until the api, which had `before` bytes, gives out `length`: by long-polls."""
        async with asyncio.timeout(_VISIBLE_S):
            while before < length:
                answer = await self.read(task, before, live="long-poll")
                before = answer.next_offset

    async def read(self, task: str, offset: int, *, live: str) -> Answer:
        """Return the log from `offset` on; `live` is false or long-poll."""
        answer = await self._http.get(_path(task), params={"offset": offset, "live": live})
        return _answer(answer, answer.content)

    async def head(self, task: str) -> Answer:
        answer = await self._http.head(_path(task), params={"live": "false"})
        return _answer(answer, b"")

    @asynccontextmanager
    async def stream(self, task: str, offset: int) -> AsyncIterator[AsyncIterator[bytes] | None]:
        """Open the live stream; None: the log ends at `offset`."""
        async with self._http.stream("GET", _path(task), params={"offset": offset}) as answer:
            yield None if answer.status_code == 204 else answer.raise_for_status().aiter_raw()


def _path(task: str) -> str:
    return f"/v1/video/tasks/{task}/stream"


def _answer(answer: httpx.Response, data: bytes) -> Answer:
    if answer.status_code in {400, 409, 416}:
        return Answer(answer.status_code, b"", 0, closed=False)
    answer.raise_for_status()
    return Answer(
        answer.status_code,
        data,
        int(answer.headers["stream-next-offset"]),
        answer.headers["stream-closed"] == "true",
    )
