"""`framewire models remove` with a real api: refused while tasks need the model, and only then."""

import asyncio
import json
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from api.ids import new_task_id
from api.settings import Settings
from api.tasks.submission import now_ms
from console.cli.main import run
from models.importer import add_model
from models.registry import Registry
from streamproc.contract import tables, topics
from streamproc.contract.records import ConsumerBeat
from tests.api.conftest import ADMIN_KEY
from tests.api.rows import insert, task_row
from tests.api.server import LiveApi, NewKey, ProjectClient, until
from tests.api.test_tasks_route import submit
from tests.api.worker import StandInWorker
from tests.models.networks import own_model, write_ir, yolox_output
from tests.models.text_networks import add_pictures, words, write_text_network, write_tokenizer


class Mine(NamedTuple):
    """A user's detector of one test, in the directory of all."""

    registry: Registry
    name: str

    @property
    def ref(self) -> str:
        return f"{self.name}@1"

    @property
    def exists(self) -> bool:
        return self.ref in [manifest.ref for manifest in self.registry.list()]

    @property
    def body(self) -> dict[str, Any]:
        """A request with a step of the model."""
        source = {"type": "video_url", "url": "https://example.com/clip.mp4"}
        return {"input": [source], "steps": [{"model": self.name}]}


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models") / "own"


@pytest.fixture(scope="module")
def live(settings: Settings, models_dir: Path, processes: None) -> Iterator[LiveApi]:
    models_dir.mkdir()
    api = LiveApi(msgspec.structs.replace(settings, models=str(models_dir)))
    api.start()
    yield api
    api.stop()


@pytest.fixture(scope="module")
def other_live(settings: Settings, live: LiveApi, models_dir: Path) -> Iterator[LiveApi]:
    """Another process's worth of app, with the same models."""
    api = LiveApi(msgspec.structs.replace(settings, models=str(models_dir)))
    api.start()
    yield api
    api.stop()


@pytest.fixture
def mine(models_dir: Path, tmp_path: Path) -> Mine:
    mine = Mine(Registry(models_dir), f"mine-{secrets.token_hex(4)}")
    network = write_ir(tmp_path / "net.xml", [yolox_output({})])
    add_model(mine.registry, own_model(network, name=mine.name))
    return mine


