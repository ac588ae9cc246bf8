"""Keys with scopes, terms, successors and a last use; what they opened ends with them."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.kafka.key_use import EVERY_MS, KeyUses
from api.log.stream_token import sign
from tests.api.server import LiveApi, NewKey, ProjectClient, until
from tests.api.test_tasks_route import BODY
from tests.api.worker import StandInWorker

NOW = "1970-01-01T00:00:01Z"


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def made(admin: httpx.AsyncClient, project: ProjectClient, **fields: Any) -> dict[str, Any]:
    answer = await admin.post("/v1/admin/keys", json={"project": project.project, **fields})
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


CALLS: tuple[tuple[str, str, str, dict[str, Any] | None], ...] = (
    ("read", "GET", "/v1/video/tasks", None),
    ("read", "GET", "/v1/video/tracks", None),
    ("read", "GET", "/v1/video/tasks/{task}", None),
    ("read", "GET", "/v1/video/tasks/{task}/stream?live=false", None),
    ("read", "HEAD", "/v1/video/tasks/{task}/stream", None),
    ("read", "POST", "/v1/video/tasks/{task}/token", None),
    ("read", "GET", "/v1/video/tasks/{task}/results", None),
    ("read", "GET", "/v1/video/tasks/{task}/frames/0.jpg", None),
    ("submit", "POST", "/v1/video/process", BODY),
    ("submit", "POST", "/v1/video/tasks/{task}/cancel", None),
    ("admin:project", "GET", "/v1/admin/keys", None),
    ("admin:project", "POST", "/v1/admin/keys", {"project": "{project}"}),
    ("admin:project", "POST", "/v1/admin/keys/key_1/rotate", {}),
    ("admin:project", "DELETE", "/v1/admin/keys/key_1", None),
)


@pytest.mark.parametrize("scope", ["read", "submit", "admin:project"])
async def test_a_key_does_what_its_scope_says_and_is_told_what_it_lacks(
    live: LiveApi, admin: httpx.AsyncClient, project: ProjectClient, scope: str
) -> None:
    task = (await project.post("/v1/video/process", json=BODY)).json()["id"]
    key = await made(admin, project, scopes=[scope])
    assert key["scopes"] == [scope]
    async with live.client(key["key"]) as client:
        for needed, method, path, body in CALLS:
            if body and "project" in body:
                body = {"project": project.project}  # noqa: PLW2901 - filled in
            answer = await client.request(method, path.format(task=task), json=body)
            refused = answer.status_code == 403
            assert refused == (needed != scope), (scope, method, path, answer.text)
            if refused and method != "HEAD":
                problem = answer.json()
                assert (problem["code"], problem["missing_scope"]) == ("missing_scope", needed)
                assert needed in problem["detail"]
        for path in ("/v1/models", "/v1/system"):
            assert (await client.get(path)).status_code == 200


async def test_a_key_without_named_scopes_reads_and_submits(
    admin: httpx.AsyncClient, project: ProjectClient
) -> None:
    assert (await made(admin, project))["scopes"] == ["read", "submit"]
    assert (await made(admin, project, scopes=["submit", "read", "read"]))["scopes"] == [
        "read",
        "submit",
    ]


async def test_an_administrator_of_a_project_reaches_no_other(
    live: LiveApi, admin: httpx.AsyncClient, project: ProjectClient, new_key: NewKey
) -> None:
    other_project, _ = await new_key()
    (other_key,) = (await admin.get(f"/v1/admin/keys?project={other_project}")).json()["data"]
    key = await made(admin, project, scopes=["admin:project"])
    async with live.client(key["key"]) as client:
        assert {k["project"] for k in (await client.get("/v1/admin/keys")).json()["data"]} == {
            project.project
        }
        for method, path, body, status in (
            ("GET", f"/v1/admin/keys?project={other_project}", None, 403),
            ("POST", "/v1/admin/keys", {"project": other_project}, 403),
            ("DELETE", f"/v1/admin/keys/{other_key['id']}", None, 404),
            ("POST", f"/v1/admin/keys/{other_key['id']}/rotate", {}, 404),
            ("GET", "/v1/admin/projects", None, 403),
        ):
            assert (await client.request(method, path, json=body)).status_code == status, path


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("scopes", {"scopes": []}),
        ("scopes[1]", {"scopes": ["read", "everything"]}),
        ("expires_at", {"expires_at": NOW}),
        ("expires_at", {"expires_at": "tomorrow"}),
    ],
)
async def test_what_a_key_cannot_be_is_named(
    admin: httpx.AsyncClient, project: ProjectClient, field: str, body: dict[str, Any]
) -> None:
    answer = await admin.post("/v1/admin/keys", json={"project": project.project, **body})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_a_rotated_key_works_on_for_the_overlap_and_its_successor_beside_it(
    live: LiveApi, admin: httpx.AsyncClient, project: ProjectClient, other_live: LiveApi
) -> None:
    old = await made(admin, project, name="gate", scopes=["read"], expires_at=soon(3600))
    at = f"/v1/admin/keys/{old['id']}/rotate"
    new = (await admin.post(at, json={"overlap_s": 1})).json()
    assert (new["name"], new["scopes"], new["replaces"]) == ("gate", ["read"], old["id"])
    assert new["key"] != old["key"]
    assert new["expires_at"] > old["expires_at"]
    listed = (await admin.get(f"/v1/admin/keys?project={project.project}")).json()["data"]
    (shown,) = [key for key in listed if key["id"] == old["id"]]
    assert shown["replaced_by"] == new["id"]
    assert shown["expires_at"] < old["expires_at"]
    async with live.client(old["key"]) as before, other_live.client(old["key"]) as elsewhere:

        async def ended() -> bool:
            answers = [await client.get("/v1/video/tasks") for client in (before, elsewhere)]
            return {answer.status_code for answer in answers} == {401}

        await until(ended, within_s=3)
    async with live.client(new["key"]) as after:
        assert (await after.get("/v1/video/tasks")).status_code == 200
    again = await admin.post(at, json={})
    assert (again.status_code, again.json()["code"]) == (409, "key_dead")


async def test_the_last_use_is_told_once_and_on_every_server(
    live: LiveApi, other_live: LiveApi, admin: httpx.AsyncClient, project: ProjectClient
) -> None:
    key = await made(admin, project)
    assert key["last_used_at"] is None
    async with live.client(key["key"]) as client:
        for _ in range(3):
            await client.get("/v1/models")
    async with other_live.admin() as elsewhere:

        async def told() -> Any:
            listed = await elsewhere.get(f"/v1/admin/keys?project={project.project}")
            known = {k["id"]: k for k in listed.json()["data"]}  # the key may come later
            return known.get(key["id"], {}).get("last_used_at")

        assert abs(datetime.fromisoformat(await until(told)).timestamp() - time.time()) < 30


def test_a_use_is_written_once_in_ten_minutes() -> None:
    from api.kafka.global_table import GlobalTable

    class Posted:
        def __init__(self) -> None:
            self.keys: list[str] = []

        def post(self, topic: str, key: str, value: bytes) -> None:
            self.keys.append(key)

    posted, clock = Posted(), [10 * EVERY_MS]
    uses = KeyUses(GlobalTable(), posted, lambda: clock[0])  # type: ignore[arg-type] # it posts, no more
    for _ in range(100):
        uses.note("ab")
        clock[0] += EVERY_MS // 50
    assert posted.keys == ["use/ab"] * 2


async def opened(client: httpx.AsyncClient, path: str, **headers: str) -> tuple[int, bool]:
    """Read a stream until it ends; return its status, and whether it ended as a whole."""
    async with client.stream("GET", path, headers=headers) as answer:
        try:
            async for _ in answer.aiter_raw():
                pass
        except httpx.RemoteProtocolError:
            return answer.status_code, False
        return answer.status_code, True


async def test_streams_and_tokens_die_with_their_key_on_every_server(
    live: LiveApi,
    other_live: LiveApi,
    admin: httpx.AsyncClient,
    project: ProjectClient,
    worker: StandInWorker,
) -> None:
    task = (await project.post("/v1/video/process", json=BODY)).json()["id"]
    worker.claim(project.project, task)
    worker.chunk(task)
    doomed, kept = await made(admin, project), await made(admin, project)
    path = f"/v1/video/tasks/{task}/stream"
    async with (
        live.client(doomed["key"]) as one,
        other_live.client(doomed["key"]) as two,
        live.client(kept["key"]) as spared,
        live.client(None) as nobody,
        other_live.client(None) as nobody_else,
    ):
        token = (await one.post(f"/v1/video/tasks/{task}/token")).json()["stream_url"]

        async def heard_of() -> bool:
            return (await two.get("/v1/models")).status_code == 200

        await until(heard_of)
        ending = [
            asyncio.create_task(opened(client, where, **headers))
            for client, where, headers in (
                (one, path, {}),
                (one, f"{path}?heartbeat=1", {}),
                (two, path, {}),
                (nobody, token, {}),
                (nobody_else, token, {}),
            )
        ]
        staying = asyncio.create_task(opened(spared, path))

        async def all_open() -> bool:
            n_open = sum(
                len(ends)
                for api in (live, other_live)
                for ends in api.services.key_expiry._ends.values()
            )
            return n_open == len(ending) + 1

        await until(all_open)
        revoked_s = time.monotonic()
        await admin.delete(f"/v1/admin/keys/{doomed['id']}")
        async with asyncio.timeout(10):
            assert await asyncio.gather(*ending) == [(200, False)] * len(ending)
        assert time.monotonic() - revoked_s < 3  # the machine of the tests may be busy
        for client, where in ((one, path), (two, path), (nobody, token), (nobody_else, token)):
            answer = await client.get(where, headers={"Last-Event-ID": "1"})
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert not staying.done()
        worker.end(task)
        assert await staying == (200, True)


async def test_a_held_long_poll_tells_a_dead_key_nothing(
    live: LiveApi, admin: httpx.AsyncClient, project: ProjectClient, worker: StandInWorker
) -> None:
    task = (await project.post("/v1/video/process", json=BODY)).json()["id"]
    worker.claim(project.project, task)
    key = await made(admin, project)
    async with live.client(key["key"]) as client:
        path = f"/v1/video/tasks/{task}/stream?live=long-poll"
        held = asyncio.create_task(client.get(path))
        await until(lambda: asyncio.sleep(0, result=task in live.services.log.notifier._waiting))
        await admin.delete(f"/v1/admin/keys/{key['id']}")
        worker.chunk(task)
        assert (await held).status_code == 401


async def test_a_token_needs_its_key_to_read_and_an_old_one_needs_none(
    live: LiveApi, admin: httpx.AsyncClient, project: ProjectClient
) -> None:
    from tests.api.log.test_stream_token import as_before

    task = (await project.post("/v1/video/process", json=BODY)).json()["id"]
    writer = await made(admin, project, scopes=["submit"])
    secret, expires_s = live.settings.token_secret or "", int(time.time()) + 60
    path = f"/v1/video/tasks/{task}/stream?live=false&token="
    async with live.client(None) as client:
        for token, status in (
            (sign(secret, project.project, task, expires_s, writer["id"]), 401),
            (sign(secret, project.project, task, expires_s, "key_" + "0" * 20), 401),
            (as_before(secret, project.project, task, expires_s), 200),
        ):
            assert (await client.get(path + token)).status_code == status
