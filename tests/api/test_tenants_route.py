"""Limits over HTTP, set by the operator and felt by a project; usage, summed by day."""

import asyncio
from typing import Any

import httpx
import pytest

from api.ids import new_task_id
from streamproc.contract import tables
from tests.api.rows import insert, task_row
from tests.api.server import LiveApi, NewKey, ProjectClient, until
from tests.api.test_tasks_route import BODY, submit
from tests.api.worker import StandInWorker

DAY_MS = 86_400_000
FIRST_MS = 1_700_006_400_000  # 2023-11-15


async def limit(admin: httpx.AsyncClient, project: ProjectClient, **limits: Any) -> httpx.Response:
    path = f"/v1/admin/projects/{project.project}"
    return await admin.patch(path, json={"limits": limits})


async def test_a_project_above_its_rate_is_refused_with_what_it_needs_to_know(
    admin: httpx.AsyncClient, project: ProjectClient
) -> None:
    changed = await limit(admin, project, submissions_per_minute=2)
    assert changed.status_code == 200
    assert changed.json()["limits"]["submissions_per_minute"] == 2
    first = await project.post("/v1/video/process", json=BODY)
    assert (first.status_code, first.headers["ratelimit-remaining"]) == (202, "1")
    await submit(project)
    refused = await project.post("/v1/video/process", json=BODY)
    assert refused.status_code == 429
    assert refused.json()["code"] == "limit_reached"
    assert refused.json()["limit"] == "submissions_per_minute"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit-limit"] == "2"
    assert (await limit(admin, project, submissions_per_minute=None)).status_code == 200
    await submit(project)


async def test_changes_at_the_same_time_do_not_undo_each_other(
    admin: httpx.AsyncClient, project: ProjectClient
) -> None:
    names = ("submissions_per_minute", "open_streams", "open_tasks", "upload_bytes_per_day")
    await asyncio.gather(*(limit(admin, project, **{name: 7}) for name in names))
    limits = (await limit(admin, project)).json()["limits"]
    assert {name: limits[name] for name in names} == dict.fromkeys(names, 7)


async def test_a_stream_that_ends_makes_room_for_another(
    admin: httpx.AsyncClient, project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    worker.claim(project.project, task)
    await limit(admin, project, open_streams=1)
    path = f"/v1/video/tasks/{task}/stream"
    async with project.stream("GET", path) as held:
        assert held.status_code == 200
        refused = await project.get(path)
        assert (refused.status_code, refused.json()["limit"]) == (429, "open_streams")

    async def let_in() -> bool:
        return (await project.get(f"{path}?live=false")).status_code == 200

    await until(let_in)
    await until(let_in)
    assert (await project.get("/v1/video/tasks/vt_unknown/stream")).status_code == 404
    await until(let_in)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"limits": {"open_streams": -1}}, "limits.open_streams"),
        ({"limits": {"stored_bytes": 2**53}}, "limits.stored_bytes"),
        ({"limits": {"upload_bytes_per_day": 0.5}}, "limits.upload_bytes_per_day"),
        ({"limits": {"pages": 1}}, "pages"),
        ({"name": "x"}, "name"),
    ],
)
async def test_a_limit_that_cannot_be_is_refused_by_name(
    admin: httpx.AsyncClient, project: ProjectClient, body: Any, field: str
) -> None:
    path = f"/v1/admin/projects/{project.project}"
    answer = await admin.patch(path, json=body)
    assert answer.status_code == 422
    assert field in answer.text


async def test_limits_and_usage_are_the_operators(
    admin: httpx.AsyncClient, project: ProjectClient
) -> None:
    assert (await limit(project, project, open_streams=0)).status_code == 403
    assert (await project.get("/v1/admin/usage")).status_code == 403
    unknown = await admin.patch("/v1/admin/projects/none", json={"limits": {}})
    assert unknown.status_code == 404


async def test_usage_is_summed_by_project_and_day_and_comes_in_pages(
    admin: httpx.AsyncClient, new_key: NewKey, clickhouse: Any, live: LiveApi
) -> None:
    project, _ = await new_key()
    other, _ = await new_key()
    rows = []
    for owner, day, n_tasks in ((project, 0, 2), (project, 1, 1), (other, 1, 3)):
        for number in range(n_tasks):
            created_ms = FIRST_MS + day * DAY_MS + number
            row = task_row(
                owner,
                new_task_id(created_ms),
                created_ms=created_ms,
                processed_frames=10,
                decoded_frames=20,
                processing_time_ms=1500,
                log_length=1000,
            )
            rows += [row, row]
    insert(clickhouse, tables.TASKS, rows)
    days = "from=2023-11-15&to=2023-11-17"
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await admin.get(f"/v1/admin/usage?{days}&limit=1{cursor}")).json()
        found += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    by_day = {(one["day"], one["project"]): one for one in found}
    assert len(found) == 3
    assert [one["day"] for one in found] == ["2023-11-16", "2023-11-16", "2023-11-15"]
    assert by_day["2023-11-15", project] == {
        "day": "2023-11-15",
        "project": project,
        "tasks": 2,
        "processed_frames": 20,
        "decoded_frames": 40,
        "processing_s": 3.0,
        "log_bytes": 2000,
    }
    own = (await admin.get(f"/v1/admin/usage?{days}&project={other}")).json()["data"]
    assert [one["tasks"] for one in own] == [3]
    for query in ("from=yesterday", "to=2023-13-01", "from=9999-01-01"):
        assert (await admin.get(f"/v1/admin/usage?{query}")).status_code == 422
