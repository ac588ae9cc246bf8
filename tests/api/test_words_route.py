"""Search by words: a real api, real ClickHouse, a real text encoder in its process; numpy says."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from api.ids import new_task_id
from api.settings import Settings
from api.tasks import text_vectors
from api.tasks.submission import now_ms
from models.embedding import FeatureExtractor
from models.importer import add_model
from models.registry import Registry
from models.removal import remove_model
from models.runtime import Runtime
from streamproc.contract import tables
from tests.api.rows import embedding_row, insert, task_row, track_row
from tests.api.server import LiveApi, NewKey, ProjectClient
from tests.models.text_networks import (
    CONTEXT,
    END,
    START,
    VOCABULARY,
    Floats,
    add_pictures,
    expected_vector,
    words,
    write_text_network,
    write_tokenizer,
)

RED, BLUE, GREEN, TRUCK = (VOCABULARY[word] for word in ("red", "blue", "green", "truck"))
STEPS = ("detect", "feature")


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image tower `clip@1` and the words for its pictures."""
    folder = tmp_path_factory.mktemp("models")
    registry = Registry(folder / "own")
    add_pictures(registry, folder)
    network = write_text_network(folder / "words.xml")
    add_model(registry, words(network, write_tokenizer(folder / "tokenizer.json")))
    return folder / "own"


@pytest.fixture(scope="module")
def live(settings: Settings, models_dir: Path, processes: None) -> Iterator[LiveApi]:
    api = LiveApi(msgspec.structs.replace(settings, models=str(models_dir)))
    api.start()
    yield api
    api.stop()


@pytest.fixture(scope="module")
def pictures(models_dir: Path) -> Floats:
    """The image tower's vectors of a red, a green, a blue and a black picture, of length 1."""
    image = np.zeros((16, 64, 3), np.uint8)
    for i, channels in enumerate(([2], [1], [0], [])):
        image[:, 16 * i : 16 * i + 16, channels] = 200
    boxes = np.array([[16 * i, 0, 16 * i + 16, 16] for i in range(4)], np.float32)
    extractor = FeatureExtractor(Runtime("CPU"), Registry(models_dir).resolve("clip"), "f32")
    vectors = extractor.extract(image, boxes)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def seed(
    clickhouse: Any, project: str, vectors: Floats, *, models: tuple[str, ...] = ("clip@1",)
) -> str:
    """Insert a task whose tracks 1 to n have these vectors; return its id."""
    task = new_task_id(now_ms())
    steps = ("detect", *("feature" for _ in models))
    row = task_row(project, task, steps=steps, models=("nanodet-g@1.1.0", *models))
    tracks = range(1, len(vectors) + 1)
    insert(clickhouse, tables.TASKS, [row])
    insert(clickhouse, tables.TRACKS, [track_row(project, task, track) for track in tracks])
    rows = [embedding_row(project, task, t, v.tolist()) for t, v in zip(tracks, vectors)]  # noqa: B905
    insert(clickhouse, tables.EMBEDDINGS, rows)
    return task


async def found(client: Any, **query: str) -> list[tuple[str, int, float]]:
    answer = await client.get("/v1/video/tracks", params=query)
    assert answer.status_code == 200, answer.text
    return [(t["task"], t["track_id"], t["distance"]) for t in answer.json()["data"]]


async def test_tracks_come_in_the_order_of_the_cosine_that_numpy_gives(
    project: ProjectClient, clickhouse: Any, pictures: Floats
) -> None:
    task = seed(clickhouse, project.project, pictures)
    for text, ids in (
        ("red truck", [RED, TRUCK]),
        ("blue", [BLUE]),
        ("green  truck", [GREEN, TRUCK]),
    ):
        distances = 1 - pictures.astype(np.float64) @ expected_vector([START, *ids, END])
        order = distances.argsort()
        listed = await found(project, like_text=text)
        assert [(t, track) for t, track, _ in listed] == [(task, int(i) + 1) for i in order]
        assert [distance for _, _, distance in listed] == pytest.approx(distances[order], abs=1e-5)
    nearest = [(await found(project, like_text=word))[0][1] for word in ("red", "green", "blue")]
    assert nearest == [1, 2, 3]


async def test_vectors_of_other_models_and_projects_are_never_compared(
    project: ProjectClient, clickhouse: Any, pictures: Floats
) -> None:
    ours = seed(clickhouse, project.project, pictures[:2])
    for models in (("other@1",), ("clip@2",), ("clip@1", "other@1"), ("other@1", "clip@1")):
        seed(clickhouse, project.project, pictures, models=models)
    seed(clickhouse, "somebody_else", pictures)
    twice = seed(clickhouse, project.project, pictures[:1], models=("clip@1", "clip@1"))
    listed = {(task, track) for task, track, _ in await found(project, like_text="red")}
    assert listed == {(ours, 1), (ours, 2), (twice, 1)}
    # All of them have vectors of one length: a search for a track does not tell them apart.
    similar = await found(project, similar_to=f"{ours}:1", limit="200")
    assert len(similar) > len(listed)


