"""Credentials in a source's URL: sealed apart, echoed nowhere, gone with the task's end."""

import asyncio
import secrets
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from confluent_kafka import Consumer, TopicPartition

from api.settings import Settings
from streamproc.contract import env, topics
from streamproc.contract.object_keys import final_key, request_key, secret_key
from streamproc.contract.sealing import Sealer
from streamproc.contract.setting_error import SettingError
from streamproc.contract.stored_request import decode_stored_request, encode_stored_request
from tests.api.conftest import SECRET_KEY
from tests.api.server import Fresh, LiveApi, ProjectClient, until
from tests.api.worker import StandInWorker
from tests.engines import S3Server

HIDDEN = ("5ignature", "pa55word", "credent1al", "fr4gment")
URL = (
    "https://somebody:pa55word@videos.example.com/clip.mp4"
    "?X-Amz-Credential=credent1al&X-Amz-Signature=5ignature#fr4gment"
)
MASKED = "https://***@videos.example.com/clip.mp4?X-Amz-Credential=***&X-Amz-Signature=***#***"


def body_of(url: str) -> dict[str, Any]:
    return {"input": [{"type": "video_url", "url": url}], "steps": [{"model": "detect"}]}


async def submit(client: httpx.AsyncClient, url: str = URL, **headers: str) -> httpx.Response:
    return await client.post("/v1/video/process", json=body_of(url), headers=headers)


def stored(s3: S3Server, key: str) -> bytes | None:
    try:
        found: bytes = s3.client().get_object(Bucket=s3.bucket, Key=key)["Body"].read()
    except ClientError:
        return None
    return found


def written_to(kafka: str, topic: str) -> bytes:
    """Return all that the topic holds, one after the other."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": secrets.token_hex(8)})
    found, n_left = b"", 0
    places = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    for partition in places:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        n_left += high - low
    consumer.assign([TopicPartition(topic, partition, 0) for partition in places])
    while n_left:
        message = consumer.poll(10)
        assert message is not None
        found += message.value() or b""
        n_left -= 1
    consumer.close()
    return found


async def test_a_credential_is_echoed_stored_and_produced_nowhere_in_clear(
    live: LiveApi, project: ProjectClient, s3_server: S3Server
) -> None:
    task = (await submit(project)).json()["id"]
    request = stored(s3_server, request_key(project.project, task)) or b""
    sealed = stored(s3_server, secret_key(project.project, task)) or b""
    echo = (await project.get(f"/v1/video/tasks/{task}?include=request")).json()
    produced = written_to(live.settings.kafka, topics.TASKS)
    assert echo["request"]["input"][0]["url"] == MASKED
    assert decode_stored_request(request).spec.source.url == MASKED
    assert decode_stored_request(request).spec.source.sealed
    assert MASKED.encode() in produced
    for hidden in HIDDEN:
        assert hidden.encode() not in request + sealed + produced
    assert Sealer(SECRET_KEY).open(project.project, task, sealed) == URL


async def test_a_url_without_credentials_is_stored_as_it_is(
    project: ProjectClient, s3_server: S3Server
) -> None:
    task = (await submit(project, "https://videos.example.com/clip.mp4")).json()["id"]
    assert stored(s3_server, secret_key(project.project, task)) is None
    kept = decode_stored_request(stored(s3_server, request_key(project.project, task)) or b"")
    assert (kept.spec.source.url, kept.spec.source.sealed) == (
        "https://videos.example.com/clip.mp4",
        False,
    )


async def test_a_request_stored_before_is_read_and_echoed_masked(
    project: ProjectClient, live: LiveApi, s3_server: S3Server, fresh: Fresh
) -> None:
    task = (await submit(project, "https://videos.example.com/clip.mp4")).json()["id"]
    key = request_key(project.project, task)
    old = encode_stored_request(decode_stored_request(stored(s3_server, key) or b""))
    old = old.replace(b"https://videos.example.com/clip.mp4", URL.encode())
    s3_server.client().put_object(
        Bucket=s3_server.bucket, Key=key, Body=old.replace(b',"sealed":false', b"")
    )
    other = await fresh()
    async with other.client(project.headers["authorization"].split()[1]) as client:
        answer = await client.get(f"/v1/video/tasks/{task}?include=request")
    assert answer.json()["request"]["input"][0]["url"] == MASKED


@pytest.mark.parametrize(
    "url",
    [
        MASKED,
        "https://***@videos.example.com/clip.mp4",
        "https://videos.example.com/clip.mp4?a=1&sig=***",
        "https://videos.example.com/clip.mp4?***",
    ],
)
async def test_a_masked_url_is_refused_with_what_to_do(project: ProjectClient, url: str) -> None:
    answer = await submit(project, url)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"]) == (422, "input[0].url")
    assert "give the whole URL again" in error["message"]


async def test_the_same_key_and_credentials_are_the_same_task_also_under_a_newer_secret_key(
    project: ProjectClient, s3_server: S3Server, fresh: Fresh
) -> None:
    key = secrets.token_hex(8)
    first = await submit(project, **{"Idempotency-Key": key})
    again = await submit(project, **{"Idempotency-Key": key})
    changed = await submit(project, URL + "x", **{"Idempotency-Key": key})
    assert (first.json()["id"], changed.status_code) == (again.json()["id"], 409)
    rotated = await fresh(secret_key=f"{'A' * 43}=,{SECRET_KEY}")
    async with rotated.client(project.headers["authorization"].split()[1]) as client:
        assert (await submit(client, **{"Idempotency-Key": key})).json() == first.json()


async def test_a_server_without_a_key_refuses_what_it_could_not_seal(
    project: ProjectClient, fresh: Fresh
) -> None:
    keyless = await fresh(secret_key=None)
    async with keyless.client(project.headers["authorization"].split()[1]) as client:
        answer = await submit(client)
        assert (answer.status_code, answer.json()["code"]) == (403, "secrets_off")
        assert "FRAMEWIRE_SECRET_KEY" in answer.json()["detail"]
        assert (await submit(client, "https://videos.example.com/clip.mp4")).status_code == 202


async def test_the_credential_goes_when_the_task_ends(
    project: ProjectClient, s3_server: S3Server, worker: StandInWorker, archive: None
) -> None:
    task = (await submit(project)).json()["id"]
    assert stored(s3_server, secret_key(project.project, task))
    worker.claim(project.project, task)
    worker.chunk(task)
    worker.end(task)

    async def archived() -> bool:
        found = await asyncio.to_thread(stored, s3_server, final_key(project.project, task))
        return found is not None

    await until(archived, within_s=20)
    assert stored(s3_server, secret_key(project.project, task)) is None
    frame = await project.get(f"/v1/video/tasks/{task}/frames/0.jpg")
    assert (frame.status_code, frame.json()["code"]) == (410, "source_gone")
    assert "deleted when the task ended" in frame.json()["detail"]


def test_settings_refuse_what_is_no_key_and_never_show_one() -> None:
    needed = {env.KAFKA: "k:1", env.CLICKHOUSE: "chdb:///x"}
    with pytest.raises(SettingError, match=env.SECRET_KEY):
        Settings.from_environ({**needed, env.SECRET_KEY: "too short"})
    assert SECRET_KEY not in repr(Settings.from_environ({**needed, env.SECRET_KEY: SECRET_KEY}))
