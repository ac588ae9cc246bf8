"""Every client of S3 in this package is made of one configuration, on a store that is not ours."""

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pytest
import structlog

from streamproc.allowed_hosts import PrivateHosts
from streamproc.clients.object_store import S3Objects
from streamproc.clients.staged_objects import BucketUploads
from streamproc.contract import env
from streamproc.contract.store_settings import StoreSettings
from streamproc.errors import StoreUnavailableError
from streamproc.settings import read_source_settings
from streamproc.sinks.archive.store_check import StoreTrial
from streamproc.source.errors import SourceUnreachableError
from streamproc.source.fetch.opener import open_reader
from streamproc.source.fetch.policy import FetchPolicy
from tests.certificates import self_signed
from tests.engines import S3Server
from tests.foreign_s3 import Application, deaf, moto, recorded, served

LOG = structlog.get_logger("test")
BODY = bytes(range(256)) * 40


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BinaryIO]:
    path = tmp_path / "source"
    path.write_bytes(BODY)
    with path.open("rb") as opened:
        yield opened


@pytest.fixture
def s3(foreign_s3: S3Server) -> S3Server:
    foreign_s3.client().create_bucket(Bucket=foreign_s3.bucket)
    return foreign_s3


def capitalising(application: Application) -> Application:
    """Return a store that gives the names of metadata back as `X-Amz-Meta-Pin`."""

    def other(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start(status, [(name.title(), value) for name, value in headers], *more)

        return application(environ, begin)

    return other


def test_the_pin_of_a_staged_source_is_found_in_whatever_case_it_comes_back(
    engines: None, file: BinaryIO
) -> None:
    with served(capitalising(moto())) as server:
        server.client().create_bucket(Bucket=server.bucket)
        uploads = BucketUploads(StoreSettings.from_environ(server.environ))
        uploads.stage("p/vt_1/source", file, "the-pin")
        assert uploads.staged_pin("p/vt_1/source") == "the-pin"
        raw = server.client().head_object(Bucket=server.bucket, Key="p/vt_1/source")["Metadata"]
        assert raw == {"Pin": "the-pin"}, "the store does not do what this is about"


def test_temporary_keys_have_their_token_in_every_request(engines: None, file: BinaryIO) -> None:
    requests: list[dict[str, Any]] = []
    with served(recorded(moto(), requests)) as server:
        server.client().create_bucket(Bucket=server.bucket)
        requests.clear()
        environ = server.environ | {env.S3_SESSION_TOKEN: "the-token"}
        uploads = BucketUploads(StoreSettings.from_environ(environ))
        uploads.stage("p/vt_1/source", file, "pin")
        uploads.staged_pin("p/vt_1/source")
        store = S3Objects(StoreSettings.from_environ(environ))
        store.put_if_absent("p/vt_1/x", b"x", {})
        assert [found.key for found in store.keys("p/")] == ["p/vt_1/source", "p/vt_1/x"]
        store.close()
        assert len(requests) == 4
        tokens = {request.get("HTTP_X_AMZ_SECURITY_TOKEN") for request in requests}
        assert tokens == {"the-token"}
        assert "X-Amz-Security-Token=the-token" in uploads.url("p/vt_1/source")


@pytest.mark.parametrize("host", ["127.0.0.1", "LocalHost"])
def test_a_staged_source_is_read_over_tls_with_the_one_bundle(
    processes: None,
    engines: None,
    tmp_path: Path,
    file: BinaryIO,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
) -> None:
    """`SSL_CERT_FILE` is not needed beside it, and the host's case does not matter."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    certificate, key = self_signed(tmp_path, "IP:127.0.0.1,DNS:localhost")
    with served(moto(), tls=(str(certificate), str(key))) as local:
        server = local._replace(endpoint=local.endpoint.replace("127.0.0.1", host))
        environ = server.environ | {env.S3_CA_BUNDLE: str(certificate), env.KAFKA: "unused"}
        store = S3Objects(StoreSettings.from_environ(environ))
        store_client(environ).create_bucket(Bucket=server.bucket)
        store.put_if_absent("p/vt_1/seg", b"bytes", {})
        assert store.get("p/vt_1/seg") == b"bytes"
        store.close()
        uploads = BucketUploads(StoreSettings.from_environ(environ))
        uploads.stage("p/vt_1/source", file, "pin")
        policy = FetchPolicy.of(read_source_settings(environ))
        reader = open_reader(uploads.url("p/vt_1/source"), policy.for_own_store(uploads.host))
        assert reader.read_at(0, len(BODY)) == BODY
        reader.close()
        for_clients = msgspec.structs.replace(
            policy, allowed_private_hosts=PrivateHosts(uploads.host or "")
        )
        with pytest.raises(
            SourceUnreachableError
        ):  # their sources are not the store's to vouch for
            open_reader(uploads.url("p/vt_1/source"), for_clients)


def store_client(environ: dict[str, str]) -> Any:
    from streamproc.clients.s3 import open_client

    return open_client(StoreSettings.from_environ(environ))


def test_where_one_writer_is_promised_what_is_there_still_stays(
    engines: None, file: BinaryIO
) -> None:
    with served(deaf(moto())) as server:
        server.client().create_bucket(Bucket=server.bucket)
        environ = server.environ | {env.S3_UNCONDITIONAL: "1"}
        store = S3Objects(StoreSettings.from_environ(environ))
        assert store.put_if_absent("k", b"first", {})
        assert not store.put_if_absent("k", b"second", {})
        assert store.get("k") == b"first"
        store.close()
        uploads = BucketUploads(StoreSettings.from_environ(environ))
        uploads.stage("s", file, "first")
        uploads.stage("s", io.FileIO(file.fileno(), closefd=False), "second")
        assert uploads.staged_pin("s") == "first"


def test_the_archive_ends_on_a_store_that_ignores_conditions(engines: None) -> None:
    stop = threading.Event()
    with served(deaf(moto())) as server:
        server.client().create_bucket(Bucket=server.bucket)
        store = S3Objects(StoreSettings.from_environ(server.environ | {env.S3_TRIED: "0"}))
        trial = StoreTrial(store, stop, LOG)
        trial.start()
        assert stop.wait(30)
        trial.join()
        store.close()
    assert trial.failed


def test_a_store_that_is_away_is_tried_out_once_it_answers(s3: S3Server) -> None:
    """Until then its trial is no verdict, and does not outlive the role."""
    stop = threading.Event()
    away = s3._replace(endpoint="http://127.0.0.1:9")
    store = S3Objects(StoreSettings.from_environ(away.environ | {env.S3_TRIED: "0"}))
    with pytest.raises(StoreUnavailableError, match="refuses the connection"):
        store.honours_conditions()
    trial = StoreTrial(store, stop, LOG)
    trial.start()
    stop.set()
    trial.join()
    store.close()
    assert not trial.failed
    there = S3Objects(StoreSettings.from_environ(s3.environ | {env.S3_TRIED: "0"}))
    assert there.honours_conditions()
    there.close()
