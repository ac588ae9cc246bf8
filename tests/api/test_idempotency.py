"""The Idempotency-Key: one task however often and wherever the request arrives."""

import asyncio
import secrets
from typing import Any

import httpx
import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from api.errors import ConflictError, UnavailableError
from api.ids import DAY_MS
from api.kafka.producer import Publisher
from api.tasks.live_admission import LiveAdmission
from api.tasks.request_parser import parse_request
from api.tasks.submission import RecentTasks, Submissions
from streamproc.contract import topics
from streamproc.contract.records import Submitted, WorkerBeat, decode_task_message
from streamproc.contract.stored_request import StoredRequest
from streamproc.contract.task_spec import LiveOptions
from tests.api.server import LiveApi, NewKey, ProjectClient
from tests.api.test_tasks_route import BODY


def submissions_of(live: LiveApi, task: str, topic: str = topics.TASKS) -> list[Submitted]:
    """Return the topic's messages that submit the task."""
    consumer = Consumer(
        {
            "bootstrap.servers": live.settings.kafka,
            "group.id": secrets.token_hex(8),
            "enable.auto.commit": False,
        }
    )
    found: list[Submitted] = []
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = {
            partition: consumer.get_watermark_offsets(TopicPartition(topic, partition))[1]
            for partition in partitions
        }
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        unread = {partition for partition, end in ends.items() if end}
        while unread:
            message = consumer.poll(10)
            assert message is not None
            assert message.error() is None
            if message.key() == task.encode():
                value = message.value()
                assert value is not None
                decoded = decode_task_message(value)
                assert isinstance(decoded, Submitted)
                assert decoded.partition == message.partition()
                found.append(decoded)
            if message.offset() == ends[message.partition()] - 1:
                unread.discard(message.partition())
    finally:
        consumer.close()
    return found


async def post(client: httpx.AsyncClient, key: str, body: Any = None) -> httpx.Response:
    return await client.post(
        "/v1/video/process", json=body or BODY, headers={"Idempotency-Key": key}
    )


