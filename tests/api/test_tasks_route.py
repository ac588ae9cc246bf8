"""The life of a task over HTTP, on real Kafka, S3 and ClickHouse."""

import base64
from pathlib import Path
from typing import Any

import httpx

from api.ids import is_task_id
from streamproc.contract.records import Attempt
from streamproc.contract.timestamps import rfc3339
from tests.api.server import Fresh, LiveApi, NewKey, ProjectClient, until
from tests.api.worker import StandInWorker
from tests.streamproc.sinks.logs import target

BODY = {
    "input": [{"type": "video_url", "url": "https://example.com/clip.mp4"}],
    "steps": [{"model": "detect", "parameters": {"classes": ["person"]}}, {"model": "feature"}],
    "model": "qwen-vl-max",
}
LIST = "/v1/video/tasks"


async def submit(client: httpx.AsyncClient, body: Any = None, **headers: str) -> str:
    answer = await client.post("/v1/video/process", json=body or BODY, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def status(client: httpx.AsyncClient, task: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/video/tasks/{task}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_open_task_tells_its_failed_providers_on_a_server_that_never_saw_its_claim(
    project: ProjectClient, worker: StandInWorker, archive: None, live: LiveApi, fresh: Fresh
) -> None:
    failed = Attempt("gpu", "device_missing", "There is no GPU.")
    task = await submit(project)
    partition = (await live.services.requests.get(project.project, task)).partition
    claim = worker.claim(project.project, task, failed)
    worker.chunk(task, target())

    async def commit_passed() -> bool:
        return live.services.log.tail_cache.archive_position(partition) > claim

    await until(commit_passed, within_s=60)
    api = await fresh()
    async with api.client(project.headers["authorization"].split()[1]) as client:
        found = await status(client, task)
    assert found["status"] == "running"
    assert found["attempts"] == [
        {"provider": "gpu", "code": "device_missing", "message": "There is no GPU."}
    ]


async def test_a_server_with_a_nearly_full_disk_refuses_new_tasks_and_serves_the_old_ones(
    project: ProjectClient, fresh: Fresh, tmp_path: Path
) -> None:
    task = await submit(project)
    api = await fresh(disk=str(tmp_path), disk_reserve_bytes=1 << 62)
    async with api.client(project.headers["authorization"].split()[1]) as client:
        refused = await client.post("/v1/video/process", json=BODY)
        assert (refused.status_code, refused.json()["code"]) == (507, "disk_reserved")
        assert refused.json()["reserve_bytes"] == 1 << 62
        assert refused.json()["free_bytes"] > 0
        assert int(refused.headers["retry-after"]) > 0
        assert (await status(client, task))["status"] == "pending"
    assert [found["id"] for found in (await project.get(LIST)).json()["data"]] == [task]


async def test_accepted_task_is_pending_with_every_field(project: httpx.AsyncClient) -> None:
    answer = await project.post("/v1/video/process", json=BODY)
    assert answer.status_code == 202
    task = answer.json()["id"]
    assert is_task_id(task)
    assert answer.json() == {
        "id": task,
        "status": "pending",
        "stream_url": f"/v1/video/tasks/{task}/stream",
    }
    found = await status(project, task)
    created_at = found.pop("created_at")
    assert created_at.endswith("Z")
    assert len(created_at) == len(rfc3339(0))
    assert found == {
        "id": task,
        "object": "video.task",
        "status": "pending",
        "started_at": None,
        "finished_at": None,
        "model": "qwen-vl-max",
        "provider": None,
        "attempts": [],
        "progress": {"processed_frames": 0, "total_frames": None, "fps": None},
        "source": "https://example.com/clip.mp4",
        "steps": ["detect", "feature"],
        "error": None,
        "stream_url": f"/v1/video/tasks/{task}/stream",
        "results_url": f"/v1/video/tasks/{task}/results",
    }


async def test_status_follows_the_log(project: ProjectClient, worker: StandInWorker) -> None:
    task = await submit(project)
    worker.claim(project.project, task)

    async def running() -> bool:
        return bool((await status(project, task))["status"] == "running")

    await until(running)
    for _ in range(3):
        worker.chunk(task, target())

    async def progressed() -> bool:
        return bool((await status(project, task))["progress"]["processed_frames"] == 3)

    await until(progressed)
    worker.end(task)

    async def ended() -> Any:
        found = await status(project, task)
        return found if found["status"] == "succeeded" else None

    found = await until(ended)
    assert found["provider"] == "local"
    assert found["started_at"] is not None
    assert found["finished_at"] is not None
    progress = {"processed_frames": 3, "total_frames": 100, "fps": 10.0, "expected_frames": 10}
    assert found["progress"] == progress


async def test_failed_task_says_why(project: ProjectClient, worker: StandInWorker) -> None:
    task = await submit(project)
    worker.claim(project.project, task)
    worker.end(task, "error", ("source_not_found", "The source does not exist."))

    async def ended() -> Any:
        found = await status(project, task)
        return found if found["finished_at"] else None

    found = await until(ended)
    assert found["status"] == "failed"
    assert found["error"] == {"code": "source_not_found", "message": "The source does not exist."}
    answer = await project.post(f"/v1/video/tasks/{task}/cancel")
    assert answer.status_code == 409
    assert answer.json()["code"] == "task_failed"


async def test_cancel_is_idempotent_and_ends_cancelled(
    project: ProjectClient, worker: StandInWorker
) -> None:
    task = await submit(project)
    for _ in range(2):
        answer = await project.post(f"/v1/video/tasks/{task}/cancel")
        assert (answer.status_code, answer.json()) == (202, {"id": task, "status": "cancelling"})
    assert (await status(project, task))["status"] == "cancelling"
    worker.claim(project.project, task)
    worker.end(task, "cancelled")

    async def cancelled() -> bool:
        return bool((await status(project, task))["status"] == "cancelled")

    await until(cancelled)
    answer = await project.post(f"/v1/video/tasks/{task}/cancel")
    assert (answer.status_code, answer.json()) == (202, {"id": task, "status": "cancelled"})


async def test_cancel_reaches_the_other_server(
    project: ProjectClient, other: httpx.AsyncClient
) -> None:
    task = await submit(project)
    await project.post(f"/v1/video/tasks/{task}/cancel")

    async def seen() -> bool:
        return bool((await status(other, task))["status"] == "cancelling")

    await until(seen, within_s=10)


async def test_request_is_echoed_on_demand(project: httpx.AsyncClient) -> None:
    task = await submit(project)
    assert "request" not in await status(project, task)
    answer = await project.get(f"/v1/video/tasks/{task}?include=request")
    assert answer.json()["request"] == BODY
    answer = await project.get(f"/v1/video/tasks/{task}?include=everything")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "include"


async def test_base64_is_staged_and_the_echo_names_it(
    project: ProjectClient, live: LiveApi
) -> None:
    video = b"not really a video" * 1000
    data = base64.b64encode(video).decode()
    body = {**BODY, "input": [{"type": "video_base64", "data": data, "max_frames": 5}]}
    task = await submit(project, body)
    key = f"{project.project}/{task}/upload"
    echoed = (await project.get(f"/v1/video/tasks/{task}?include=request")).json()["request"]
    assert echoed["input"] == [{"type": "video_base64", "data": f"staged:{key}", "max_frames": 5}]
    stored = live.settings
    assert stored.s3.bucket
    client = live.services.objects._client
    assert client.get_object(Bucket=stored.s3.bucket, Key=key)["Body"].read() == video


async def test_an_upload_is_used_again_by_its_own_project_alone(
    project: ProjectClient, live: LiveApi, new_key: NewKey
) -> None:
    data = base64.b64encode(b"not really a video").decode()
    first = await submit(
        project, {**BODY, "input": [{"type": "video_base64", "data": data, "max_frames": 5}]}
    )
    echo = (await project.get(f"{LIST}/{first}?include=request")).json()["request"]
    second = await submit(project, echo)
    requests = live.services.requests
    stored = await requests.get(project.project, second)
    assert stored.spec == (await requests.get(project.project, first)).spec
    assert (await project.get(f"{LIST}/{second}?include=request")).json()["request"] == echo

    _, stranger_key = await new_key()
    key = f"{project.project}/{first}/upload"
    wrong = (
        key.replace(first, "vt_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        key.replace("upload", "request.json"),
        f"{project.project}/../{key}",
        "",
    )
    async with live.client(stranger_key) as stranger:
        for client, named in ((stranger, key), *((project, one) for one in wrong)):
            body = {**BODY, "input": [{"type": "video_base64", "data": f"staged:{named}"}]}
            answer = await client.post("/v1/video/process", json=body)
            assert answer.status_code == 422, named
            assert answer.json()["errors"] == [
                {"field": "input[0].data", "message": "this project has no such upload"}
            ]


async def test_foreign_and_unknown_ids_answer_the_same_bytes(
    project: httpx.AsyncClient, live: LiveApi, new_key: NewKey
) -> None:
    task = await submit(project)
    _, stranger_key = await new_key()
    unknown = "vt_01ARZ3NDEKTSV4RRFFQ69G5FAV"
    async with live.client(stranger_key) as stranger:
        for method, path in (
            ("GET", "/v1/video/tasks/{}"),
            ("GET", "/v1/video/tasks/{}/results"),
            ("GET", "/v1/video/tasks/{}/stream"),
            ("POST", "/v1/video/tasks/{}/cancel"),
        ):
            answers = [
                await stranger.request(method, path.format(found))
                for found in (task, unknown, "vt_x")
            ]
            assert {answer.status_code for answer in answers} == {404}, path
            assert len({answer.content for answer in answers}) == 1, path
            assert answers[0].headers["content-type"] == "application/problem+json"


async def test_results_are_a_404_problem_until_succeeded(project: ProjectClient) -> None:
    task = await submit(project)
    answer = await project.get(f"/v1/video/tasks/{task}/results")
    assert answer.status_code == 404
    assert answer.json()["code"] == "results_not_ready"
    assert answer.json()["task_status"] == "pending"
