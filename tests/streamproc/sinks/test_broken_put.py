"""A PUT whose connection breaks between its head and its body leaves nothing behind."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from streamproc.clients.object_store import S3Objects
from streamproc.contract.store_settings import StoreSettings
from streamproc.errors import StoreUnavailableError
from tests.engines import S3Server

KEY = "p/vt_broken/seg/00000000000000000000"


@contextlib.contextmanager
def head_only(target_port: int) -> Iterator[int]:
    """A port that lets the first request's head through, then breaks off on both sides."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        near, _ = listener.accept()
        with near, socket.create_connection(("127.0.0.1", target_port)) as far:
            head = b""
            while b"\r\n\r\n" not in head:
                head += near.recv(65536)
            far.sendall(head[: head.index(b"\r\n\r\n") + 4])
            # The server must have taken the head before the connection ends.
            far.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                far.recv(65536)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()
        listener.close()


def test_a_broken_put_leaves_no_object(s3_server: S3Server) -> None:
    settings = StoreSettings.from_environ(s3_server.environ)
    with head_only(int(s3_server.endpoint.rsplit(":", 1)[1])) as port:
        through = StoreSettings(
            endpoint=f"http://127.0.0.1:{port}",
            bucket=settings.bucket,
            key=settings.key,
            secret=settings.secret,
        )
        broken = S3Objects(through)
        with pytest.raises(StoreUnavailableError):
            broken.put_if_absent(KEY, b"x" * 100_000, {"closed": "0"})
        broken.close()
    store = S3Objects(settings)
    assert store.head(KEY) is None
    assert store.put_if_absent(KEY, b"x" * 100_000, {"closed": "0"})
    whole = store.head(KEY)
    assert whole is not None
    assert whole.size == 100_000
    store.close()
