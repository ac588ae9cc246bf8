"""Projects and keys: made, used, revoked, on one server and on the others."""

import secrets

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from api.ids import key_hash
from streamproc.contract import topics
from tests.api.server import LiveApi, ProjectClient, until


async def works(live: LiveApi, key: str | None) -> int:
    async with live.client(key) as client:
        return (await client.get("/v1/video/tasks")).status_code


async def test_key_lives_from_its_making_to_its_end(
    live: LiveApi, other_live: LiveApi, admin: httpx.AsyncClient
) -> None:
    project = (await admin.post("/v1/admin/projects", json={"name": "Shop"})).json()
    assert project["id"].startswith("proj_")
    made = await admin.post("/v1/admin/keys", json={"project": project["id"], "name": "till"})
    assert made.status_code == 201
    key = made.json()["key"]
    assert key.startswith("fw_")
    assert await works(live, key) == 200

    async def known_elsewhere() -> bool:
        return await works(other_live, key) == 200

    await until(known_elsewhere, within_s=2)
    listed = (await admin.get(f"/v1/admin/keys?project={project['id']}")).json()["data"]
    assert [found["name"] for found in listed] == ["till"]
    assert "key" not in listed[0]
    assert key.startswith(listed[0]["prefix"])

    for _ in range(2):
        revoked = await admin.delete(f"/v1/admin/keys/{listed[0]['id']}")
        assert (revoked.status_code, revoked.json()["revoked"]) == (200, True)
    assert await works(live, key) == 401

    async def gone_elsewhere() -> bool:
        return await works(other_live, key) == 401

    await until(gone_elsewhere, within_s=2)


async def test_only_the_hash_reaches_kafka(live: LiveApi, admin: httpx.AsyncClient) -> None:
    project = (await admin.post("/v1/admin/projects", json={"name": "x"})).json()["id"]
    key = (await admin.post("/v1/admin/keys", json={"project": project})).json()["key"]
    consumer = Consumer(
        {"bootstrap.servers": live.settings.kafka, "group.id": secrets.token_hex(8)}
    )
    consumer.assign([TopicPartition(topics.PROJECTS, 0, 0)])
    wanted = f"key/{key_hash(key)}".encode()
    seen = b""
    while wanted not in seen:
        message = consumer.poll(10)
        assert message is not None
        seen += (message.key() or b"") + (message.value() or b"")
    consumer.close()
    assert key.encode() not in seen
    assert key[3:].encode() not in seen


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer", 401),
        ("Bearer fw_wrong", 401),
        ("Basic admin-key-of-the-tests", 401),
        ("Bearer " + "x" * 5000, 401),
        ("bearer admin-key-of-the-tests", 200),
    ],
)
async def test_what_is_no_key_is_401(live: LiveApi, header: str | None, status: int) -> None:
    async with live.client(None) as client:
        answer = await client.get(
            "/v1/admin/keys", headers={} if header is None else {"Authorization": header}
        )
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "unauthorized"


async def test_projects_are_no_operators_and_the_operator_is_no_project(
    project: ProjectClient, admin: httpx.AsyncClient
) -> None:
    for method, path, code in (
        ("POST", "/v1/admin/projects", "forbidden"),
        ("GET", "/v1/admin/projects", "forbidden"),
        ("POST", "/v1/admin/keys", "missing_scope"),
        ("GET", "/v1/admin/keys", "missing_scope"),
        ("DELETE", "/v1/admin/keys/key_1", "missing_scope"),
        ("POST", "/v1/admin/keys/key_1/rotate", "missing_scope"),
    ):
        answer = await project.request(method, path, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, code), path
    answer = await admin.get("/v1/video/tasks")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_bad_requests_are_named(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/v1/admin/projects", json={"name": "", "id": "x"})
    assert answer.json()["errors"][0]["field"] == "name"
    answer = await admin.post("/v1/admin/projects", json={"name": "x", "id": "Not an id/"})
    assert answer.json()["errors"][0]["field"] == "id"
    answer = await admin.post("/v1/admin/keys", json={"project": "nobody"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "project")
    assert (await admin.delete("/v1/admin/keys/key_nobody")).status_code == 404
    assert (await admin.post("/v1/admin/keys", content=b"{")).status_code == 400


async def test_project_id_is_taken_once(admin: httpx.AsyncClient) -> None:
    wanted = {"name": "x", "id": "p-" + secrets.token_hex(4)}
    assert (await admin.post("/v1/admin/projects", json=wanted)).status_code == 201
    answer = await admin.post("/v1/admin/projects", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (409, "project_exists")
    listed = (await admin.get("/v1/admin/projects")).json()["data"]
    assert [found["id"] for found in listed].count(wanted["id"]) == 1
