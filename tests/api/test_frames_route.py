"""Previews over HTTP: made by the child, cached, and refused in words."""

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamproc.contract import env
from tests.api.server import Fresh, LiveApi, NewKey, ProjectClient, until
from tests.data import clips
from tests.streamproc.source.origin import serving
from tests.streamproc.source.test_far_origins import Ranged

CLIP = Path(__file__).resolve().parents[2] / "console" / "data" / "pedestrians.mp4"


async def submitted(project: httpx.AsyncClient, item: dict[str, Any]) -> str:
    body = {"input": [item], "steps": [{"model": "detect"}]}
    answer = await project.post("/v1/video/process", json=body)
    assert answer.status_code == 202, answer.text
    task: str = answer.json()["id"]
    return task


@pytest.fixture(autouse=True)
def _roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(env.FILE_ROOTS, str(CLIP.parent))


async def test_a_frame_is_a_jpeg_with_the_sources_size(project: httpx.AsyncClient) -> None:
    task = await submitted(project, {"type": "video_url", "url": CLIP.as_uri()})
    answer = await project.get(f"/v1/video/tasks/{task}/frames/7.jpg", params={"width": 320})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert (answer.headers["frame-width"], answer.headers["frame-height"]) == ("768", "576")
    assert answer.content.startswith(b"\xff\xd8")
    again = await project.get(
        f"/v1/video/tasks/{task}/frames/7.jpg", params={"width": 320, "boxes": 1}
    )
    assert again.content == answer.content  # nothing is indexed: no boxes, and it was kept


async def test_a_frame_of_a_range_far_into_a_video_is_gone_to_as_the_task_went(
    project: ProjectClient, fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clips.write(tmp_path / "clip.mp4", clips.Recipe("clip.mp4"))
    video = clips.looped_clip(tmp_path / "far.ts", 10, clip, format="mpegts", filler_bytes=45_000)
    behave = Ranged(video)
    with serving(behave) as origin:
        monkeypatch.setenv(env.PRIVATE_HOSTS, origin.authority)
        api = await fresh()  # another one may have a child that was started before
        part = {"start": 22.0, "end": 23.0}
        item = {"type": "video_url", "url": f"http://{origin.authority}/far.ts", "range": part}
        task = await submitted(project, item)
        async with httpx.AsyncClient(
            base_url=api.url, headers=project.headers, timeout=30
        ) as client:
            answer = await client.get(f"/v1/video/tasks/{task}/frames/560.jpg")
            n_sent = behave.n_sent
            outside = await client.get(f"/v1/video/tasks/{task}/frames/20.jpg")
    assert answer.status_code == 200
    assert n_sent < len(behave.body) * 0.4
    assert (outside.status_code, outside.json()["code"]) == (404, "frame_not_found")


async def test_an_uploaded_video_has_frames_too(project: httpx.AsyncClient) -> None:
    data = base64.b64encode(CLIP.read_bytes()).decode()
    task = await submitted(project, {"type": "video_base64", "data": data})
    answer = await project.get(f"/v1/video/tasks/{task}/frames/0.jpg")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("5000.jpg", 404, "frame_not_found"),
        ("x.jpg", 404, "frame_not_found"),
        ("1.png", 404, "frame_not_found"),
        ("-1.jpg", 404, "frame_not_found"),
        ("1.jpg?width=1", 422, "invalid_request"),
        ("1.jpg?boxes=2", 422, "invalid_request"),
    ],
)
async def test_what_is_no_frame_is_refused(
    project: httpx.AsyncClient, name: str, status: int, code: str
) -> None:
    task = await submitted(project, {"type": "video_url", "url": CLIP.as_uri()})
    answer = await project.get(f"/v1/video/tasks/{task}/frames/{name}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_source_that_is_gone_is_410(project: httpx.AsyncClient, tmp_path: Path) -> None:
    task = await submitted(
        project, {"type": "video_url", "url": (CLIP.parent / "gone.mp4").as_uri()}
    )
    answer = await project.get(f"/v1/video/tasks/{task}/frames/0.jpg")
    assert (answer.status_code, answer.json()["code"]) == (410, "source_gone")
    assert str(CLIP.parent) not in answer.text


async def test_a_foreign_task_and_an_unknown_one_are_alike(
    project: httpx.AsyncClient, new_key: NewKey, live: LiveApi
) -> None:
    task = await submitted(project, {"type": "video_url", "url": CLIP.as_uri()})
    _, key = await new_key()
    async with live.client(key) as other:
        foreign = await other.get(f"/v1/video/tasks/{task}/frames/0.jpg")
        unknown = await other.get("/v1/video/tasks/vt_nobody/frames/0.jpg")
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


async def test_a_child_that_dies_is_replaced(project: httpx.AsyncClient, live: LiveApi) -> None:
    task = await submitted(project, {"type": "video_url", "url": CLIP.as_uri()})
    path = f"/v1/video/tasks/{task}/frames"
    assert (await project.get(f"{path}/1.jpg")).status_code == 200
    (child,) = live.app.state.frames._idle
    child._process.kill()
    first = await project.get(f"{path}/2.jpg")
    assert first.status_code in {200, 503}
    assert (await project.get(f"{path}/3.jpg")).status_code == 200


async def test_a_child_that_is_known_to_be_dead_costs_no_frame(
    project: httpx.AsyncClient, live: LiveApi
) -> None:
    task = await submitted(project, {"type": "video_url", "url": CLIP.as_uri()})
    path = f"/v1/video/tasks/{task}/frames"
    assert (await project.get(f"{path}/1.jpg")).status_code == 200
    (child,) = live.app.state.frames._idle
    process = child._process
    process.kill()

    async def is_known() -> bool:
        return process.returncode is not None

    await until(is_known)
    assert (await project.get(f"{path}/2.jpg")).status_code == 200
