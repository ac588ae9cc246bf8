"""Previews over HTTP: made by the child, cached, and refused in words."""

import base64
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from api.ids import new_task_id
from streamproc.clients.object_store import S3Objects
from streamproc.clients.staged_objects import BucketUploads
from streamproc.contract import env
from streamproc.contract.object_keys import PictureInfo, latest_key, request_key
from streamproc.contract.recordings import PieceInfo, piece_key, start_key
from streamproc.contract.stored_request import StoredRequest, encode_stored_request
from streamproc.contract.task_spec import LiveOptions, Recording
from streamproc.contract.timestamps import rfc3339
from streamproc.source.live.recording import transport_stream
from streamproc.source.live.recording.picture import RecordedPicture
from streamproc.worker.reports import now_ms
from tests.api.server import Fresh, LiveApi, NewKey, ProjectClient, until
from tests.data import clips
from tests.live.clip import clip, read_number
from tests.streamproc.sinks.logs import submitted as record
from tests.streamproc.source.live_source.test_decoder import units
from tests.streamproc.source.origin import serving
from tests.streamproc.source.test_far_origins import Ranged

CLIP = Path(__file__).resolve().parents[2] / "console" / "data" / "pedestrians.mp4"


async def submitted(project: httpx.AsyncClient, item: dict[str, Any]) -> str:
    body = {"input": [item], "steps": [{"model": "detect"}]}
    answer = await project.post("/v1/video/process", json=body)
    assert answer.status_code == 202, answer.text
    task: str = answer.json()["id"]
    return task


def recorded_live(project: ProjectClient, live: LiveApi, options: LiveOptions | None = None) -> str:
    """Store a live task's request, as if it had been submitted; return its id."""
    task = new_task_id(now_ms())
    sent = record(task, project.project, live=options or LiveOptions())
    stored = StoredRequest(
        task, sent.project, 0, sent.created_ms, sent.point, {}, "", spec=sent.spec
    )
    with closing(S3Objects(live.settings.s3)) as objects:
        objects.put(request_key(project.project, task), encode_stored_request(stored))
    return task


def put_picture(live: LiveApi, project: str, task: str, jpeg: bytes, info: PictureInfo) -> None:
    """Store a picture as a worker does."""
    store = BucketUploads(live.settings.s3)
    store.put_picture(latest_key(project, task), jpeg, info.to_metadata())


def put_piece(
    live: LiveApi, project: str, task: str, first: int, *, half: int, epoch: int = 3
) -> None:
    """Store a piece of 50 frames as a worker does; that with the index `first` shows 50 * half."""
    pictures = tuple(
        RecordedPicture(unit.data, first + n, 3600 * n, unit.is_key, 90_000 + first + n)
        for n, unit in enumerate(units(clip())[50 * half : 50 * half + 50])
    )
    info = PieceInfo("h264", 192, 112, first + 49, 50, 90_000 + first, 90_049 + first)
    BucketUploads(live.settings.s3).put_piece(
        piece_key(project, task, first, epoch, "h264"),
        transport_stream.muxed("h264", pictures),
        "video/mp2t",
        info.to_metadata(),
    )


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


async def test_the_last_picture_of_a_live_source_is_what_its_worker_stored(
    project: ProjectClient, live: LiveApi
) -> None:
    task = recorded_live(project, live)
    path = f"/v1/video/tasks/{task}/frames"
    none = await project.get(f"{path}/latest.jpg")
    assert (none.status_code, none.json()["code"]) == (404, "frame_not_kept")
    put_picture(live, project.project, task, b"\xff\xd8first", PictureInfo(1920, 1080, 7, 90_250))
    found = await project.get(f"{path}/latest.jpg")
    assert (found.status_code, found.content) == (200, b"\xff\xd8first")
    assert found.headers["content-type"] == "image/jpeg"
    assert (found.headers["frame-width"], found.headers["frame-height"]) == ("1920", "1080")
    assert found.headers["frame-index"] == "7"
    assert found.headers["frame-captured-at"] == "1970-01-01T00:01:30.250Z"
    assert found.headers["last-modified"] == "Thu, 01 Jan 1970 00:01:30 GMT"
    known = {"If-None-Match": found.headers["etag"]}
    same = await project.get(f"{path}/latest.jpg", headers=known)
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["frame-captured-at"] == found.headers["frame-captured-at"]
    # The same bytes of a later frame: a camera that shows a wall is not one that stands still.
    put_picture(live, project.project, task, b"\xff\xd8first", PictureInfo(1920, 1080, 8, 91_250))
    assert (await project.get(f"{path}/latest.jpg", headers=known)).status_code == 200
    sized = await project.get(f"{path}/latest.jpg", params={"width": 320})
    assert (sized.status_code, sized.json()["errors"][0]["field"]) == (422, "width")
    kept = await project.get(f"{path}/7.jpg")
    assert (kept.status_code, kept.json()["code"]) == (404, "frame_not_kept")