async def test_words_and_filters_go_together_and_pages_join_up(
    project: ProjectClient, clickhouse: Any, pictures: Floats
) -> None:
    first = seed(clickhouse, project.project, pictures)
    second = seed(clickhouse, project.project, pictures[::-1])
    whole = await found(project, like_text="red")
    assert len(whole) == 8
    only = await found(project, like_text="red", task=second)
    assert only == [each for each in whole if each[0] == second]
    assert await found(project, like_text="red", **{"class": "bus"}) == []
    paged: list[tuple[str, int, float]] = []
    query = {"like_text": "red", "limit": "3"}
    while True:
        page = (await project.get("/v1/video/tracks", params=query)).json()
        paged += [(t["task"], t["track_id"], t["distance"]) for t in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert paged == whole
    assert {task for task, _, _ in whole} == {first, second}


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ({"like_text": ""}, "like_text", "is empty"),
        ({"like_text": " \t "}, "like_text", "is empty"),
        ({"like_text": "x" * 513}, "like_text", "at most 512 characters"),
        ({"like_text": "red " * 2500}, "like_text", "at most 512 characters"),
        ({"like_text": "red\0"}, "like_text", "control characters"),
        ({"like_text": "zebra"}, "like_text", "clip-words@1 knows no word of this text"),
        ({"like_text": "\U0001f9d1\u200d\U0001f680"}, "like_text", "knows no word"),
        ({"like_text": "red", "like_model": "siglip"}, "like_model", "no such model"),
        ({"like_text": "red", "like_model": "x" * 200}, "like_model", "<= 128"),
        (
            {"like_text": "red", "like_model": "feature"},
            "like_text",
            "no text encoder for model strip512@1.0.0 is added",
        ),
        ({"like_model": "clip"}, "like_model", "belongs to like_text"),
        ({"like_text": "red", "similar_to": "vt_1:1"}, "like_text", "cannot be combined"),
    ],
)
async def test_a_bad_question_is_named(
    project: ProjectClient, query: dict[str, str], field: str, reason: str
) -> None:
    answer = await project.get("/v1/video/tracks", params=query)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert reason in error["message"]


async def test_bytes_that_are_no_text_are_answered(project: ProjectClient) -> None:
    for raw in ("%ff%fe", "%ed%a0%80", "%f0%9f", "%00" * 9, "%F0%9F%9A%9A"):
        answer = await project.get(f"/v1/video/tracks?like_text={raw}")
        assert answer.status_code == (200 if raw.startswith("%F0") else 422), (raw, answer.text)


async def test_a_project_without_vectors_finds_nothing(project: ProjectClient) -> None:
    assert await found(project, like_text="red") == []


async def test_a_text_encoder_is_listed_and_is_no_step(project: ProjectClient) -> None:
    listed = (await project.get("/v1/models")).json()["data"]
    kinds = {m["id"]: (m["kind"], m["feature_model"], m["default"]) for m in listed}
    assert kinds["clip-words@1"] == ("text-encoder", "clip@1", False)
    assert kinds["clip@1"] == ("feature", None, False)
    body = {
        "input": [{"type": "video_url", "url": "https://example.com/clip.mp4"}],
        "steps": [{"model": "detect"}, {"model": "clip-words"}, {"model": "nothing"}],
    }
    answer = await project.post("/v1/video/process", json=body)
    assert answer.status_code == 422
    errors = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert "is a text encoder" in errors["steps[1].model"]
    assert "clip@1" in errors["steps[2].model"]
    assert "clip-words" not in errors["steps[2].model"]


async def test_many_questions_at_once_have_their_own_answers(
    project: ProjectClient, clickhouse: Any, pictures: Floats
) -> None:
    seed(clickhouse, project.project, pictures)
    texts = [" ".join(["red"] * i + ["blue"] * j) for i in range(1, 4) for j in range(1, 5)]
    expected = {}
    for text in texts:
        ids = [VOCABULARY[word] for word in text.split()][: CONTEXT - 2]
        distances = 1 - pictures.astype(np.float64) @ expected_vector([START, *ids, END])
        expected[text] = np.sort(distances)
    asked = texts + texts[:4]
    answers = await asyncio.gather(*(found(project, like_text=text) for text in asked))
    for text, listed in zip(asked, answers, strict=True):
        assert [each[2] for each in listed] == pytest.approx(expected[text], abs=1e-5)


