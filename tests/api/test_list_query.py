"""Queries, orders and counts of task lists, over HTTP and real ClickHouse."""

import random
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest

from api.contract.query.tasks import SORT_KEYS
from api.ids import new_task_id
from api.tasks.submission import now_ms
from streamproc.contract import tables, topics
from streamproc.contract.records import CancelRequested
from tests.api.rows import insert, task_row, track_row
from tests.api.server import LiveApi, NewKey, ProjectClient
from tests.api.test_tasks_route import submit

URL = "https://cam.example/a/{name}?token=***"


async def page(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get("/v1/video/tasks", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    return [task["id"] for task in (await page(client, **query))["data"]]


async def walk(client: httpx.AsyncClient, **query: Any) -> list[str]:
    """Return the ids of all pages, in order."""
    found = await page(client, **query)
    walked = [task["id"] for task in found["data"]]
    while found["next_cursor"] is not None:
        found = await page(client, **query, cursor=found["next_cursor"])
        walked += [task["id"] for task in found["data"]]
    return walked


def seed(clickhouse: Any, project: str, changes: Sequence[dict[str, Any]]) -> list[str]:
    """Insert a task for each of the changes, a second apart, oldest first; return their ids."""
    base_ms = now_ms() - 1_000_000
    rows = [
        task_row(project, new_task_id(base_ms + i * 1000), **one) for i, one in enumerate(changes)
    ]
    insert(clickhouse, tables.TASKS, rows)
    return [row.task_id for row in rows]


def named(name: str, **changes: Any) -> dict[str, Any]:
    return {"source_url": URL.format(name=name), "source_name": name, "source": "cam.example"} | (
        changes
    )


async def test_a_query_narrows_the_list(project: ProjectClient, clickhouse: Any) -> None:
    gate, yard, old = seed(
        clickhouse,
        project.project,
        [
            named("gate-1.mp4", status="failed", error_code="source_gone", steps=("detect", "ocr")),
            named("yard.mp4", status="failed", steps=("detect",)),
            {"source": "old.example", "status": "succeeded"},
        ],
    )
    insert(
        clickhouse, tables.TRACKS, [track_row(project.project, yard, 1, class_name="automobile")]
    )
    for query, expected in {
        "status:failed": [yard, gate],
        "status:failed -ocr": [yard],
        "source:gate*": [gate],
        "source:cam.example": [yard, gate],
        "-source:cam": [old],
        "gone": [gate],
        "class:automobile": [yard],
        "class:car": [yard],
        "-class:automobile": [old, gate],
        f"id:{gate[-6:].lower()}": [gate],
        "age<1s": [],
        "age<1h": [old, yard, gate],
        "progress>=100%": [old],
        "token": [yard, gate],
        "secret": [],
    }.items():
        assert await ids(project, q=query) == expected, query
    assert await ids(project, source="gate*") == [gate]
    assert await ids(project, source=["gate*", "old*"]) == [old, gate]
    assert await ids(project, **{"class": "car"}) == [yard]
    assert await ids(project, task=[gate, old, "vt_other"]) == [old, gate]
    assert await ids(project, q="status:failed", status="succeeded") == []


async def test_values_are_never_part_of_the_statement(
    project: ProjectClient, clickhouse: Any
) -> None:
    (task,) = seed(clickhouse, project.project, [named("it's {q0:String} 100%_\\.mp4")])
    for text in ("it's", "{q0:String}", "100%_\\", "') OR 1=1 --", "\\", "%", "_"):
        found = await ids(project, q='"' + text.replace("\\", "\\\\") + '"')
        expected = [task] if text in "it's {q0:String} 100%_\\.mp4" else []
        assert found == expected, text
        value = '"' + text.replace("\\", "\\\\") + '"'
        assert await ids(project, q=f"source:{value}") == expected, text
        assert await ids(project, source=f"it*{text}*.mp4") == (
            expected if text != "it's" else []
        ), text
    assert await ids(project, q="source:it_s*") == []
    assert await ids(project, q="source:%") == [task]
    assert await ids(project, q="source:it%") == []


@pytest.mark.parametrize("key", SORT_KEYS)
@pytest.mark.parametrize("direction", ["", "-"])
async def test_pages_of_every_order_hold_every_task_once(
    project: ProjectClient, clickhouse: Any, key: str, direction: str
) -> None:
    rng = random.Random(7)
    start = now_ms() - 2_000_000
    tasks = seed(
        clickhouse,
        project.project,
        [
            named(
                f"{rng.choice('aBc')}.mp4",
                status=rng.choice(["pending", "running", "succeeded", "failed"]),
                processed_frames=rng.randrange(4),
                expected_frames=rng.choice([None, 0, 7]),
                started_ms=rng.choice([None, start]),
                finished_ms=rng.choice([None, start + 3000]),
            )
            for _ in range(23)
        ],
    )
    fresh = [await submit(project) for _ in range(2)]
    whole = await ids(project, sort=direction + key)
    assert sorted(whole) == sorted([*tasks, *fresh])
    assert await walk(project, sort=direction + key, limit=4) == whole
    opposite = key if direction else f"-{key}"
    if key != "fps":  # the speed of running tasks is that of the moment
        assert await ids(project, sort=opposite) == whole[::-1]


async def test_tasks_that_stay_are_listed_once_while_others_change(
    project: ProjectClient, clickhouse: Any
) -> None:
    changes = [named(f"{n}.mp4", processed_frames=n, status="running", rev=1) for n in range(20)]
    tasks = seed(clickhouse, project.project, changes)
    moving = set(tasks[::4])
    seen: list[str] = []
    found = await page(project, sort="-frames", limit=3)
    for turn in range(2, 30):
        seen += [task["id"] for task in found["data"]]
        if found["next_cursor"] is None:
            break
        insert(
            clickhouse,
            tables.TASKS,
            [
                task_row(
                    project.project,
                    task,
                    **named("x", processed_frames=turn * 5 % 20, status="running", rev=turn),
                )
                for task in moving
            ],
        )
        new = new_task_id(now_ms())
        insert(clickhouse, tables.TASKS, [task_row(project.project, new, processed_frames=turn)])
        found = await page(project, sort="-frames", limit=3, cursor=found["next_cursor"])
    steady = [task for task in tasks if task not in moving]
    assert [task for task in seen if task in steady] == steady[::-1]


async def test_speeds_of_all_pages_are_of_the_first_pages_moment(
    project: ProjectClient, clickhouse: Any
) -> None:
    start = now_ms() - 5000
    tasks = seed(
        clickhouse,
        project.project,
        [
            named("x", status="running", started_ms=start + n, processed_frames=5000)
            for n in range(0, 40, 2)
        ],
    )
    assert await walk(project, sort="fps", limit=2) == tasks


async def test_fresh_tasks_obey_query_and_order(project: ProjectClient, clickhouse: Any) -> None:
    (old,) = seed(clickhouse, project.project, [named("zebra.mp4", status="failed")])
    task = await submit(project)
    assert await ids(project, q="source:clip.mp4 detect age<1h") == [task]
    assert await ids(project, q="-status:pending") == [old]
    assert await ids(project, q="class:car") == []
    assert await ids(project, sort="source") == [task, old]
    assert await ids(project, sort="-source") == [old, task]


async def test_a_cancel_request_is_a_status_in_query_order_and_counts(
    project: ProjectClient, clickhouse: Any, live: LiveApi
) -> None:
    changes = [{"status": status} for status in ("running", "running", "succeeded")]
    cancelled, running, ended = seed(clickhouse, project.project, changes)
    for task in (cancelled, ended):
        request = msgspec.msgpack.encode(CancelRequested(task, project.project, now_ms()))
        live.services.directory.apply(topics.CONTROL, task, request)
    fresh = await submit(project)
    await project.post(f"/v1/video/tasks/{fresh}/cancel")
    assert await ids(project, q="status:cancelling") == [fresh, cancelled]
    assert await ids(project, sort="-status") == [running, fresh, cancelled, ended]
    found = await page(project, q="-status:cancelling", include="counts")
    assert [task["status"] for task in found["data"]] == ["succeeded", "running"]
    assert found["counts"] == {"matching": 2, "all": 4}


async def test_counts_are_of_the_filter_and_of_the_project(
    project: ProjectClient, clickhouse: Any
) -> None:
    seed(clickhouse, project.project, [{"status": s} for s in ("failed", "failed", "succeeded")])
    await submit(project)
    found = await page(project, q="status:failed", include="counts", limit=1)
    assert found["counts"] == {"matching": 2, "all": 4}
    assert "counts" not in await page(project)
    assert (await page(project, include="counts", limit=1))["counts"] == {"matching": 4, "all": 4}


async def test_no_filter_reaches_another_project(
    project: ProjectClient, new_key: NewKey, clickhouse: Any
) -> None:
    (own,) = seed(clickhouse, project.project, [named("mine.mp4")])
    other, _ = await new_key()
    (foreign,) = seed(clickhouse, other, [named("gate.mp4", status="failed")])
    tracks = [track_row(other, foreign, 1, class_name="bus")]
    # A row that claims the other project's task has the same class in this one.
    tracks += [track_row(project.project, foreign, 1, class_name="train")]
    insert(clickhouse, tables.TRACKS, tracks)
    for query in ("status:failed", "gate", "source:gate*", "class:bus", "class:train", "-ocr"):
        assert foreign not in await ids(project, q=query), query
    for params in ({"source": "gate*"}, {"class": "bus"}, {"task": foreign}, {"sort": "source"}):
        assert foreign not in await ids(project, **params), params
    found = await page(project, include="counts", q="-status:failed")
    assert found["counts"] == {"matching": 1, "all": 1}
    assert [task["id"] for task in found["data"]] == [own]


async def test_a_cursor_belongs_to_its_order(project: ProjectClient, clickhouse: Any) -> None:
    seed(clickhouse, project.project, [{}, {}, {}])
    for sort in ("-created", "created", "source", "-fps"):
        cursor = (await page(project, sort=sort, limit=1))["next_cursor"]
        for other in {"-created", "created", "source", "-fps"} - {sort}:
            answer = await project.get("/v1/video/tasks", params={"sort": other, "cursor": cursor})
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), other


async def test_a_faulty_query_is_named_with_term_and_position(project: ProjectClient) -> None:
    answer = await project.get("/v1/video/tasks", params={"q": "ok status:done"})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "q"
    assert error["message"].startswith("at character 11 ('done'): no such status; there are:")
