"""Pages of other origins: let in by name, and not otherwise."""

import httpx

from tests.api.server import Fresh, LiveApi, ProjectClient
from tests.api.streams import begin, stream_path
from tests.api.test_tasks_route import submit
from tests.api.worker import StandInWorker

ORIGIN = "https://shop.example.com"


async def test_a_named_origin_may_read_and_others_may_not(
    project: ProjectClient, worker: StandInWorker, fresh: Fresh
) -> None:
    api = await fresh(cors_origins=(ORIGIN,))
    task = await submit(project)
    begin(worker, project, task, 1)
    log = worker.end(task)
    async with httpx.AsyncClient(base_url=api.url, headers=project.headers, timeout=30) as client:
        answer = await client.get(stream_path(task), headers={"Origin": ORIGIN})
        assert answer.content == log
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "stream-next-offset" in answer.headers["access-control-expose-headers"].lower()
        at_end = await client.get(
            stream_path(task, f"offset={len(log)}"), headers={"Origin": ORIGIN}
        )
        assert at_end.status_code == 204
        assert at_end.headers["access-control-allow-origin"] == ORIGIN
        stranger = await client.get(stream_path(task), headers={"Origin": "https://other.example"})
        assert stranger.headers.get("access-control-allow-origin") != "https://other.example"
        exposed = {
            name.strip()
            for name in answer.headers["access-control-expose-headers"].lower().split(",")
        }
        sent = {name for name in answer.headers if name.startswith(("stream-", "ratelimit-"))}
        assert sent | {"retry-after", "ratelimit-limit", "stream-next-offset"} <= exposed
        asking = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        asking["Access-Control-Request-Headers"] = "authorization, idempotency-key"
        preflight = await client.options("/v1/video/process", headers=asking)
        assert preflight.status_code in {200, 204}
        assert "authorization" in preflight.headers["access-control-allow-headers"].lower()


async def test_a_preflight_of_a_named_origin_allows_what_it_asks_for(fresh: Fresh) -> None:
    """Libraries send headers of their own without being asked for them."""
    api = await fresh(cors_origins=(ORIGIN,))
    wanted = "authorization, cache-control, last-event-id, x-stainless-lang, x-any-other"
    asking = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": wanted,
    }
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        answer = await client.options("/v1/video/tasks/vt_x/stream", headers=asking)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
        assert set(wanted.split(", ")) <= set(allowed)
        assert "access-control-allow-credentials" not in answer.headers
        asking["Origin"] = "https://other.example"
        refused = await client.options("/v1/video/tasks/vt_x/stream", headers=asking)
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers
        assert "access-control-allow-headers" not in refused.headers


async def test_no_origin_is_let_in_unless_it_is_named(
    project: ProjectClient, live: LiveApi
) -> None:
    answer = await project.get("/v1/models", headers={"Origin": ORIGIN})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
