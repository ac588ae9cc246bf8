"""A source without ranged requests is fetched once, whoever works on it."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from models.registry import Registry
from streamproc.allowed_hosts import PrivateHosts
from streamproc.clients.staged_objects import BucketUploads
from streamproc.contract import env
from streamproc.contract.object_keys import source_key
from streamproc.contract.providers import LOCAL
from streamproc.contract.records import FoldPoint, Submitted
from streamproc.contract.store_settings import StoreSettings
from streamproc.contract.task_spec import Sampling
from streamproc.errors import TaskFailedError, UploadsUnavailableError
from streamproc.providers.engine_factory import Engines
from streamproc.providers.model_cache import ModelCache
from streamproc.providers.staging import is_staged, stage_behind
from streamproc.settings import read_settings
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import open_source
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.brokers import KafkaNode
from tests.engines import S3Server
from tests.streamproc.source.origin import Handler, Origin, serving
from tests.workers import CLIP, chunks_of, make_spec, submit, timeless, workers

VIDEO = CLIP.read_bytes()


@pytest.fixture
def bucket(new_bucket: Callable[[], S3Server]) -> S3Server:
    return new_bucket()


@pytest.fixture
def whole_only() -> Iterator[Origin]:
    """A server that gives the video from its first byte alone, and the length beforehand."""
    with serving(lambda handler: handler.answer(200, VIDEO)) as origin:
        yield origin


def _until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def _exists(bucket: S3Server, key: str) -> bool:
    try:
        bucket.client().head_object(Bucket=bucket.bucket, Key=key)
    except ClientError:
        return False
    return True


def test_a_killed_workers_task_goes_on_from_the_staged_copy_alone(
    kafka: KafkaNode, bucket: S3Server, whole_only: Origin, tmp_path: Path
) -> None:
    settings = {**bucket.environ, env.PRIVATE_HOSTS: whole_only.authority}
    sampling = Sampling("interval", 4)
    spec = make_spec(f"http://{whole_only.authority}/clip.mp4", sampling=sampling)
    slow = "tests.e2e.slow_device"  # no worker is through before it is killed
    with workers(kafka, tmp_path, "one", "two", module=slow, **settings) as (one, two):
        local = make_spec(f"file://{CLIP}", sampling=sampling)
        undisturbed = chunks_of(submit(kafka, local).follow())
        by_name = {"one": one, "two": two}
        tail = submit(kafka, spec)
        key = source_key(tail.submitted.project, tail.submitted.task)
        tail.follow(until_length=1)
        _until(lambda: _exists(bucket, key))
        by_name[tail.claims[-1][1].worker].send(signal.SIGKILL)
        chunks = chunks_of(tail.follow())
    assert len({claim.worker for _, claim in tail.claims}) == 2
    assert timeless(chunks) == timeless(undisturbed)
    assert len(whole_only.requests) == 1
    body = bucket.client().get_object(Bucket=bucket.bucket, Key=key)["Body"].read()
    assert body == VIDEO


def _spooled(origin: Origin, uploads: BucketUploads, key: str) -> str:
    """Open the origin's video, stage it, and return its pin."""
    policy = FetchPolicy(allowed_private_hosts=PrivateHosts(origin.authority))
    url = f"http://{origin.authority}/clip.mp4"
    with open_source(SourceSpec(url), policy, FrameOutputs()) as source:
        stage_behind(source, uploads, key).join(20)
        return source.info.fingerprint


def test_what_is_staged_is_found_by_the_pin_of_the_original(
    bucket: S3Server, whole_only: Origin
) -> None:
    uploads = BucketUploads(StoreSettings.from_environ(bucket.environ))
    pin = _spooled(whole_only, uploads, "p/t/source")
    assert is_staged(uploads, "p/t/source", pin)
    assert not is_staged(uploads, "p/t/source", "another video's")
    assert not is_staged(uploads, "p/other/source", pin)
    _spooled(whole_only, uploads, "p/t/source")  # somebody was first: nothing is overwritten
    assert is_staged(uploads, "p/t/source", pin)


def test_a_body_that_breaks_off_is_not_staged(bucket: S3Server) -> None:
    def short(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(VIDEO)))
        handler.end_headers()
        handler.wfile.write(VIDEO[: len(VIDEO) // 2])
        handler.close_connection = True

    with serving(short) as origin:
        _spooled(origin, BucketUploads(StoreSettings.from_environ(bucket.environ)), "p/t/source")
    assert not _exists(bucket, "p/t/source")


def test_without_s3_nothing_is_staged_and_nothing_is_known(whole_only: Origin) -> None:
    environ = {env.S3_ENDPOINT: "http://127.0.0.1:9", env.S3_KEY: "k", env.S3_SECRET: "s"}
    uploads = BucketUploads(StoreSettings.from_environ(environ))
    pin = _spooled(whole_only, uploads, "p/t/source")
    with pytest.raises(UploadsUnavailableError):
        is_staged(uploads, "p/t/source", pin)


def _reopened(environ: dict[str, str], origin: Origin) -> None:
    """Open a task whose log was begun with another video than the origin has now."""
    settings = read_settings(
        {env.KAFKA: "not used", env.PRIVATE_HOSTS: origin.authority, **environ}
    )
    spec = make_spec(f"http://{origin.authority}/clip.mp4", ())
    submitted = Submitted("t", "p", 0, 1, spec, FoldPoint(0))
    shelf = ModelCache(Registry(None))
    with ThreadPoolExecutor(1) as pool:
        engines = Engines(settings, shelf, pool, BucketUploads(settings.store), depth=1)
        engines.open(LOCAL.name, submitted, "f32", None, "another pin", Interrupt())


def test_what_the_origin_does_not_give_any_more_may_be_in_s3_so_s3_is_waited_for(
    bucket: S3Server, whole_only: Origin
) -> None:
    with pytest.raises(UploadsUnavailableError):
        _reopened({**bucket.environ, env.S3_ENDPOINT: "http://127.0.0.1:9"}, whole_only)
    with pytest.raises(TaskFailedError) as caught:
        _reopened(bucket.environ, whole_only)
    assert caught.value.code == "source_changed"