async def test_the_last_picture_is_of_ones_own_live_tasks_alone(
    project: ProjectClient, new_key: NewKey, live: LiveApi
) -> None:
    task = recorded_live(project, live)
    put_picture(live, project.project, task, b"\xff\xd8", PictureInfo(8, 8, 0, 0))
    _, key = await new_key()
    async with live.client(key) as other:
        foreign = await other.get(f"/v1/video/tasks/{task}/frames/latest.jpg")
        unknown = await other.get("/v1/video/tasks/vt_nobody/frames/latest.jpg")
    assert (foreign.status_code, foreign.content) == (404, unknown.content)
    file = await submitted(project, {"type": "video_url", "url": CLIP.as_uri()})
    answer = await project.get(f"/v1/video/tasks/{file}/frames/latest.jpg")
    assert (answer.status_code, answer.json()["code"]) == (404, "frame_not_found")


async def number_of(project: ProjectClient, task: str, index: int) -> int | str:
    """Return the number that a frame shows, or the code of the refusal."""
    answer = await project.get(f"/v1/video/tasks/{task}/frames/{index}.jpg")
    if answer.status_code != 200:
        return str(answer.json()["code"])
    assert answer.headers["frame-captured-at"] == rfc3339(90_000 + index)
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return read_number(image)


async def test_frames_of_a_recorded_source_are_the_ones_that_were_asked_for(
    project: ProjectClient, live: LiveApi
) -> None:
    task = recorded_live(project, live, LiveOptions(record=Recording(3600)))
    assert await number_of(project, task, 100) == "frame_not_kept"
    put_piece(live, project.project, task, 100, half=0)
    put_piece(live, project.project, task, 200, half=1)
    asked = (99, 100, 131, 149, 150, 199, 200, 249, 250, 10**8)
    none = "frame_not_kept"
    expected = [none, 0, 31, 49, none, none, 50, 99, none, none]
    assert [await number_of(project, task, index) for index in asked] == expected
    path = f"/v1/video/tasks/{task}/frames"
    small = await project.get(f"{path}/131.jpg", params={"width": 96})
    assert (small.headers["frame-width"], small.headers["frame-height"]) == ("192", "112")


async def test_what_a_worker_recorded_after_another_one_took_over_is_not_shown(
    project: ProjectClient, live: LiveApi
) -> None:
    """The first worker recorded 100 to 149; the second one went on at 120, and stored 140 on."""
    task = recorded_live(project, live, LiveOptions(record=Recording(3600)))
    put_piece(live, project.project, task, 100, half=0)
    assert await number_of(project, task, 145) == 45
    with closing(S3Objects(live.settings.s3)) as objects:
        objects.put(start_key(project.project, task, 120, 9), b"{}")
    none = "frame_not_kept"
    asked = (119, 120, 139, 145, 149)
    assert [await number_of(project, task, index) for index in asked] == [19, *[none] * 4]
    put_piece(live, project.project, task, 140, half=1, epoch=9)
    expected = [19, none, none, 55, 59]
    assert [await number_of(project, task, index) for index in asked] == expected


async def test_a_recording_that_cannot_be_read_has_no_frames(
    project: ProjectClient, live: LiveApi
) -> None:
    task = recorded_live(project, live, LiveOptions(record=Recording(3600)))
    with closing(S3Objects(live.settings.s3)) as objects:
        objects.put(piece_key(project.project, task, 5, 1, "h264"), b"G" + bytes(187))
        objects.put(f"{project.project}/{task}/rec/x", b"")
    assert await number_of(project, task, 5) == "frame_not_kept"