async def test_ten_at_once_on_two_servers_are_one_task(
    project: ProjectClient, live: LiveApi, other: httpx.AsyncClient
) -> None:
    answers = await asyncio.gather(
        *(post(client, "same") for client in (project, other) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {202}
    (task,) = {answer.json()["id"] for answer in answers}
    sent = submissions_of(live, task)
    assert 1 <= len(sent) <= 2
    assert len({msgspec.json.encode(message) for message in sent}) == 1


async def test_repeats_on_one_server_are_one_message(project: ProjectClient, live: LiveApi) -> None:
    answers = await asyncio.gather(*(post(project, "k") for _ in range(10)))
    answers.append(await post(project, "k"))
    (task,) = {answer.json()["id"] for answer in answers}
    assert len(submissions_of(live, task)) == 1


async def test_another_body_is_a_conflict_and_harms_nothing(project: ProjectClient) -> None:
    first = await post(project, "k1")
    second = await post(project, "k1", {**BODY, "model": "other"})
    assert second.status_code == 409
    assert second.json()["code"] == "idempotency_conflict"
    assert second.headers["content-type"] == "application/problem+json"
    assert (await post(project, "k1")).json() == first.json()


async def test_racing_bodies_have_one_winner(project: ProjectClient) -> None:
    bodies = [{**BODY, "model": f"m{n % 2}"} for n in range(10)]
    answers = await asyncio.gather(*(post(project, "race", body) for body in bodies))
    winners = {i % 2 for i, answer in enumerate(answers) if answer.status_code == 202}
    assert len(winners) == 1
    assert all(
        answer.status_code == (202 if i % 2 in winners else 409) for i, answer in enumerate(answers)
    )
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1


async def test_projects_do_not_share_keys(
    project: ProjectClient, live: LiveApi, new_key: NewKey
) -> None:
    _, key = await new_key()
    async with live.client(key) as stranger:
        assert (await post(project, "k")).json()["id"] != (await post(stranger, "k")).json()["id"]


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_unusable_keys_are_refused(project: ProjectClient, key: str) -> None:
    assert (await post(project, key)).status_code in {400, 422}


async def test_without_a_key_every_request_is_a_task(project: ProjectClient) -> None:
    answers = await asyncio.gather(
        *(project.post("/v1/video/process", json=BODY) for _ in range(5))
    )
    assert len({answer.json()["id"] for answer in answers}) == 5


class Clock:
    now_ms = 20_500 * DAY_MS + DAY_MS // 2

    def __call__(self) -> int:
        return self.now_ms


def submissions(
    live: LiveApi, publisher: Publisher, clock: Clock, admission: LiveAdmission | None = None
) -> Submissions:
    services = live.services
    return Submissions(
        publisher=publisher,
        objects=services.objects,
        requests=services.requests,
        secrets=services.secrets,
        log=services.log,
        recent=RecentTasks(60),
        live=admission or LiveAdmission(services.living_workers),
        clock_ms=clock,
    )


def parsed_of(live: LiveApi, body: Any) -> Any:
    return parse_request(
        msgspec.json.encode(body), live.services.registry, max_upload_bytes=1_000_000
    )


async def test_key_is_honoured_for_24_hours_over_midnight(live: LiveApi) -> None:
    clock = Clock()
    publisher = Publisher(live.settings)
    submit = submissions(live, publisher, clock).submit
    key, parsed = secrets.token_hex(8), parsed_of(live, BODY)
    first = await submit("p_midnight", parsed, key)
    clock.now_ms += DAY_MS - 1
    assert (await submit("p_midnight", parsed, key)).task == first.task
    with pytest.raises(ConflictError):
        await submit("p_midnight", parsed_of(live, {**BODY, "model": "x"}), key)
    clock.now_ms += 1
    second = await submit("p_midnight", parsed, key)
    assert second.task != first.task
    await publisher.close()


async def test_a_live_task_needs_room_once_however_often_it_is_sent(live: LiveApi) -> None:
    partition = await live_partitions(live) - 1
    beats = [
        WorkerBeat(*("w", "h", 1, 0, 0, "CPU", "f32", (), 4, 0, 0.0, 0), (partition,), live_slots=1)
    ]
    publisher, admission = Publisher(live.settings), LiveAdmission(lambda: beats)
    submit = submissions(live, publisher, Clock(), admission).submit
    file = parsed_of(live, BODY)
    spec = msgspec.structs.replace(file.spec, live=LiveOptions())
    camera = msgspec.structs.replace(file, spec=spec)
    first = await submit("p_live", camera, "k1")
    assert first.partition == partition
    sent = submissions_of(live, first.task, topics.LIVE)
    assert [message.partition for message in sent] == [partition]
    assert (await submit("p_live", camera, "k1")).task == first.task
    for key in ("k2", None):
        with pytest.raises(UnavailableError, match="1 of 1"):
            await submit("p_live", camera, key)
    await submit("p_live", file, "k3")  # files wait
    await publisher.close()


async def test_kafka_away_is_503_and_the_retry_submits_the_same_task(live: LiveApi) -> None:
    clock = Clock()
    key, parsed = secrets.token_hex(8), parsed_of(live, BODY)
    away = Publisher(
        msgspec.structs.replace(live.settings, kafka="127.0.0.1:9", kafka_deadline_s=1)
    )
    away._n_partitions = await live_partitions(live)
    with pytest.raises(UnavailableError) as caught:
        await submissions(live, away, clock).submit("p_away", parsed, key)
    assert caught.value.status == 503
    assert caught.value.headers["Retry-After"]
    await away.close()
    publisher = Publisher(live.settings)
    stored: StoredRequest = await submissions(live, publisher, clock).submit("p_away", parsed, key)
    assert [message.task for message in submissions_of(live, stored.task)] == [stored.task]
    await publisher.close()


async def live_partitions(live: LiveApi) -> int:
    publisher = Publisher(live.settings)
    try:
        return await publisher.n_partitions()
    finally:
        await publisher.close()
