"""Logins, secrets and addresses: what a camera's password may do, and where nobody may connect."""

import argparse
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from tests.live.camera import camera
from tests.live.faults.figures import Figure, at_least, at_most, equal
from tests.live.faults.rig import LOGIN, Rig, Watching, street
from tests.live.media_server import media_server

_PASSWORD = "us er:p@ss:w/rd#1"
_SCHEMES = (("digest", "MD5"), ("digest", "SHA-256"), ("basic", None))


def password(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """Passwords with special characters, a wrong one, and one that is refused later."""
    found = []
    login = f"op:{quote(_PASSWORD, safe='')}"
    for scheme, algorithm in _SCHEMES:
        with camera(street(), login=("op", _PASSWORD), scheme=scheme, algorithm=algorithm) as one:
            watched = Watching(rig, one.url(login))
            watched.wait_frames(5)
            watched.cancel()
            found.append(equal(f"{scheme} {algorithm or ''}: tries", one.n_tries, 1))
    with camera(street(), login=("op", _PASSWORD)) as one:
        watched = Watching(rig, one.url("op:wrong"))
        watched.join(30)
        error = watched.terminal.error
        spent_s = watched.seen[-1].at_s - watched.begun_s
        found += [
            equal("wrong: the task's error", getattr(error, "code", None), "source_unauthorized"),
            at_most("wrong: failed after", spent_s, 2.0),
            at_most("wrong: tries", one.n_tries, 2, ""),
        ]
    with camera(street(), login=("op", _PASSWORD)) as one:
        watched = Watching(rig, one.url(login))
        watched.wait_frames(5)
        one.refuse()
        one.hang_up()
        one.wait(lambda: one.n_tries == 2)
        refused_s = time.monotonic()
        one.wait(lambda: one.n_tries == 3, 90.0)
        found.append(at_least("refused later: next try", time.monotonic() - refused_s, 60.0, "s"))
        watched.cancel()
    return found


def secrets(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """The password of `camera:gate` in logs, topics, S3, tables, answers and argument lists."""
    secret = LOGIN[1].encode()
    with camera(street(), login=LOGIN, port=rig.gate_port) as one:
        watched = Watching(rig, "camera:gate")
        watched.wait_frames(10)
        lines = [*_command_lines()]
        one.hang_up()
        watched.wait_frames(10, time.monotonic())
        one.refuse()
        one.hang_up()
        time.sleep(5.0)
        watched.cancel()
        n_tries = one.n_tries
    paths = (
        f"/v1/video/tasks/{watched.task}?include=request",
        f"/v1/video/tasks/{watched.task}/results",
        f"/v1/video/tasks/{watched.task}/stream?live=false",
        "/v1/video/tasks?include=counts",
        "/v1/system",
        "/metrics",
    )
    answers = [rig.client._http.get(rig.stack.url + path).content for path in paths]
    files = [path for path in (rig.directory / "data").rglob("*") if path.is_file()]
    bodies = [path.read_bytes() for path in files]
    return [
        at_least("the password was asked for", n_tries, 2, "times"),
        equal(f"hits in {len(lines)} argument lists", _hits(lines, secret), 0),
        equal(f"hits in {len(answers)} answers of the api", _hits(answers, secret), 0),
        equal(f"hits in {len(files)} files of the stack's data", _hits(bodies, secret), 0),
    ]


def guard(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """Sources that lead to addresses which are not allowed: nobody connects there."""
    found = []
    with _forbidden() as (port, connections), camera(street()) as one, media_server() as server:
        there = f"127.0.0.2:{port}"
        one.redirect(f"rtsp://{there}/cam")
        lists = {
            "segment": f"#EXTINF:2,\nhttp://{there}/a.ts",
            "key": f'#EXT-X-KEY:METHOD=AES-128,URI="http://{there}/k"\n#EXTINF:2,\na.ts',
            "map": f'#EXT-X-MAP:URI="http://{there}/m"\n#EXTINF:2,\na.m4s',
            "variant": f"#EXT-X-STREAM-INF:BANDWIDTH=9\nhttp://{there}/v.m3u8",
        }
        for name, text in lists.items():
            body = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{text}\n".encode()
            server.file(f"/{name}.m3u8", body)
        server.file("/a.ts", bytes(188))
        server.file("/a.m4s", b"\0\0\0\x08styp")
        urls = {
            "link-local": "rtsp://169.254.169.254/cam",
            "another host": f"rtsp://{there}/cam",
            "IPv6-mapped": f"rtsp://[::ffff:127.0.0.2]:{port}/cam",
            "decimal": f"rtsp://2130706434:{port}/cam",
            "rtmp": f"rtmp://{there}/live/cam",
            "RTSP redirect": one.url(),
            **{f"HLS {name}": server.url(f"/{name}.m3u8") for name in lists},
        }
        for name, url in urls.items():
            watched = Watching(rig, url)
            watched.join(90)
            code = getattr(watched.terminal.error, "code", None)
            found.append(equal(name, code, "source_forbidden"))
        found.append(equal("connections to the forbidden address", len(connections), 0))
    return found


def _command_lines() -> Iterator[bytes]:
    for process in psutil.process_iter():
        with suppress(OSError):
            yield (Path("/proc") / str(process.pid) / "cmdline").read_bytes()


def _hits(texts: list[bytes], secret: bytes) -> int:
    return sum(text.count(secret) for text in texts)


@contextmanager
def _forbidden() -> Iterator[tuple[int, list[object]]]:
    """Listen on an address that the stack may not reach; yield its port and who came."""
    connections: list[object] = []
    with socket.create_server(("127.0.0.2", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connections.append(listening.accept())

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listening.getsockname()[1], connections
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
