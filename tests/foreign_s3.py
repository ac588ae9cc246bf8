"""An S3 that is not ours, for tests: moto in a thread of the process, with faults on demand.

Its state is the process's: each test has a bucket of its own.
"""

import secrets
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.engines import S3Server

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Wrapping = Callable[[Application], Application]


def moto() -> Application:
    """Return moto's S3; conditional writes are decided one at a time, as moto alone does not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    application = DomainDispatcherApplication(create_backend_app)
    turn = threading.Lock()

    def one_at_a_time(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "PUT":
            answer: Iterable[bytes] = application(environ, start)
            return answer
        with turn:
            return list(application(environ, start))

    return one_at_a_time


def deaf(application: Application) -> Application:
    """Return the same store, which ignores `If-None-Match`."""

    def without(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        environ.pop("HTTP_IF_NONE_MATCH", None)
        return application(environ, start)

    return without


def recorded(application: Application, requests: list[dict[str, Any]]) -> Application:
    """Return the same store; what it is asked is added to `requests`, as WSGI has it."""

    def recording(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        requests.append(dict(environ))
        return application(environ, start)

    return recording


@contextmanager
def served(
    application: Application, *, bucket: str | None = None, tls: tuple[str, str] | None = None
) -> Iterator[S3Server]:
    """Serve on a free port; there is no bucket yet. `tls`: files of the certificate and the key."""
    from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_: Any) -> None:
            """Write nothing."""

    server = make_server(
        "127.0.0.1", 0, application, threaded=True, request_handler=Quiet, ssl_context=tls
    )
    assert isinstance(server, ThreadedWSGIServer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="foreign-s3", daemon=True)
    thread.start()
    try:
        yield S3Server(
            endpoint=f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}",
            access_key="key",
            secret_key="secret",
            bucket=bucket or f"framewire-{secrets.token_hex(6)}",
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def moto_s3(engines: None) -> Iterator[S3Server]:
    """The process's moto: tests ask for `foreign_s3`."""
    with served(moto()) as server:
        yield server


@pytest.fixture
def foreign_s3(moto_s3: S3Server) -> S3Server:
    """A foreign S3 with a bucket name of the test's own; the bucket is not there yet."""
    return moto_s3._replace(bucket=f"framewire-{secrets.token_hex(6)}")
