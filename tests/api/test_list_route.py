"""The list: filters, cursors that nothing moves, and the tasks that the index does not have yet."""

import asyncio
from typing import Any

import httpx
import pytest

from api.ids import new_task_id
from api.tasks.submission import now_ms
from streamproc.contract import tables
from streamproc.contract.timestamps import rfc3339
from tests.api.rows import insert, task_row, track_row
from tests.api.server import ProjectClient
from tests.api.test_tasks_route import submit


async def page(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"/v1/video/tasks?{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def walk(client: httpx.AsyncClient, query: str) -> list[str]:
    """Return the ids of all pages, in order."""
    ids: list[str] = []
    cursor = ""
    while True:
        found = await page(client, query + cursor)
        ids += [task["id"] for task in found["data"]]
        if found["next_cursor"] is None:
            return ids
        cursor = f"&cursor={found['next_cursor']}"


def seed(clickhouse: Any, project: str, n: int, **changes: Any) -> list[str]:
    """Insert tasks a second apart, some at the same moment; return their ids, newest first."""
    base_ms = now_ms() - 1_000_000
    rows = [
        task_row(project, new_task_id(created_ms), created_ms=created_ms, **changes)
        for created_ms in (base_ms + i // 2 * 1000 for i in range(n))
    ]
    insert(clickhouse, tables.TASKS, rows)
    rows.sort(key=lambda row: (row.created_ms, row.task_id), reverse=True)
    return [row.task_id for row in rows]


@pytest.mark.parametrize("limit", [1, 3, 7, 50])
async def test_pages_hold_every_task_once_newest_first(
    project: ProjectClient, clickhouse: Any, limit: int
) -> None:
    ids = seed(clickhouse, project.project, 15)
    assert await walk(project, f"limit={limit}") == ids


async def test_inserts_between_pages_move_nothing(project: ProjectClient, clickhouse: Any) -> None:
    ids = seed(clickhouse, project.project, 12)
    seen: list[str] = []
    found = await page(project, "limit=4")
    while True:
        seen += [task["id"] for task in found["data"]]
        new = now_ms()
        insert(
            clickhouse,
            tables.TASKS,
            [task_row(project.project, new_task_id(new), created_ms=new)],
        )
        await submit(project)
        if found["next_cursor"] is None:
            break
        found = await page(project, f"limit=4&cursor={found['next_cursor']}")
    assert seen == ids


async def test_fresh_task_is_listed_at_once_and_only_once(
    project: ProjectClient, clickhouse: Any
) -> None:
    task = await submit(project)
    found = (await page(project))["data"]
    assert [(entry["id"], entry["status"]) for entry in found] == [(task, "pending")]
    one = (await project.get(f"/v1/video/tasks/{task}")).json()
    assert found[0] == {**one, "tracks": 0}
    assert (one["source"], one["steps"]) == (
        "https://example.com/clip.mp4",
        ["detect", "feature"],
    )
    created_ms = tables.created_ms_of(task)
    insert(
        clickhouse,
        tables.TASKS,
        [task_row(project.project, task, created_ms=created_ms, status="running")],
    )
    found = (await page(project))["data"]
    assert [(entry["id"], entry["status"]) for entry in found] == [(task, "running")]


async def test_fresh_tasks_keep_their_place_between_pages(
    project: ProjectClient, clickhouse: Any
) -> None:
    ids = seed(clickhouse, project.project, 3)
    fresh = [await submit(project) for _ in range(3)]
    assert await walk(project, "limit=2") == [*sorted(fresh, reverse=True), *ids]


async def test_cancel_shows_in_the_list(project: ProjectClient, clickhouse: Any) -> None:
    ids = seed(clickhouse, project.project, 2, status="running")
    task = await submit(project)
    await project.post(f"/v1/video/tasks/{task}/cancel")
    assert [t["id"] for t in (await page(project, "status=cancelling"))["data"]] == [task]
    assert [t["id"] for t in (await page(project, "status=pending"))["data"]] == []
    assert [t["id"] for t in (await page(project, "status=running"))["data"]] == ids


async def test_status_filter_repeats(project: ProjectClient, clickhouse: Any) -> None:
    by_status = {
        status: seed(clickhouse, project.project, 2, status=status)
        for status in ("pending", "running", "succeeded", "failed", "cancelled")
    }
    found = await page(project, "status=failed&status=cancelled")
    assert {task["id"] for task in found["data"]} == {*by_status["failed"], *by_status["cancelled"]}
    assert {task["status"] for task in found["data"]} == {"failed", "cancelled"}


async def test_times_are_a_half_open_range(project: ProjectClient, clickhouse: Any) -> None:
    newest_first = seed(clickhouse, project.project, 10)
    times = [tables.created_ms_of(task) for task in newest_first]
    wanted = [task for task in newest_first if times[6] <= tables.created_ms_of(task) < times[0]]
    assert await walk(project, f"from={times[6]}&to={times[0]}&limit=2") == wanted
    assert await walk(project, f"from={rfc3339(times[6])}&to={rfc3339(times[0])}") == wanted


async def test_listed_task_has_every_field_of_the_index(
    project: ProjectClient, clickhouse: Any
) -> None:
    task = new_task_id(now_ms())
    row = task_row(
        project.project,
        task,
        created_ms=1_769_860_800_250,
        status="failed",
        started_ms=1_769_860_801_000,
        finished_ms=1_769_860_802_000,
        model="hint",
        provider="local",
        processed_frames=7,
        total_frames=70,
        total_frames_is_estimate=True,
        fps=12.5,
        error_code="bad_source",
        error_message="It is no video.",
        steps=("detect", "ocr"),
        source_url="https://***@a.example/gate.mp4?token=***",
        source_name="gate.mp4",
        expected_frames=14,
    )
    tracks = [track_row(project.project, task, n) for n in (1, 2, 5)]
    insert(clickhouse, tables.TRACKS, tracks)
    insert(clickhouse, tables.TASKS, [row])
    assert (await page(project))["data"] == [
        {
            "id": task,
            "object": "video.task",
            "status": "failed",
            "created_at": "2026-01-31T12:00:00.250Z",
            "started_at": "2026-01-31T12:00:01.000Z",
            "finished_at": "2026-01-31T12:00:02.000Z",
            "model": "hint",
            "provider": "local",
            "attempts": [],
            "progress": {
                "processed_frames": 7,
                "total_frames": 70,
                "fps": 12.5,
                "total_frames_is_estimate": True,
                "expected_frames": 14,
            },
            "error": {"code": "bad_source", "message": "It is no video."},
            "stream_url": f"/v1/video/tasks/{task}/stream",
            "results_url": f"/v1/video/tasks/{task}/results",
            "source": "https://***@a.example/gate.mp4?token=***",
            "steps": ["detect", "ocr"],
            "tracks": 3,
        }
    ]


async def test_projects_see_their_own_tasks(project: ProjectClient, clickhouse: Any) -> None:
    seed(clickhouse, "somebody_else", 3)
    assert await page(project) == {"data": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("limit=0", 422, "limit"),
        ("limit=201", 422, "limit"),
        ("limit=many", 422, "limit"),
        ("status=done", 422, "status[0]"),
        ("from=yesterday", 422, "from"),
        ("to=2026-01-01", 422, "to"),
        ("q=state:failed", 422, "q"),
        ("sort=age", 422, "sort"),
        ("include=request", 422, "include"),
        ("source=", 422, "source[0]"),
        ("class=a&class=b%00", 422, "class[1]"),
        (f"source={'x' * 129}", 422, "source[0]"),
        ("&".join(["source=x"] * 17), 422, "source"),
        ("&".join(["task=x"] * 201), 422, "task"),
        ("cursor=AAAA", 400, None),
        ("cursor=", 400, None),
    ],
)
async def test_bad_filters_are_named(
    project: httpx.AsyncClient, query: str, status: int, field: str | None
) -> None:
    answer = await project.get(f"/v1/video/tasks?{query}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if field is None:
        assert answer.json()["code"] == "bad_cursor"
    else:
        assert answer.json()["errors"][0]["field"] == field


async def test_many_lists_at_once_do_not_disturb_each_other(
    project: ProjectClient, clickhouse: Any
) -> None:
    ids = seed(clickhouse, project.project, 20)
    walks = await asyncio.gather(*(walk(project, f"limit={n}") for n in range(3, 15)))
    assert all(found == ids for found in walks)