async def test_a_project_that_asks_too_much_is_refused_and_another_is_not(
    project: ProjectClient, live: LiveApi, new_key: NewKey
) -> None:
    await found(project, like_text="a dog")
    texts = live.services.texts
    assert texts._child._process is not None
    pid = texts._child._process.pid
    _, key = await new_key()

    def ask(client: Any, text: str) -> asyncio.Task[Any]:
        return asyncio.create_task(client.get("/v1/video/tracks", params={"like_text": text}))

    n_waiting = text_vectors.MAX_WAITING_PER_PROJECT
    os.kill(pid, signal.SIGSTOP)
    try:
        async with live.client(key) as other:
            asked = [ask(project, f"red truck {n}") for n in range(n_waiting + 5)]
            refused: set[asyncio.Task[Any]] = set()
            while len(refused) < 4:  # one has the turn, the others wait
                done, _ = await asyncio.wait(asked, timeout=20, return_when=asyncio.FIRST_COMPLETED)
                refused |= done
                asked = [each for each in asked if each not in done]
            theirs = ask(other, "blue truck")
            assert {each.result().status_code for each in refused} == {503}
            assert {each.result().json()["code"] for each in refused} == {"text_busy"}
            os.kill(pid, signal.SIGCONT)
            answers = await asyncio.gather(theirs, *asked)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert {answer.status_code for answer in answers} == {200}
    assert texts._child._process.pid == pid


async def test_a_text_that_was_asked_for_before_needs_no_process(
    project: ProjectClient, live: LiveApi
) -> None:
    await found(project, like_text="white dog of a photo")
    child = live.services.texts._child
    assert child._process is not None
    os.kill(child._process.pid, signal.SIGSTOP)
    try:
        assert await found(project, like_text=" white  dog of a photo ") == []
    finally:
        os.kill(child._process.pid, signal.SIGCONT)


async def test_who_hangs_up_costs_the_others_no_process(
    project: ProjectClient, live: LiveApi
) -> None:
    await found(project, like_text="photo")
    process = live.services.texts._child._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        for n in range(3):
            query = {"like_text": f"photo of {n}"}
            with pytest.raises(httpx.ReadTimeout):
                await project.get("/v1/video/tracks", params=query, timeout=0.2)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert await found(project, like_text="a red photo") == []
    assert live.services.texts._child._process is process


async def test_a_process_that_died_is_started_again(project: ProjectClient, live: LiveApi) -> None:
    await found(project, like_text="a dog")
    process = live.services.texts._child._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    answer = await project.get("/v1/video/tracks", params={"like_text": "a white dog"})
    # A death that is not noticed yet is an error that says so, once.
    assert answer.status_code == 200 or answer.json()["code"] == "text_failed", answer.text
    assert await found(project, like_text="a white dog") == []
    again = live.services.texts._child._process
    assert again is not None
    assert again.pid != process.pid


async def test_a_process_that_hangs_is_killed_and_the_next_text_has_a_new_one(
    project: ProjectClient, live: LiveApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await found(project, like_text="photo of a dog")
    process = live.services.texts._child._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    monkeypatch.setattr(text_vectors, "TIMEOUT_S", 0.2)
    answer = await project.get("/v1/video/tracks", params={"like_text": "photo of a truck"})
    assert (answer.status_code, answer.json()["code"]) == (503, "text_timeout")
    assert int(answer.headers["retry-after"]) > 0
    monkeypatch.undo()
    assert await found(project, like_text="photo of a truck") == []


async def test_a_text_encoder_whose_file_was_changed_is_not_used(
    project: ProjectClient, models_dir: Path
) -> None:
    """A new process reads the file again: its sum is not the manifest's."""
    registry = Registry(models_dir)
    add_pictures(registry, models_dir.parent, name="broken")
    folder = models_dir.parent
    own = words(
        folder / "words.xml",
        folder / "tokenizer.json",
        name="broken-words",
        feature_model="broken",
        # Its own sum: a text of the other encoder is not taken for one of this.
        context_length=8,
    )
    broken = add_model(registry, own)
    network = broken.directory / "network.bin"
    network.write_bytes(network.read_bytes()[:-4] + b"\1\1\1\1")
    query = {"like_text": "truck of a dog", "like_model": "broken"}
    answer = await project.get("/v1/video/tracks", params=query)
    assert (answer.status_code, answer.json()["code"]) == (503, "text_failed")
    assert str(models_dir) not in answer.text
    # With two text encoders, a question has to say which is meant; each goes on by itself.
    answer = await project.get("/v1/video/tracks", params={"like_text": "red"})
    assert answer.json()["errors"][0]["field"] == "like_model"
    assert await found(project, like_text="truck of a dog", like_model="clip") == []
    remove_model(registry, "broken-words")
    answer = await project.get("/v1/video/tracks", params=query)
    assert "no text encoder for model broken@1 is added" in answer.text
    assert await found(project, like_text="red") == []
