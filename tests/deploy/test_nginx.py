"""deploy/nginx.conf before an API that notes what reaches it."""

import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.api.bare import read_all, read_answer, wait_until
from tests.deploy.compose import ROOT
from tests.plugins.missing import find_program, needs_program
from tests.ports import die_with_parent, free_ports, wait_for_port

NGINX = find_program("nginx")
pytestmark = [
    pytest.mark.usefixtures("processes"),
    needs_program("nginx", promise="the bounds of deploy/nginx.conf"),
]
KIB = 1024
SMALLER = {
    "limit_conn connections 1024;": "limit_conn connections 3;",
    "client_header_timeout 10s;": "client_header_timeout 1s;",
    "client_body_timeout 20s;": "client_body_timeout 1s;",
    "rate=300r/s": "rate=1r/s",
    "burst=600": "burst=4",
}


class Upstream(ThreadingHTTPServer):
    """Notes paths, and how many bytes of a body have come."""

    daemon_threads = True

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.body_bytes = 0
        super().__init__(("127.0.0.1", 0), _Note)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the play."""


class _Note(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        while left and (piece := self.rfile.read1(min(left, 65536))):
            left -= len(piece)
            self.server.body_bytes += len(piece)
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


class Nginx:
    """nginx on the file, with names of the compose network made loopback ports."""

    def __init__(self, directory: Path, upstream: Upstream, changes: dict[str, str]) -> None:
        assert NGINX is not None
        (self.port,) = free_ports(1)
        self.directory = directory
        text = (ROOT / "deploy/nginx.conf").read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        text = re.sub(r"api-\d:8080", f"127.0.0.1:{upstream.server_port}", text)
        text = text.replace("listen 8080", f"listen 127.0.0.1:{self.port}")
        conf = directory / "nginx.conf"
        conf.write_text(text.replace("/tmp/", f"{directory}/"))
        user = "user root;" if os.geteuid() == 0 else ""
        command = [NGINX, "-p", str(directory), "-e", "stderr", "-c", str(conf)]
        self._process = subprocess.Popen(
            [*command, "-g", f"daemon off; {user}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - the upstream's thread holds no lock
        )
        wait_for_port(self.port)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def ask(self, data: bytes) -> bytes:
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Nginx]:
    server = Nginx(tmp_path_factory.mktemp("nginx"), upstream, {})
    yield server
    server.stop()


@pytest.fixture
def strict(tmp_path: Path, upstream: Upstream) -> Iterator[Nginx]:
    """Small limits and short deadlines, so that they are met."""
    server = Nginx(tmp_path, upstream, SMALLER)
    yield server
    server.stop()


def get(path: str, more: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b\r\n" % (path.encode(), more)


def post(path: str, n_bytes: int) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {n_bytes}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics/",
        "//metrics",
        "///metrics//",
        "/%6detrics",
        "/m%65trics%2f",
        "/./metrics",
        "/v1/../metrics",
        "/v1/%2e%2e/metrics",
        "/metrics?x=1",
        "/metrics%3fx",
        "/metrics;x",
        "http://x/metrics",
    ],
)
def test_counters_are_not_for_the_public_in_any_spelling(
    nginx: Nginx, upstream: Upstream, path: str
) -> None:
    before = len(upstream.paths)
    assert nginx.ask(get(path)).startswith(b"HTTP/1.1 404 ")
    # What another test sent may still arrive.
    assert not [seen for seen in upstream.paths[before:] if "trics" in seen]


def test_an_upload_passes_while_it_arrives(nginx: Nginx, upstream: Upstream) -> None:
    before = upstream.body_bytes
    with nginx.connect() as connection:
        connection.sendall(post("/v1/video/process", 2_000_000) + bytes(1_000_000))
        wait_until(lambda: upstream.body_bytes - before >= 900_000)
        assert not list(nginx.directory.glob("client_body/**/0*"))
        connection.sendall(bytes(1_000_000))
        assert read_answer(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", ["/v1/sql", "/v1/admin/keys", "/", "/v1/video/process/"])
def test_other_bodies_are_small(nginx: Nginx, path: str) -> None:
    assert nginx.ask(post(path, 65 * KIB)).startswith(b"HTTP/1.1 413 ")
    assert nginx.ask(post(path, 60 * KIB) + bytes(60 * KIB)).startswith(b"HTTP/1.1 200 ")


def test_an_upload_has_the_limit_of_the_api(nginx: Nginx) -> None:
    assert nginx.ask(post("/v1/video/process", 97 * KIB * KIB)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "data",
    [get("/" + "a" * 20 * KIB), get("/", b"X: " + b"a" * 20 * KIB + b"\r\n"),
     get("/", b"".join(b"X%d: %b\r\n" % (i, b"a" * 10 * KIB) for i in range(9)))],
    ids=["url", "field", "fields"],
)  # fmt: skip
def test_a_large_head_is_refused(nginx: Nginx, data: bytes) -> None:
    assert nginx.ask(data)[9:12] in {b"400", b"414", b"431"}


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nHost: x\r\n", post("/v1/sql", 100), post("/v1/video/process", 9)]
)
def test_what_does_not_arrive_is_not_waited_for(strict: Nginx, data: bytes) -> None:
    with strict.connect() as connection:
        connection.sendall(data)
        assert read_all(connection)[:12] in {b"", b"HTTP/1.1 408", b"HTTP/1.1 502"}


def test_one_address_has_so_many_connections_and_requests(strict: Nginx) -> None:
    held = [strict.connect() for _ in range(3)]
    for connection in held:
        connection.sendall(post("/v1/video/process", 100))
    statuses: list[bytes] = []

    def refused() -> bool:
        statuses.append(strict.ask(get("/"))[9:12])
        return statuses[-1] == b"429"

    wait_until(refused)
    for connection in held:
        connection.close()
