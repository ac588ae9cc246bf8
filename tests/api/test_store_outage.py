"""While S3 is in trouble the api says so, and that it passes: never that a video is gone."""

import base64
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from api.settings import Settings
from api.store.object_store import Objects, StoreUnavailableError
from tests.api.test_frames_route import CLIP, submitted
from tests.engines import S3Server
from tests.s3_faults import Fault, S3FaultProxy, faulty

BLOB = bytes(range(256)) * 4096
KEY = "p/vt_1/seg/00000000000000000000"


@pytest.fixture(scope="module")
def proxy(s3_server: S3Server) -> Iterator[S3FaultProxy]:
    with faulty(s3_server.endpoint) as one:
        yield one


@pytest.fixture(scope="module")
def settings(settings: Settings, proxy: S3FaultProxy) -> Settings:
    spoilt = msgspec.structs.replace(settings.s3, endpoint=proxy.endpoint)
    return msgspec.structs.replace(settings, s3=spoilt)


@pytest.fixture(autouse=True)
def _healed(proxy: S3FaultProxy) -> Iterator[None]:
    yield
    proxy.heal()


@pytest.mark.parametrize("fault", ["503", "reset", "truncated", "skew"])
async def test_a_read_that_fails_is_a_503_and_never_half_an_object(
    fault: Fault, proxy: S3FaultProxy, s3_server: S3Server, settings: Settings
) -> None:
    s3_server.client().put_object(Bucket=s3_server.bucket, Key=KEY, Body=BLOB)
    store = Objects(settings.s3)
    proxy.fail(fault)
    for read in (store.get(KEY), store.get_range(KEY, 5, 500_000)):
        with pytest.raises(StoreUnavailableError):
            await read
    proxy.heal()
    assert await store.get(KEY) == BLOB
    assert await store.get_range(KEY, 5, 500_000) == BLOB[5:500_000]
    store.close()


@pytest.mark.parametrize("fault", ["503", "truncated"])
async def test_a_preview_of_an_uploaded_video_is_503_meanwhile(
    fault: Fault, proxy: S3FaultProxy, project: httpx.AsyncClient
) -> None:
    item = {"type": "video_base64", "data": base64.b64encode(CLIP.read_bytes()).decode()}
    task = await submitted(project, item)
    path = f"/v1/video/tasks/{task}/frames/3.jpg"
    proxy.fail(fault)
    answer = await project.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    proxy.heal()
    assert (await project.get(path)).status_code == 200
