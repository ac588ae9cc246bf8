"""The audit trail: every deed and every denied attempt, in Kafka, ClickHouse and a list."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from api.audit import DENIED_BURST, DENIED_PER_S, MAX_DETAIL, Audit, AuditFields
from api.settings import Settings
from streamproc.clients.clickhouse import client_factory
from streamproc.clients.kafka import KafkaSettings, client_config, reader_config
from streamproc.contract.audit import AuditRecord, decode_audit
from streamproc.contract.topics import AUDIT, AUDIT_GROUP
from streamproc.sinks.index.audit import start_audit
from tests.api.server import LiveApi, NewKey, until
from tests.api.test_tasks_route import BODY


@pytest.fixture(scope="module")
def trail(settings: Settings, clickhouse: Any) -> Iterator[None]:
    """The audit trail's sink, at work in this process."""
    stop = threading.Event()
    connect = client_factory(settings.clickhouse)
    thread = start_audit(KafkaSettings(settings.kafka), 30, connect, stop)
    yield
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


async def listed(client: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    answer = await client.get("/v1/admin/audit", params=filters)
    assert answer.status_code == 200, answer.text
    records: list[dict[str, Any]] = answer.json()["data"]
    return records


async def found(client: httpx.AsyncClient, n: int = 1, **filters: Any) -> list[dict[str, Any]]:
    """Return the records once there are so many."""

    async def enough() -> Any:
        records = await listed(client, **filters)
        return records if len(records) >= n else None

    return await until(enough, within_s=30)


async def test_who_did_what_is_told_for_every_deed(
    live: LiveApi, admin: httpx.AsyncClient, trail: None
) -> None:
    project = (await admin.post("/v1/admin/projects", json={"name": "Audited"})).json()["id"]
    key = (await admin.post("/v1/admin/keys", json={"project": project, "name": "k"})).json()
    async with live.client(key["key"]) as client:
        task = (await client.post("/v1/video/process", json=BODY)).json()["id"]
        await client.post(f"/v1/video/tasks/{task}/token")
        await client.post(f"/v1/video/tasks/{task}/cancel")
        await client.get("/v1/video/tasks")  # reading is no deed
        await client.get("/v1/admin/keys")
    limits = {"limits": {"open_streams": 7, "stored_bytes": None}}
    await admin.patch(f"/v1/admin/projects/{project}", json=limits)
    await admin.get("/v1/admin/usage")
    successor = (await admin.post(f"/v1/admin/keys/{key['id']}/rotate", json={})).json()
    await admin.delete(f"/v1/admin/keys/{successor['id']}")
    records = await found(admin, 9, project=project)
    told = [
        (r["actor"], r["action"], r["object"], r["outcome"], r["status"]) for r in reversed(records)
    ]
    assert told == [
        ("admin", "project.create", project, "done", 201),
        ("admin", "key.create", key["id"], "done", 201),
        (key["id"], "task.submit", task, "done", 202),
        (key["id"], "token.create", task, "done", 201),
        (key["id"], "task.cancel", task, "done", 202),
        (key["id"], "listKeys", "", "denied", 403),
        ("admin", "project.limit", project, "done", 200),
        ("admin", "key.rotate", key["id"], "done", 201),
        ("admin", "key.revoke", successor["id"], "done", 200),
    ]
    assert {r["address"] for r in records} == {"127.0.0.1"}
    assert "scopes=read,submit" in records[-2]["detail"]
    assert successor["id"] in records[1]["detail"]
    assert records[2]["detail"] == '{"open_streams":7,"stored_bytes":null}'
    text = msgspec.json.encode(records).decode()
    assert key["key"] not in text
    assert successor["key"] not in text


async def test_the_operators_questions_and_failed_deeds_are_told(
    admin: httpx.AsyncClient, trail: None
) -> None:
    query = f"SELECT {time.time_ns()} AS marked"
    assert (await admin.post("/v1/sql", json={"query": query})).status_code == 200
    bad = f"SELECT {time.time_ns()} AS marked FROM nowhere"
    assert (await admin.post("/v1/sql", json={"query": bad})).status_code == 422

    async def both() -> Any:
        records = {r["detail"]: r for r in await listed(admin, action="sql.run")}
        return records if {query, bad} <= set(records) else None

    records = await until(both, within_s=30)
    assert (records[query]["outcome"], records[bad]["outcome"]) == ("done", "failed")
    assert records[query]["actor"] == "admin"


async def test_an_unknown_key_leaves_a_denied_attempt_and_nothing_of_the_key(
    live: LiveApi, admin: httpx.AsyncClient, trail: None
) -> None:
    task = f"vt_{time.time_ns()}"
    async with live.client("fw_some_guess") as client:
        await client.get(f"/v1/video/tasks/{task}")
    (record,) = await found(admin, object=task)
    assert (record["actor"], record["action"], record["outcome"], record["status"]) == (
        *("-", "getTask", "denied"),
        401,
    )
    assert record["project"] is None
    assert "guess" not in str(record)


async def test_the_list_is_filtered_paged_and_confined(
    live: LiveApi, admin: httpx.AsyncClient, new_key: NewKey, trail: None
) -> None:
    project, _ = await new_key()
    body = {"project": project, "scopes": ["admin:project"]}
    keeper = (await admin.post("/v1/admin/keys", json=body)).json()
    records = await found(admin, 3, project=project)
    paged, cursor = [], None
    while True:
        params: dict[str, str | int] = {"project": project, "limit": 1}
        if cursor:
            params["cursor"] = cursor
        page = (await admin.get("/v1/admin/audit", params=params)).json()
        paged += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert paged == records
    newest, oldest = records[0]["at"], records[-1]["at"]
    assert await listed(admin, project=project, to=oldest) == []
    assert records[0] in await listed(admin, project=project, **{"from": newest})
    assert await listed(admin, project=project, action="key.create", outcome="failed") == []
    async with live.client(keeper["key"]) as client:
        assert {r["project"] for r in await listed(client)} == {project}
        assert (await client.get("/v1/admin/audit?project=other")).status_code == 403
    for bad in ({"outcome": "odd"}, {"cursor": "x"}, {"from": "never"}):
        assert (await admin.get("/v1/admin/audit", params=bad)).status_code in {400, 422}
    async with live.client(None) as nobody:
        assert (await nobody.get("/v1/admin/audit")).status_code == 401


async def test_the_table_keeps_each_record_once_and_lets_old_ones_go(
    admin: httpx.AsyncClient, clickhouse: Any, trail: None
) -> None:
    project = (await admin.post("/v1/admin/projects", json={"name": "x"})).json()["id"]
    (record,) = await found(admin, object=project)
    clickhouse.command(f"INSERT INTO audit SELECT * FROM audit WHERE object = '{project}'")
    assert await listed(admin, object=project) == [record]
    assert "toIntervalDay(30)" in clickhouse.command("SHOW CREATE TABLE audit")


async def test_what_is_in_the_table_is_committed(
    settings: Settings, admin: httpx.AsyncClient, trail: None
) -> None:
    """Else each start of the role would read the whole topic again."""
    project = (await admin.post("/v1/admin/projects", json={"name": "x"})).json()["id"]
    await found(admin, object=project)
    shared = client_config(KafkaSettings(settings.kafka))
    with closing(Consumer(reader_config(shared, AUDIT_GROUP))) as reader:
        places = [
            TopicPartition(AUDIT, n) for n in reader.list_topics(AUDIT).topics[AUDIT].partitions
        ]
        ends = {place.partition: reader.get_watermark_offsets(place)[1] for place in places}

        async def caught_up() -> bool:
            committed = {place.partition: place.offset for place in reader.committed(places)}
            return all(committed[n] >= end for n, end in ends.items() if end)

        assert sum(ends.values()) > 0
        assert await until(caught_up, within_s=30)


class Posted:
    """What would have gone to Kafka; `away` loses it."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []
        self.away = False

    def post(self, topic: str, key: str, value: bytes, lost: Any) -> None:
        if self.away:
            lost()
        else:
            self.records.append(decode_audit(value))


class Count:
    n = 0.0

    def inc(self, amount: float = 1) -> None:
        self.n += amount


class Trail:
    def __init__(self) -> None:
        self.posted, self.lost, self.suppressed = Posted(), Count(), Count()
        self.now_ms = 1_000_000
        self.audit = Audit(
            self.posted, lost=self.lost, suppressed=self.suppressed, clock_ms=lambda: self.now_ms
        )

    def write(self, outcome: Any = "denied", **told: str) -> None:
        self.audit.write(AuditFields(**told), action="a", address="h", outcome=outcome, status=401)


def test_denied_attempts_are_bounded_and_those_left_out_are_counted() -> None:
    trail = Trail()
    for _ in range(1000):
        trail.write()
    assert len(trail.posted.records) == DENIED_BURST
    assert trail.suppressed.n == 1000 - DENIED_BURST
    trail.write("done")
    trail.now_ms += int(1000 / DENIED_PER_S)
    trail.write()
    trail.write()
    assert [r.suppressed for r in trail.posted.records[-2:]] == [0, 1000 - DENIED_BURST]
    assert trail.suppressed.n == 1001 - DENIED_BURST


@given(waits_ms=st.lists(st.integers(0, 5000), max_size=300))
def test_no_attempt_is_neither_written_nor_counted(waits_ms: list[int]) -> None:
    trail = Trail()
    for wait_ms in waits_ms:
        trail.now_ms += wait_ms
        trail.write()
    trail.now_ms += 1000
    trail.write()
    records = trail.posted.records
    assert len(records) + sum(r.suppressed for r in records) == len(waits_ms) + 1
    assert len(records) <= DENIED_BURST + DENIED_PER_S * (sum(waits_ms) / 1000 + 1) + 1


def test_records_that_kafka_does_not_take_are_counted() -> None:
    trail = Trail()
    trail.posted.away = True
    for _ in range(3):
        trail.write("done")
    assert trail.lost.n == 3


@given(text=st.text(st.characters(exclude_categories=[])))
def test_what_a_client_chose_is_bounded_and_printable(text: str) -> None:
    trail = Trail()
    trail.write("done", object=text, detail=text * 20)
    (record,) = trail.posted.records
    assert record.object.isprintable()
    assert len(record.detail) <= MAX_DETAIL


async def test_a_lost_record_delays_no_request(settings: Settings) -> None:
    """Kafka is not there: posting returns at once, and the loss is counted by its deadline."""
    from api.kafka.producer import Publisher

    away = msgspec.structs.replace(settings, kafka="127.0.0.1:1", kafka_deadline_s=0.5)
    publisher, lost = Publisher(away), Count()
    audit = Audit(publisher, lost=lost, suppressed=Count())
    started_s = time.monotonic()
    for _ in range(1000):
        audit.write(AuditFields(), action="a", address="h", outcome="done", status=200)
    assert time.monotonic() - started_s < 0.5
    await until(lambda: asyncio.sleep(0, result=lost.n == 1000), within_s=10)
    await publisher.close()
