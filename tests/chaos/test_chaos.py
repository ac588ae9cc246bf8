"""Chaos: real processes killed, frozen and cut off; at the end every byte is where it belongs.

`make chaos` runs the long form, the environment sets its size:
FRAMEWIRE_CHAOS_SEED, FRAMEWIRE_CHAOS_TASKS, FRAMEWIRE_CHAOS_KILLS.
"""

import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import pytest

from streamproc.contract.chunk import Chunk
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.framing import parse_events
from streamproc.contract.objects import segment_prefix
from streamproc.contract.records import ChunkRecord, Claim, read_chunk_record
from streamproc.contract.topics import CHUNKS
from streamproc.sinks.clickhouse import IndexTables, client_factory
from streamproc.sinks.objects import S3Objects
from streamproc.sinks.settings import StoreSettings
from streamproc.sinks.verify import verify
from tests.brokers import N_PARTITIONS, KafkaNode
from tests.chaos.clients import StreamClient, submit
from tests.chaos.fleet import ADMIN_KEY, Fleet
from tests.chaos.gremlin import Gremlin
from tests.engines import S3Server
from tests.workers import CLIP, chunks_of, timeless

pytestmark = pytest.mark.chaos
SEED = int(os.environ.get("FRAMEWIRE_CHAOS_SEED", "1"))
N_TASKS = int(os.environ.get("FRAMEWIRE_CHAOS_TASKS", "4"))
N_KILLS = int(os.environ.get("FRAMEWIRE_CHAOS_KILLS", "8"))
PAUSE_S = float(os.environ.get("FRAMEWIRE_CHAOS_PAUSE_S", "4"))
DEADLINE_S = 300 + 20 * N_KILLS
BODY = {
    "input": [
        {
            "type": "video_url",
            "url": CLIP.as_uri(),
            "sampling": {"mode": "interval", "value": 1},
        }
    ],
    "steps": [
        {"model": "detect", "parameters": {"classes": ["pedestrian"]}},
        {"model": "feature"},
    ],
}


def create_key(fleet: Fleet, deadline_s: float = 60) -> tuple[str, str]:
    """Return (project, key); waits until the api knows its project."""
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    until = time.monotonic() + deadline_s
    while True:
        try:
            project = f"chaos-{time.time_ns()}"
            made = httpx.post(
                f"{fleet.api_url(0)}/v1/admin/projects",
                json={"name": "chaos", "id": project},
                headers=admin,
                timeout=10,
            )
            made.raise_for_status()
            key = httpx.post(
                f"{fleet.api_url(0)}/v1/admin/keys",
                json={"project": project, "name": "chaos"},
                headers=admin,
                timeout=10,
            )
            key.raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return project, key.json()["key"]


@dataclass
class Story:
    """One task as video.chunks tells it; `written` are (milliseconds, worker) of its records."""

    log: bytes = b""
    fold: Fold = field(default_factory=Fold)
    worker: str = ""
    written: list[tuple[int, str]] = field(default_factory=list)
    n_refused: int = 0

    def take(self, record: ChunkRecord) -> None:
        self.fold, verdict = step(self.fold, record)
        assert verdict is not Verdict.GAP
        if verdict is Verdict.CLAIMED:
            self.worker = msgspec.msgpack.decode(record.value, type=Claim).worker
        elif verdict is Verdict.ACCEPTED:
            self.log += record.value
            self.written.append((record.time_ms, self.worker))
        else:
            self.n_refused += 1

    def resumed_after_s(self, killed_ms: int, worker: str) -> float | None:
        """Return the time from a worker's death to the task's next byte, if it was its task."""
        before = [name for at_ms, name in self.written if at_ms <= killed_ms]
        after = [at_ms for at_ms, _ in self.written if at_ms > killed_ms]
        if not before or not after or before[-1] != worker:
            return None
        return (after[0] - killed_ms) / 1000


