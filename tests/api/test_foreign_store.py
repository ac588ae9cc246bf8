"""The api's bucket on stores that are not ours: one configuration, sentences, conditions, pages."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from api.settings import Settings
from api.store.object_store import Objects, StoreUnavailableError
from api.tasks import preview_process
from streamproc.clients.conditional_writes import REFUSAL
from streamproc.contract import env
from streamproc.contract.object_keys import segment_key
from tests.certificates import self_signed
from tests.engines import S3Server
from tests.foreign_s3 import Application, deaf, moto, recorded, served

KEY = "p/vt_1/request.json"


@asynccontextmanager
async def opened(server: S3Server, **variables: str) -> AsyncIterator[Objects]:
    base = {env.KAFKA: "127.0.0.1:9", env.CLICKHOUSE: "chdb:///nowhere"}
    found = Objects(Settings.from_environ(base | server.environ | variables).s3)
    try:
        yield found
    finally:
        found.close()


def with_bucket(server: S3Server) -> S3Server:
    server.client().create_bucket(Bucket=server.bucket)
    return server


async def put(objects: Objects, body: bytes) -> bool:
    return await objects.put_if_absent(KEY, body, "application/json")


async def test_ranged_reads_and_the_sdk_have_the_same_token_and_certificate(
    processes: None, engines: None, tmp_path: Path
) -> None:
    requests: list[dict[str, Any]] = []
    certificate, key = self_signed(tmp_path)
    store = recorded(moto(), requests)
    with served(moto()) as plain:
        with_bucket(plain)  # moto's state is one for all of its servers
        with served(store, bucket=plain.bucket, tls=(str(certificate), str(key))) as server:
            secured = {env.S3_CA_BUNDLE: str(certificate), env.S3_SESSION_TOKEN: "the-token"}
            async with opened(server, **secured) as objects:
                await objects.put("p/vt_1/blob", b"0123456789", "text/plain")
                n_before = len(requests)
                assert await objects.get_range("p/vt_1/blob", 2, 5) == b"234"
                (asked,) = requests[n_before:]
                assert "Boto3" not in asked.get("HTTP_USER_AGENT", ""), "not by the short way"
            assert {found.get("HTTP_X_AMZ_SECURITY_TOKEN") for found in requests} == {"the-token"}
            async with opened(server) as objects:
                with pytest.raises(StoreUnavailableError, match="not trusted: AWS_CA_BUNDLE"):
                    await objects.probe()


async def test_what_is_wrong_with_a_key_or_a_bucket_is_in_what_ready_says(
    new_bucket: Callable[[], S3Server],
) -> None:
    server = new_bucket()
    wrong = {
        env.S3_KEY: server._replace(access_key="nobody"),
        env.S3_SECRET: server._replace(secret_key="another"),
        env.S3_BUCKET: server._replace(bucket="framewire-not-there"),
        "nothing listens": server._replace(endpoint="http://127.0.0.1:9"),
    }
    for expected, other in wrong.items():
        async with opened(other) as objects:
            with pytest.raises(StoreUnavailableError, match=expected):
                await objects.probe()
    async with opened(server.reader) as objects:
        refusal = r"does not accept writes\. S3 denies access"
        with pytest.raises(StoreUnavailableError, match=refusal):
            await objects.probe()


async def test_a_store_that_ignores_conditions_takes_no_request_and_is_not_ready(
    engines: None,
) -> None:
    with served(deaf(moto())) as server:
        with_bucket(server)
        async with opened(server, **{env.S3_TRIED: "0"}) as objects:
            for _ in range(2):
                with pytest.raises(StoreUnavailableError) as refused:
                    await put(objects, b"one")
                assert refused.value.detail == REFUSAL
            with pytest.raises(StoreUnavailableError, match="FRAMEWIRE_S3_UNCONDITIONAL=1"):
                await objects.probe()
            assert not await objects.exists(KEY)
        async with opened(server, **{env.S3_UNCONDITIONAL: "1"}) as objects:
            await objects.probe()
            assert await put(objects, b"one")
            assert await put(objects, b"one"), "the same again is the same success"
            assert not await put(objects, b"two")
            assert await objects.get(KEY) == b"one"


async def test_a_store_that_honours_them_is_tried_out_once(engines: None) -> None:
    requests: list[dict[str, Any]] = []
    with served(recorded(moto(), requests)) as server:
        with_bucket(server)
        async with opened(server, **{env.S3_TRIED: "0"}) as objects:
            assert await put(objects, b"one")
            n_first = len(requests)
            assert not await put(objects, b"two")
            assert len(requests) == n_first + 2, "a PUT that is refused, and a look at who won"


def paged(application: Application) -> Application:
    """Return a store whose listings have two objects a page."""

    def other(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if "list-type" in query:
            environ["QUERY_STRING"] = urlencode({**query, "max-keys": "2"}, doseq=True)
        return application(environ, start)

    return other


async def test_a_listing_goes_on_by_its_token_alone(engines: None) -> None:
    requests: list[dict[str, Any]] = []
    with served(paged(recorded(moto(), requests))) as server:
        with_bucket(server)
        for start in range(0, 700, 100):
            server.client().put_object(
                Bucket=server.bucket, Key=segment_key("p", "vt_1", start), Body=b"x" * 100
            )
        requests.clear()
        async with opened(server) as objects:
            found = await objects.list_segments("p", "vt_1", after_start=100)
        assert [segment.start for segment in found] == [200, 300, 400, 500, 600]
        queries = [parse_qs(request["QUERY_STRING"]) for request in requests]
        asked = [query.keys() & {"start-after", "continuation-token"} for query in queries]
        assert asked == [{"start-after"}, {"continuation-token"}, {"continuation-token"}]


def test_previews_of_uploads_are_fetched_with_the_same_authorities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(env.S3_CA_BUNDLE, "/etc/framewire/s3.pem")
    assert preview_process._environment()[env.S3_CA_BUNDLE] == "/etc/framewire/s3.pem"
