"""The workers' history: from heartbeats in Kafka over the index's table to the api's steps."""

import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from confluent_kafka import Producer

from api.settings import Settings
from streamproc.clients.clickhouse import client_factory
from streamproc.clients.consumer_lag import GROUPS, ConsumerLag, LagReader
from streamproc.clients.kafka import KafkaSettings
from streamproc.contract import tables, topics
from streamproc.contract.lag_history import LAG_SAMPLES
from streamproc.contract.worker_history import WORKER_SAMPLES
from streamproc.sinks.index.lag_history import LagHistory
from streamproc.sinks.index.worker_history import start_worker_history
from tests.api.server import ProjectClient, until
from tests.brokers import N_PARTITIONS
from tests.streamproc.sinks.index.test_worker_history import beat


@pytest.fixture(scope="module")
def history(settings: Settings, clickhouse: Any) -> Iterator[None]:
    """The history's sink, at work in this process."""
    stop = threading.Event()
    connect = client_factory(settings.clickhouse)
    thread = start_worker_history(KafkaSettings(settings.kafka), connect, stop)
    yield
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


async def test_steps_are_those_of_the_heartbeats(
    project: ProjectClient, settings: Settings, history: None
) -> None:
    begin_s = int(time.time()) // 60 * 60 - 240
    beats = [
        beat(
            worker,
            (begin_s + 2 * n) * 1000,
            fps=n % 17 + 0.5,
            cpu_percent=None if worker == "h-old" else 1.5 * n,
            rss_bytes=1000 + n * 37 % 101,
            busy=n % 5,
            processed_frames=10 * n,
        )
        for n in range(120)
        for worker in ("h-new", "h-old")
    ]
    producer = Producer({"bootstrap.servers": settings.kafka})
    producer.produce(topics.WORKERS, key="h-bad", value=b"\xc1", partition=0)
    for one in beats:
        value = msgspec.msgpack.encode(one)
        producer.produce(topics.WORKERS, key=one.worker, value=value, partition=0)
    producer.flush(10)
    asked = {"from": str(begin_s * 1000), "to": str((begin_s + 240) * 1000), "points": "4"}

    async def complete() -> Any:
        answer = await project.get("/v1/system/history", params=asked)
        assert answer.status_code == 200, answer.text
        workers = {one["id"]: one["samples"] for one in answer.json()["workers"]}
        frames = [workers.get(name, [{}])[-1] for name in ("h-new", "h-old")]
        return answer.json() if all(f.get("processed_frames") == 1150 for f in frames) else None

    found = await until(complete, within_s=30)
    assert found["step_s"] == 60
    for worker in found["workers"]:
        mine = [one for one in beats if one.worker == worker["id"]]
        if not mine:
            continue
        firsts: dict[int, Any] = {}
        for one in mine:
            firsts.setdefault(one.beat_ms // 10_000, one)
        steps = [
            [one for one in firsts.values() if 0 <= one.beat_ms // 1000 - start < 60]
            for start in range(begin_s, begin_s + 240, 60)
        ]
        assert len(worker["samples"]) == 4
        for sample, step in zip(worker["samples"], steps, strict=True):
            assert len(step) == 6
            assert sample["fps"] == pytest.approx(statistics.mean(b.fps for b in step), abs=0.01)
            if worker["id"] == "h-new":
                cpu = statistics.mean(b.cpu_percent for b in step)
                assert sample["cpu_percent"] == pytest.approx(cpu, abs=0.1)
            else:
                assert sample["cpu_percent"] is None
            assert sample["rss_bytes"] == max(b.rss_bytes for b in step)
            assert sample["busy"] == pytest.approx(statistics.mean(b.busy for b in step), abs=0.01)
            assert sample["processed_frames"] == step[-1].processed_frames
    only = await project.get("/v1/system/history", params={**asked, "worker": "h-old"})
    assert [one["id"] for one in only.json()["workers"]] == ["h-old"]
    hour = (await project.get("/v1/system/history", params={"worker": "h-new"})).json()
    assert hour["step_s"] == 60
    assert sum(len(one["samples"]) for one in hour["workers"]) in {4, 5}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"points": "0"}, "points"),
        ({"points": "241"}, "points"),
        ({"worker": "x" * 257}, "worker"),
        ({"only": "everything"}, "only"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2000", "to": "1000"}, "from"),
        ({"from": "0", "to": str(8 * 86_400_000)}, "from"),
    ],
)
async def test_what_is_asked_is_bounded(
    project: httpx.AsyncClient, given: dict[str, str], field: str
) -> None:
    answer = await project.get("/v1/system/history", params=given)
    assert answer.status_code in {400, 422}, answer.text
    assert field in answer.text


@pytest.mark.parametrize("table", [WORKER_SAMPLES, LAG_SAMPLES])
def test_the_rows_have_a_ttl(clickhouse: Any, table: str) -> None:
    made = clickhouse.command(f"SHOW CREATE TABLE {table}")
    assert "TTL at + toIntervalDay(7)" in made


async def test_the_lag_of_each_group_is_sampled_also_on_a_database_of_an_older_version(
    project: ProjectClient, settings: Settings, clickhouse: Any
) -> None:
    begin_s = int(time.time()) // 60 * 60 - 120
    asked = {"from": str(begin_s * 1000), "to": str((begin_s + 120) * 1000), "points": "2"}
    clickhouse.command(f"DROP TABLE {LAG_SAMPLES}")
    answer = await project.get("/v1/system/history", params={**asked, "only": "workers"})
    assert (answer.status_code, answer.json()["lag"]) == (200, [])
    answer = await project.get("/v1/system/history", params={**asked, "only": "lag"})
    assert answer.json()["code"] == "clickhouse_unavailable"

    left = 0
    connects = iter([None, client_factory(settings.clickhouse)])

    def connect() -> Any:
        make = next(connects)
        if make is None:
            raise ConnectionRefusedError
        return make()

    def read() -> list[ConsumerLag]:
        return [ConsumerLag(group, topic, 0, 0, 100, 100 - left) for group, topic in GROUPS]

    sampled = LagHistory(read, connect)
    for n, left in enumerate((9, 3, 5, 0, 0, 0, 7)):  # noqa: B007 - what `read` finds
        sampled.sample(begin_s + 10 * n + 1)  # the first one waits for the second
    for statement in tables.DDL:  # the next start's: nothing is lost
        clickhouse.command(statement)
    found = (await project.get("/v1/system/history", params=asked)).json()["lag"]
    assert {(one["group"], one["topic"]) for one in found} == set(GROUPS)
    for one in found:
        assert [sample["lag"] for sample in one["samples"]] == [9, 7]
    alone = (await project.get("/v1/system/history", params={**asked, "only": "lag"})).json()
    assert (alone["lag"], alone["workers"]) == (found, [])
    one = await project.get("/v1/system/history", params={**asked, "worker": "h-old"})
    assert one.json()["lag"] == []


def test_the_number_of_partitions_is_asked_for(settings: Settings) -> None:
    reader = LagReader({"bootstrap.servers": settings.kafka})
    found = {(place.group, place.topic) for place in reader.read()}
    assert found == set(GROUPS)
    assert len(reader.read()) == (len(GROUPS) - 1) * N_PARTITIONS + 1
    reader.close()