def stories_of_kafka(kafka: KafkaNode) -> dict[str, Story]:
    """Return every task's story by the fold of video.chunks."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "chaos-fold"})
    stories: dict[str, Story] = {}
    for partition in range(N_PARTITIONS):
        place = TopicPartition(CHUNKS, partition, 0)
        _, high = consumer.get_watermark_offsets(place, timeout=10)
        consumer.assign([place])
        position = 0
        while position < high:
            message = consumer.poll(5)
            assert message is not None, "Kafka stopped answering"
            assert message.error() is None
            position = (message.offset() or 0) + 1
            record = read_chunk_record(
                key=message.key(),
                value=message.value(),
                headers=message.headers(),
                position=position - 1,
                time_ms=message.timestamp()[1],
            )
            stories.setdefault(record.task, Story()).take(record)
    consumer.close()
    return stories


def archive_of(s3: S3Server, project: str, task: str) -> bytes:
    client = s3.client()
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=s3.bucket, Prefix=segment_prefix(project, task)
    )
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return b"".join(
        client.get_object(Bucket=s3.bucket, Key=key)["Body"].read() for key in sorted(keys)
    )


@pytest.mark.timeout(DEADLINE_S + 300)
def test_nothing_is_lost_and_nothing_is_said_twice(
    kafka: KafkaNode, s3_server: S3Server, tmp_path: Path
) -> None:
    fleet = Fleet(kafka, s3_server, tmp_path)
    fleet.start()
    try:
        project, key = create_key(fleet)
        calm = StreamClient(fleet, key, submit(fleet, key, BODY, "calm"), seed=0)
        calm.start()
        calm.join(120)
        assert calm.finished
        undisturbed: list[Chunk] = chunks_of(bytes(calm.log))

        gremlin = Gremlin(fleet, SEED, pause_s=PAUSE_S, kills_kafka=True)
        gremlin.start()
        clients = keep_busy(fleet, key, gremlin)
        gremlin.stop()
        for client in clients:
            client.join(180)
        unfinished = [client.task for client in clients if not client.finished]
        assert not unfinished, f"not finished: {unfinished}"

        stories = stories_of_kafka(kafka)
        logs = {task: story.log for task, story in stories.items()}
        for client in clients:
            assert bytes(client.log) == logs[client.task]
            assert list(parse_events(logs[client.task]))
            assert timeless(chunks_of(logs[client.task])) == timeless(undisturbed)
        wait_for_archive(s3_server, project, logs, [client.task for client in clients])
    finally:
        fleet.stop()
    store = S3Objects(StoreSettings.from_environ(s3_server.environ))
    tables = IndexTables(client_factory(fleet.clickhouse))
    mine = {client.task for client in clients}
    findings = [found for found in verify(store, tables) if found.task in mine]
    tables.close()
    store.close()
    assert findings == []
    report(gremlin, clients, [stories[task] for task in sorted(mine)])


def keep_busy(fleet: Fleet, key: str, gremlin: Gremlin) -> list[StreamClient]:
    """Submit tasks, up to eight at once, until there were enough of them and enough kills."""
    clients: list[StreamClient] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(clients) < N_TASKS or gremlin.done["kill"] < N_KILLS:
        assert time.monotonic() < deadline, f"only {dict(gremlin.done)} in {DEADLINE_S} s"
        if sum(not client.finished for client in clients) < min(8, N_TASKS):
            number = len(clients)
            task = submit(fleet, key, BODY, f"task-{number}")
            clients.append(StreamClient(fleet, key, task, seed=SEED + number))
            clients[-1].start()
        time.sleep(0.2)
    return clients


def report(gremlin: Gremlin, clients: list[StreamClient], stories: list[Story]) -> None:
    times = [
        after_s
        for killed_ms, worker in gremlin.worker_kills
        for story in stories
        if (after_s := story.resumed_after_s(killed_ms, worker)) is not None
    ]
    resumed = "no worker died at work"
    if times:
        resumed = (
            f"a worker's death to its task's next byte ({len(times)} times): "
            f"median {statistics.median(times):.1f} s, max {max(times):.1f} s"
        )
    sys.stdout.write(
        f"\nfaults: {dict(gremlin.done)}; tasks: {len(clients)}; "
        f"connections: {sum(client.n_connections for client in clients)}; "
        f"records refused by the fold: {sum(story.n_refused for story in stories)}; {resumed}\n"
    )


def wait_for_archive(
    s3: S3Server, project: str, logs: dict[str, bytes], tasks: list[str], timeout_s: float = 90
) -> None:
    deadline = time.monotonic() + timeout_s
    for task in tasks:
        while archive_of(s3, project, task) != logs[task]:
            assert time.monotonic() < deadline, f"the archive of {task} is not the log"
            time.sleep(0.5)
