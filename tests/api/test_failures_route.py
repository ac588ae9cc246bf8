"""Failed tasks by code and source: the counts are those of the list."""

from collections import Counter
from typing import Any

from streamproc.contract import tables
from tests.api.rows import insert, task_row
from tests.api.server import NewKey, ProjectClient
from tests.api.test_list_query import named, page, seed


async def test_groups_count_the_tasks_that_the_list_finds(
    project: ProjectClient, clickhouse: Any, new_key: NewKey
) -> None:
    kinds = [("gone", "a.mp4")] * 5 + [("gone", "b.mp4")] * 3 + [("bad", "a.mp4")] * 4
    changes = [named(name, status="failed", error_code=code) for code, name in kinds]
    changes += [named("a.mp4", status="succeeded"), {"source": "old", "status": "failed"}]
    ids = seed(clickhouse, project.project, changes)
    foreign, _ = await new_key()
    seed(clickhouse, foreign, [named("a.mp4", status="failed", error_code="gone")])
    # an older version of a row, which is succeeded by now
    again = task_row(project.project, ids[0], **named("a.mp4"), rev=2)
    insert(clickhouse, tables.TASKS, [again])
    answer = await project.get("/v1/system/failures")
    assert answer.status_code == 200, answer.text
    groups = answer.json()["data"]
    expected = Counter(kinds) - Counter([("gone", "a.mp4")])
    expected["", "old"] = 1
    assert {(one["code"], one["source"]): one["tasks"] for one in groups} == expected
    assert [one["tasks"] for one in groups] == sorted(expected.values(), reverse=True)
    for one in groups:
        if one["code"]:
            q = f"status:failed error:{one['code']} source:{one['source']}"
            listed = await page(project, q=q)
            assert len(listed["data"]) == one["tasks"]
            assert listed["data"][0]["id"] == one["last_task"]
    later = listed["data"][0]["created_at"]
    narrowed = (await project.get("/v1/system/failures", params={"from": later})).json()["data"]
    assert 0 < sum(one["tasks"] for one in narrowed) < sum(expected.values())
    bad = await project.get("/v1/system/failures", params={"from": "then"})
    assert (bad.status_code, "from" in bad.text) == (422, True)
