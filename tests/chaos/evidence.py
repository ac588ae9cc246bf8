"""What a task was asked and what became of it: by Kafka's fold, by the archive, by who wrote it."""

import time
from contextlib import closing
from dataclasses import dataclass, field

import httpx
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from streamproc.clients.clickhouse import client_factory
from streamproc.clients.object_store import S3Objects
from streamproc.contract.chunk import Chunk
from streamproc.contract.fold import Fold, Verdict, step
from streamproc.contract.framing import DONE
from streamproc.contract.object_keys import final_key, segment_prefix
from streamproc.contract.records import ChunkRecord, Claim, read_chunk_record
from streamproc.contract.store_settings import StoreSettings
from streamproc.contract.topics import CHUNKS, INDEX_GROUP
from streamproc.sinks.index.tables import IndexTables
from streamproc.sinks.maintenance.verify import Finding, verify
from tests.brokers import N_PARTITIONS, KafkaNode
from tests.chaos.clients import StreamClient, submit
from tests.chaos.fleet import ADMIN_KEY, Fleet
from tests.engines import S3Server
from tests.workers import CLIP, chunks_of


def request(**source: object) -> dict[str, object]:
    """Return the body of a request for every frame of the clip; `source` narrows it."""
    return {
        "input": [
            {
                "type": "video_url",
                "url": CLIP.as_uri(),
                "sampling": {"mode": "interval", "value": 1},
                **source,
            }
        ],
        "steps": [
            {"model": "detect", "parameters": {"classes": ["pedestrian"]}},
            {"model": "feature"},
        ],
    }


BODY = request()
BRIEF = request(range={"unit": "frames", "start": 0, "end": 40})
"""Some slices, for a test that wants an end and not much to happen before it."""


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
            time.sleep(0.1)
        else:
            return project, key.json()["key"]


def undisturbed_chunks(
    fleet: Fleet, key: str, body: dict[str, object] = BODY, timeout_s: float = 120
) -> list[Chunk]:
    """Return what a task of `body` says while nothing happens to anybody."""
    name = f"calm-{time.monotonic_ns()}"
    calm = StreamClient(fleet, key, submit(fleet, key, body, name), seed=0)
    calm.start()
    calm.join(timeout_s)
    assert calm.finished
    return chunks_of(bytes(calm.log))


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


def wait_for_archive(
    s3: S3Server, project: str, logs: dict[str, bytes], tasks: list[str], timeout_s: float = 90
) -> None:
    """Return once the logs are in S3 as a whole, and those that are closed with their end."""
    deadline = time.monotonic() + timeout_s
    for task in tasks:
        is_closed = DONE in logs[task][-100:]
        while archive_of(s3, project, task) != logs[task] or (
            is_closed and not has_final(s3, project, task)
        ):
            assert time.monotonic() < deadline, f"the archive of {task} is not the log"
            time.sleep(0.1)


def has_final(s3: S3Server, project: str, task: str) -> bool:
    """Return whether the archive has finished a task: it is written after the last segment."""
    found = s3.client().list_objects_v2(Bucket=s3.bucket, Prefix=final_key(project, task))
    return bool(found["KeyCount"])


def lag_of(fleet: Fleet, group: str) -> float | None:
    """Return how many messages a role is behind as `/metrics` has it; None: not known."""
    try:
        text = httpx.get(f"{fleet.api_url(0)}/metrics", timeout=15).text
    except httpx.HTTPError:  # the last fault was its death: it is being started again
        return None
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "framewire_lag_messages" and sample.labels["group"] == group
    ]
    return sum(found) if found else None


def wait_for_index(fleet: Fleet, timeout_s: float = 90) -> None:
    """Return once nothing waits for the index: what it had not read when it ends has no rows."""
    deadline = time.monotonic() + timeout_s
    while lag_of(fleet, INDEX_GROUP) != 0:
        assert time.monotonic() < deadline, "the index stays behind"
        time.sleep(0.1)


def findings_of_index(fleet: Fleet) -> list[Finding]:
    """Return where the rows differ from the archived logs, of all tasks that the bucket holds."""
    with (
        closing(S3Objects(StoreSettings.from_environ(fleet.s3.environ))) as store,
        closing(IndexTables(client_factory(fleet.clickhouse))) as tables,
    ):
        return list(verify(store, tables))