Remove = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def remove(
    live: LiveApi,
    models_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Remove:
    """Run `framewire models remove`; return its exit code and what it printed."""
    for name in [name for name in os.environ if name.startswith("FRAMEWIRE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FRAMEWIRE_URL", live.url)
    monkeypatch.setenv("FRAMEWIRE_ADMIN_KEY", ADMIN_KEY)
    monkeypatch.setenv("FRAMEWIRE_DATA", str(tmp_path))
    monkeypatch.setenv("FRAMEWIRE_MODELS", str(models_dir))

    async def command(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        code = await asyncio.to_thread(run, ["models", "remove", *arguments])
        out, error = capfd.readouterr()
        return code, out + error

    return command


async def open_tasks(admin: httpx.AsyncClient, model: str) -> dict[str, str]:
    answer = await admin.get(f"/v1/admin/models/{model}/tasks")
    assert answer.status_code == 200, answer.text
    return {task["id"]: task["status"] for task in answer.json()["data"]}


async def test_a_model_is_not_removed_while_a_task_needs_it(
    project: ProjectClient,
    worker: StandInWorker,
    admin: httpx.AsyncClient,
    index: None,
    mine: Mine,
    remove: Remove,
) -> None:
    """The whole life: pending, running, ended; with the real index reading what is written."""
    task = await submit(project, mine.body)
    code, said = await remove(mine.name)
    assert (code, mine.exists) == (1, True)
    assert f"{mine.ref} is needed by {task} ({project.project}, pending)" in said
    assert "--force" in said

    worker.claim(project.project, task)

    async def has_status(status: str) -> bool:
        return (await open_tasks(admin, mine.ref)).get(task) == status

    await until(lambda: has_status("running"), within_s=30)
    code, said = await remove(mine.ref)
    assert code == 1
    assert f"{task} ({project.project}, running)" in said
    assert (await project.post(f"/v1/video/tasks/{task}/cancel")).status_code in {200, 202}
    await until(lambda: has_status("cancelling"))
    assert (await remove(mine.name))[0] == 1

    worker.end(task, "cancelled")

    async def is_over() -> bool:
        return await open_tasks(admin, mine.ref) == {}

    await until(is_over, within_s=30)
    code, said = await remove(mine.name)
    assert (code, mine.exists) == (0, False)
    assert f"removed {mine.ref}" in said
    # From now on the api refuses it, and says which models there are.
    answer = await project.post("/v1/video/process", json=mine.body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "steps[0].model"


async def test_a_task_that_another_process_accepted_is_known_once_it_is_indexed(
    other: httpx.AsyncClient, admin: httpx.AsyncClient, index: None, mine: Mine, remove: Remove
) -> None:
    task = await submit(other, mine.body)

    async def is_known() -> bool:
        return task in await open_tasks(admin, mine.ref)

    await until(is_known, within_s=30)
    code, said = await remove(mine.name)
    assert (code, task in said) == (1, True)


async def test_only_open_tasks_of_that_model_count_each_once(
    project: ProjectClient, admin: httpx.AsyncClient, clickhouse: Any, mine: Mine
) -> None:
    recent = await submit(project, mine.body)
    now = now_ms()
    ids = {name: new_task_id(now - 9000 + i) for i, name in enumerate("abcdef")}
    model = ("nanodet-g@1.1.0", "exotic@1")
    steps = ("detect", "detect")
    insert(
        clickhouse,
        tables.TASKS,
        [
            task_row("shop", ids["b"], status="running", steps=steps, models=model),
            task_row("gate", ids["a"], status="pending", steps=steps, models=model),
            task_row("gate", ids["c"], status="succeeded", steps=steps, models=model),
            task_row("gate", ids["d"], status="failed", steps=steps, models=model),
            task_row("gate", ids["e"], status="running", models=("exotic@10",)),
            task_row("gate", ids["f"], status="running", models=("xexotic@1",)),
            task_row(project.project, recent, status="pending", models=(mine.ref,)),
        ],
    )
    answer = (await admin.get("/v1/admin/models/exotic@1/tasks")).json()
    assert [(t["id"], t["project"], t["status"]) for t in answer["data"]] == [
        (ids["a"], "gate", "pending"),
        (ids["b"], "shop", "running"),
    ]
    assert answer["total"] == 2
    answer = (await admin.get(f"/v1/admin/models/{mine.ref}/tasks")).json()
    assert ([task["id"] for task in answer["data"]], answer["total"]) == ([recent], 1)
    assert await open_tasks(admin, mine.name) == {}
    assert await open_tasks(admin, "x' OR 1=1 --") == {}


async def test_of_many_tasks_some_are_listed_and_all_are_counted(
    admin: httpx.AsyncClient, clickhouse: Any
) -> None:
    rows = [
        task_row("shop", new_task_id(now_ms()), status="pending", models=("popular@1",))
        for _ in range(130)
    ]
    insert(clickhouse, tables.TASKS, rows)
    answer = (await admin.get("/v1/admin/models/popular@1/tasks")).json()
    assert (len(answer["data"]), answer["total"]) == (100, 130)


async def test_only_the_operator_sees_the_tasks_of_all_projects(project: ProjectClient) -> None:
    answer = await project.get("/v1/admin/models/mine@1/tasks")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_an_index_that_stands_still_is_not_believed(
    admin: httpx.AsyncClient, live: LiveApi, mine: Mine, remove: Remove
) -> None:
    beat = ConsumerBeat("index", "h", 1, now_ms(), now_ms() + 3_600_000, (0,), standing=(0,))
    key = "consumer/index/h-1"
    live.services.directory.apply(topics.WORKERS, key, msgspec.msgpack.encode(beat))
    try:
        answer = await admin.get(f"/v1/admin/models/{mine.ref}/tasks")
        assert (answer.status_code, answer.json()["code"]) == (503, "index_behind")
        code, said = await remove(mine.name)
        assert (code, mine.exists) == (1, True)
        assert "cannot be asked" in said
    finally:
        live.services.directory.apply(topics.WORKERS, key, None)


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("FRAMEWIRE_URL", "http://127.0.0.1:9", "cannot be asked"),
        ("FRAMEWIRE_ADMIN_KEY", "wrong", "401 unauthorized"),
        ("FRAMEWIRE_ADMIN_KEY", "", "cannot be asked"),
        ("FRAMEWIRE_URL", "", "no api is known"),
    ],
)
async def test_where_nobody_can_be_asked_only_force_removes(
    mine: Mine,
    remove: Remove,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    reason: str,
) -> None:
    monkeypatch.setenv(variable, value)
    code, said = await remove(mine.name)
    assert (code, mine.exists) == (1, True)
    assert reason in said
    assert "--force removes it all the same" in said
    code, said = await remove(mine.name, "--force", "--json")
    assert (code, mine.exists) == (0, False)
    assert json.loads(said) == {"ref": mine.ref, "kind": "detect"}


async def test_a_key_of_a_project_is_not_enough(
    mine: Mine, remove: Remove, new_key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would see the tasks of its own project alone."""
    _, key = await new_key()
    monkeypatch.delenv("FRAMEWIRE_ADMIN_KEY")
    monkeypatch.setenv("FRAMEWIRE_KEY", key)
    code, said = await remove(mine.name)
    assert (code, mine.exists) == (1, True)
    assert "this needs the operator's key" in said


async def test_what_cannot_be_removed_is_refused_before_anybody_is_asked(
    mine: Mine, remove: Remove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMEWIRE_URL", "http://127.0.0.1:9")
    for name, reason in (
        ("nanodet-g@1.1.0", "ships with the product"),
        ("nothing", "unknown model 'nothing'"),
        ("--name", "unknown model '--name'"),
    ):
        code, said = await remove("--force", "--", name)
        assert (code, reason in said) == (1, True), said
    assert mine.exists


async def test_a_text_encoder_is_in_no_task_and_nobody_is_asked(
    mine: Mine, remove: Remove, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMEWIRE_URL", "http://127.0.0.1:9")
    add_pictures(mine.registry, tmp_path)
    network = write_text_network(tmp_path / "words.xml")
    add_model(mine.registry, words(network, write_tokenizer(tmp_path / "tokenizer.json")))
    code, said = await remove("clip", "--force")
    assert (code, "clip-words@1 is its text encoder" in said) == (1, True)
    assert (await remove("clip-words"))[0] == 0
    assert (await remove("clip", "--force"))[0] == 0
    assert mine.exists
