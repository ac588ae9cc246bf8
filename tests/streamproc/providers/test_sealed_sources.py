"""A worker opens the URL that the api sealed, and shows it to nobody but the origin."""

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from models.registry import Registry
from streamproc.contract import env
from streamproc.contract.chunk import ChunkError
from streamproc.contract.masking import mask_url
from streamproc.contract.object_keys import secret_key
from streamproc.contract.records import FoldPoint, Submitted
from streamproc.contract.sealing import Sealer
from streamproc.contract.task_spec import SourceRef
from streamproc.errors import TaskFailedError, UploadsUnavailableError
from streamproc.providers.engine_factory import Engines
from streamproc.providers.model_cache import ModelCache
from streamproc.settings import read_settings
from tests.brokers import KafkaNode
from tests.engines import S3Server
from tests.streamproc.source.origin import Handler, Origin, serving
from tests.workers import CLIP, chunks_of, make_spec, submit, workers

KEY = base64.b64encode(b"k" * 32).decode()
VIDEO = CLIP.read_bytes()
SIGNATURE = "5ignature"


@pytest.fixture
def signed() -> Iterator[Origin]:
    """A server that gives the video to whom the whole query is known."""

    def behave(handler: Handler) -> None:
        if f"X-Amz-Signature={SIGNATURE}&n=1" in handler.path:
            handler.answer_range(VIDEO)
        else:
            handler.answer(403, b"")

    with serving(behave) as origin:
        yield origin


@pytest.mark.stack
def test_a_worker_reads_what_only_the_sealed_url_opens(
    kafka: KafkaNode, new_bucket: Callable[[], S3Server], signed: Origin, tmp_path: Path
) -> None:
    bucket = new_bucket()
    url = f"http://{signed.authority}/clip.mp4?X-Amz-Signature={SIGNATURE}&n=1"
    plain = make_spec(url, max_frames=3)
    spec = msgspec.structs.replace(plain, source=SourceRef(url=mask_url(url), sealed=True))
    task = f"vt_{time.time_ns()}"
    sealed = Sealer(KEY).seal("p", task, url)
    bucket.client().put_object(Bucket=bucket.bucket, Key=secret_key("p", task), Body=sealed)
    settings = {
        **bucket.environ,
        env.PRIVATE_HOSTS: signed.authority,
        env.SECRET_KEY: KEY,
        env.LOG: "debug",
    }
    with workers(kafka, tmp_path, "opener", **settings) as (worker,):
        *frames, terminal = chunks_of(submit(kafka, spec, task).follow())
        assert (len(frames), terminal.finish_reason) == (3, "max_frames")
        (without,) = chunks_of(submit(kafka, spec).follow())
        assert isinstance(without.error, ChunkError)
        assert without.error.code == "source_sealed"
        before = make_spec(url, max_frames=1)  # as older versions wrote it
        assert len(chunks_of(submit(kafka, before).follow())) == 2
        assert SIGNATURE not in worker.log.read_text()


class OneObject:
    """`Uploads` with one sealed URL; `away`: S3 does not answer."""

    host = None

    def __init__(self, sealed: bytes | None, *, away: bool = False) -> None:
        self._sealed, self._away = sealed, away

    def sealed(self, object_key: str) -> bytes | None:
        assert object_key == secret_key("p", "t")
        if self._away:
            raise UploadsUnavailableError("S3 GET: 503")
        return self._sealed

    def url(self, object_key: str) -> str:
        raise AssertionError(object_key)

    def probe(self, object_key: str) -> None:
        raise AssertionError(object_key)

    def stage(self, object_key: str, file: BinaryIO, pin: str) -> None:
        raise AssertionError(object_key)

    def staged_pin(self, object_key: str) -> str | None:
        return None


def opened(uploads: OneObject, keys: str | None) -> None:
    """Open a task's source as a worker does; what follows the URL is a refused scheme."""
    environ = {env.KAFKA: "k:1", **({env.SECRET_KEY: keys} if keys else {})}
    spec = make_spec("http://***@h/clip.mp4", ())
    spec = msgspec.structs.replace(spec, source=SourceRef(url="http://***@h/", sealed=True))
    submitted = Submitted("t", "p", 0, 1, spec, FoldPoint(0))
    with ThreadPoolExecutor(1) as pool:
        engines = Engines(
            read_settings(environ), ModelCache(Registry(None)), pool, uploads, depth=1
        )
        engines._place(submitted)


@pytest.mark.parametrize(
    ("uploads", "keys", "says"),
    [
        (OneObject(Sealer(KEY).seal("p", "t", "u")), None, "no FRAMEWIRE_SECRET_KEY"),
        (OneObject(None), KEY, "not kept any more"),
        (OneObject(Sealer(KEY).seal("p", "other", "u")), KEY, "another task"),
        (OneObject(Sealer(KEY).seal("p", "t", "u")), "A" * 43 + "=", "none of the keys"),
    ],
)
def test_what_cannot_be_opened_fails_the_task_and_says_why(
    uploads: OneObject, keys: str | None, says: str
) -> None:
    with pytest.raises(TaskFailedError, match=says) as caught:
        opened(uploads, keys)
    assert caught.value.code == "source_sealed"


def test_a_store_that_is_away_is_waited_for_and_fails_no_task() -> None:
    with pytest.raises(UploadsUnavailableError):
        opened(OneObject(None, away=True), KEY)
