"""Whether the bucket can be used: reading alone is not enough, and asking costs little."""

import socket
from collections.abc import Callable, Iterator

import pytest

from api.settings import Settings
from api.store.object_store import Objects, StoreUnavailableError
from streamproc.contract import env
from tests.engines import S3Server

NewBucket = Callable[[], S3Server]


@pytest.fixture
def server(new_bucket: NewBucket) -> S3Server:
    return new_bucket()


@pytest.fixture
def open_store() -> Iterator[Callable[[S3Server], Objects]]:
    opened: list[Objects] = []

    def make(server: S3Server) -> Objects:
        base = {env.KAFKA: "127.0.0.1:9", env.CLICKHOUSE: "chdb:///nowhere"}
        opened.append(Objects(Settings.from_environ({**base, **server.environ}).s3))
        return opened[-1]

    yield make
    for objects in opened:
        objects.close()


def keys(server: S3Server) -> list[str]:
    found = server.client().list_objects_v2(Bucket=server.bucket)
    return [item["Key"] for item in found.get("Contents", [])]


async def test_a_store_that_nobody_wrote_to_is_given_an_object_once(
    server: S3Server, open_store: Callable[[S3Server], Objects]
) -> None:
    objects = open_store(server)
    await objects.probe()
    (key,) = keys(server)
    server.client().delete_object(Bucket=server.bucket, Key=key)
    await objects.probe()
    assert keys(server) == []


async def test_a_store_that_took_an_object_lately_is_only_asked(
    server: S3Server, open_store: Callable[[S3Server], Objects]
) -> None:
    objects = open_store(server)
    await objects.put("p/vt_1/request.json", b"{}", "application/json")
    await objects.probe()
    assert keys(server) == ["p/vt_1/request.json"]


async def test_a_store_that_answers_and_takes_nothing_is_not_ready(
    server: S3Server, open_store: Callable[[S3Server], Objects]
) -> None:
    objects = open_store(server.reader)
    assert await objects.get("p/vt_1/request.json") is None
    with pytest.raises(StoreUnavailableError, match="does not accept writes"):
        await objects.probe()


async def test_a_store_that_takes_the_connection_and_is_silent_is_away_after_a_while(
    server: S3Server,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        base = {env.KAFKA: "127.0.0.1:9", env.CLICKHOUSE: "chdb:///nowhere"}
        environ = {**base, **server._replace(endpoint=endpoint).environ}
        objects = Objects(Settings.from_environ(environ).s3, read_timeout_s=2.0, answer_s=0.2)
        with pytest.raises(StoreUnavailableError):
            await objects.put_if_absent("p/vt_1/request.json", b"{}", "application/json")
        objects.close()
