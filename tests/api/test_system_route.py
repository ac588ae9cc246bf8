"""Models, system, health, metrics, the OpenAPI document, and the shape of every error."""

import base64
import os
import re
import time
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from confluent_kafka import Producer

from api.errors import ProblemError, to_problem
from api.settings import Settings
from streamproc.contract import env, topics
from streamproc.contract.records import WorkerBeat
from streamproc.contract.sandbox import NETWORK_NAMESPACE, Sandbox
from tests.api.server import LiveApi, ProjectClient, until
from tests.api.test_tasks_route import BODY, submit


async def test_models_tell_what_a_step_may_say(project: httpx.AsyncClient) -> None:
    found = {model["id"]: model for model in (await project.get("/v1/models")).json()["data"]}
    (detect,) = [m for m in found.values() if m["kind"] == "detect" and m["default"]]
    assert detect["licence"] == "Apache-2.0"
    assert "pedestrian" in detect["classes"]
    assert detect["id"] == f"{detect['name']}@{detect['version']}"
    schema = detect["parameters"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["classes"]["items"]["enum"] == detect["classes"]
    body = {**BODY, "steps": [{"model": detect["id"], "parameters": {"threshold": 0.7}}]}
    await submit(project, body)


async def test_system_shows_workers_parts_and_lag(
    project: httpx.AsyncClient, settings: Settings
) -> None:
    beat_ms = time.time_ns() // 1_000_000
    beat = WorkerBeat(
        worker="w-system",
        host="h",
        pid=1,
        started_ms=beat_ms - 5000,
        beat_ms=beat_ms,
        device="CPU",
        precision="f32",
        models=("nanodet-g@1.0.0",),
        slots=4,
        busy=1,
        fps=31.5,
        processed_frames=200,
        partitions=(0, 1),
        rss_bytes=5,
        sandbox=Sandbox((NETWORK_NAMESPACE,)),
        device_fault="CPU: it computes wrongly",
        live_slots=8,
        live_busy=3,
        sources=("gate",),
    )
    producer = Producer({"bootstrap.servers": settings.kafka})
    producer.produce(
        topics.WORKERS, key="w-system", value=msgspec.msgpack.encode(beat), partition=0
    )
    producer.flush(10)

    async def seen() -> Any:
        system = (await project.get("/v1/system")).json()
        workers = [found for found in system["workers"] if found["id"] == "w-system"]
        return (system, workers[0]) if workers and system["lag"] else None

    system, found = await until(seen)
    assert found["alive"] is True
    assert found["device_fault"] == beat.device_fault
    assert (found["fps"], found["busy"], found["partitions"]) == (31.5, 1, [0, 1])
    assert (found["live_slots"], found["live_busy"], found["sources"]) == (8, 3, ["gate"])
    assert found["sandbox"] == {"level": "partial", "missing": ["network_namespace"]}
    assert system["devices"] == ["CPU"]
    assert system["api"]["pid"] == os.getpid()
    assert system["api"]["rss_bytes"] > 10_000_000
    assert {part["name"]: part["ready"] for part in system["parts"]} == {
        "kafka": True,
        "s3": True,
        "clickhouse": True,
        "directory": True,
        "log": True,
        "worker": True,
        "archive": True,
        "index": True,
    }
    groups = {(lag["group"], lag["topic"]) for lag in system["lag"]}
    assert groups == {
        ("framewire-worker", "video.tasks"),
        ("framewire-worker", "video.live"),
        ("framewire-archive", "video.chunks"),
        ("framewire-index", "video.chunks"),
        ("framewire-audit", "video.audit"),
    }
    assert len(system["lag"]) == 4 * system["partitions"] + 1
    (model,) = [
        found
        for found in (await project.get("/v1/models")).json()["data"]
        if found["id"] == "nanodet-g@1.0.0"
    ]
    assert model["devices"] == ["CPU"]


async def test_system_tells_a_key_its_project(
    project: ProjectClient, admin: httpx.AsyncClient
) -> None:
    assert (await project.get("/v1/system")).json()["project"] == project.project
    assert (await admin.get("/v1/system")).json()["project"] is None


async def test_metrics_count_routes_and_hold_no_ids(project: ProjectClient, live: LiveApi) -> None:
    task = await submit(project)
    await project.get(f"/v1/video/tasks/{task}")
    async with live.client(None) as stranger:
        text = (await stranger.get("/metrics")).text
    assert re.search(
        r'framewire_api_requests_total\{.*route="/v1/video/tasks/\{task_id.*\} [1-9]', text
    )
    assert "framewire_api_tasks_submitted_total" in text
    assert task not in text
    assert project.project not in text


async def test_probes_need_no_key(live: LiveApi) -> None:
    async with live.client(None) as stranger:
        assert (await stranger.get("/health/live")).json() == {"status": "live", "parts": []}
        assert (await stranger.get("/health/ready")).json()["status"] == "ready"


async def test_without_kafka_the_server_names_it_and_accepts_nothing(settings: Settings) -> None:
    away = msgspec.structs.replace(settings, kafka="127.0.0.1:9", kafka_deadline_s=1)
    api = LiveApi(away)
    api._thread.start()
    try:
        async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:

            async def answered() -> Any:
                try:
                    return await client.get("/health/ready")
                except httpx.TransportError:
                    return None

            ready = await until(answered, within_s=30)
            assert ready.status_code == 503
            down = {part["name"] for part in ready.json()["parts"] if not part["ready"]}
            assert down == {"kafka", "directory", "log"}
            answer = await client.post(
                "/v1/video/process", json=BODY, headers={"Authorization": "Bearer fw_x"}
            )
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
    finally:
        api.stop()


async def test_what_is_wrong_with_the_store_is_said_by_ready_by_system_and_to_who_submits(
    project: httpx.AsyncClient, settings: Settings
) -> None:
    wrong = msgspec.structs.replace(settings.s3, secret="another")
    api = LiveApi(msgspec.structs.replace(settings, s3=wrong))
    api._thread.start()
    try:
        key = {"Authorization": project.headers["authorization"]}
        async with httpx.AsyncClient(base_url=api.url, timeout=30, headers=key) as client:

            async def known() -> Any:
                try:
                    answer = await client.get("/v1/system")
                except httpx.TransportError:
                    return None
                return answer.json() if answer.status_code == 200 else None

            system = await until(known, within_s=30)
            ready = await client.get("/health/ready")
            assert ready.status_code == 503
            for parts in (system["parts"], ready.json()["parts"]):
                (store,) = [part for part in parts if part["name"] == "s3"]
                assert not store["ready"]
                assert env.S3_SECRET in store["detail"]
            answer = await client.post("/v1/video/process", json=BODY)
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert env.S3_SECRET in answer.json()["detail"]
    finally:
        api.stop()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/v1/video/process", 405, "method_not_allowed"),
        ("GET", "/v1/video/tasks?limit=x", 422, "invalid_request"),
        ("POST", "/v1/video/process", 400, "invalid_json"),
    ],
)
async def test_every_error_is_a_problem(
    project: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await project.request(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["title"]
    assert problem["detail"]
    assert problem["type"] == "about:blank"


async def test_too_large_body_names_the_limit(project: ProjectClient, live: LiveApi) -> None:
    limit = live.settings.max_body_bytes
    answer = await project.post("/v1/video/process", content=b"x" * (limit + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["limit_bytes"] == limit

    async def pieces() -> Any:
        for _ in range(limit // 100_000 + 2):
            yield b"x" * 100_000

    answer = await project.post("/v1/video/process", content=pieces())
    assert answer.status_code == 413


async def test_ten_megabytes_of_base64_garbage_are_refused_and_harm_nothing(
    project: ProjectClient,
) -> None:
    garbage = base64.b64encode(b"\xff" * 10_000_000).decode()
    body = {**BODY, "input": [{"type": "video_base64", "data": garbage}]}
    assert (await project.post("/v1/video/process", json=body)).status_code == 413
    body["input"] = [{"type": "video_base64", "data": "%" * 1_300_000}]
    answer = await project.post("/v1/video/process", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "input[0].data")
    await submit(project)


def test_unexpected_errors_say_nothing_of_themselves() -> None:
    problem = to_problem(RuntimeError("password=hunter2 at https://internal"))
    assert (problem.status, problem.code) == (500, "internal_error")
    assert "hunter2" not in str(problem.body())
    assert isinstance(problem, ProblemError)


async def test_document_is_valid_and_describes_the_bodies(live: LiveApi) -> None:
    async with live.client(None) as stranger:
        document = (await stranger.get("/schema")).json()
        assert (await stranger.get("/schema/openapi.json")).json() == document
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    assert document["openapi"].startswith("3.1")
    reference = document["paths"]["/v1/video/process"]["post"]["requestBody"]["content"]
    assert reference["application/json"]["schema"]["$ref"].endswith("/ProcessRequest")
    request = document["components"]["schemas"]["ProcessRequest"]
    assert set(request["properties"]) == {"input", "steps", "model", "precision"}
    assert request["required"] == ["input", "steps"]
    paths = set(document["paths"])
    for path in ("/v1/video/tracks", "/v1/models", "/health/ready", "/v1/admin/keys"):
        assert path in paths
    refusals = [
        (operation["operationId"], status, answer["content"])
        for methods in document["paths"].values()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        if status >= "400" and "content" in answer
    ]
    for name, status, content in refusals:
        ((media_type, body),) = content.items()
        assert (name, status, media_type) == (name, status, "application/problem+json")
        assert body["schema"]["$ref"].endswith("/Problem"), (name, status)
    assert len(refusals) > 50
