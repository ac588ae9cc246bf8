"""Endless responses over HTTP: MPEG-TS, FLV and MJPEG, from a real server."""

import hashlib
import re
import time
from collections.abc import Iterator

import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.source.errors import (
    SourceError,
    SourceForbiddenError,
    SourceNotVideoError,
    SourceTimeoutError,
    SourceUnauthorizedError,
    SourceUnreachableError,
)
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.credentials import Credentials
from streamproc.source.live.hls.playlist import Loaded
from streamproc.source.live.http_stream import HttpStream, open_http
from streamproc.source.live.rtp.depacketizer import AccessUnit
from tests.live.media_server import MediaServer, Reply, media_server
from tests.streamproc.source.live.containers.muxed import muxed, shown
from tests.streamproc.source.live.containers.test_multipart import PICTURES, parts

LOCAL = FetchPolicy(allowed_private_hosts=PrivateHosts("127.0.0.1"))


@pytest.fixture(scope="module")
def server() -> Iterator[MediaServer]:
    with media_server() as server:
        yield server


def opened(
    server: MediaServer, path: str, *, stall_s: float = 2.0, login: Credentials | None = None
) -> HttpStream:
    url = server.url(path)
    stream = open_http(url, LOCAL, Interrupt(), stall_s=stall_s, credentials=login)
    assert isinstance(stream, HttpStream)
    return stream


def read_all(stream: HttpStream) -> tuple[list[AccessUnit], SourceError]:
    units: list[AccessUnit] = []
    try:
        while True:
            units += stream.receive()
    except SourceError as exc:
        return units, exc
    finally:
        stream.close()


def endless(data: bytes, *, step: int = 1000) -> Iterator[bytes]:
    for at in range(0, len(data), step):
        yield data[at : at + step]


@pytest.mark.parametrize("container", ["mpegts", "flv"])
def test_a_stream_is_known_by_its_bytes_and_its_end_is_a_loss(
    server: MediaServer, container: str
) -> None:
    source = muxed(container, "h264")
    server.paths["/cam"] = lambda _: Reply(endless(source.data))
    stream = opened(server, "/cam")
    assert (stream.codec, stream.size) == ("h264", (176, 144))
    units, loss = read_all(stream)
    assert isinstance(loss, SourceUnreachableError)
    n_lacking = 1 if container == "mpegts" else 0  # the next picture would have ended the last
    assert shown("h264", [unit.data for unit in units]) == [
        *source.pictures[: len(source.pictures) - n_lacking]
    ]


def test_mjpeg_is_known_by_its_media_type(server: MediaServer) -> None:
    kind = {"Content-Type": "multipart/x-mixed-replace; boundary=cut"}
    server.paths["/jpeg"] = lambda _: Reply(endless(parts(with_length=True)), headers=kind)
    stream = opened(server, "/jpeg")
    assert stream.codec == "mjpeg"
    units, _ = read_all(stream)
    assert [unit.data for unit in units] == PICTURES


def test_mjpeg_without_a_media_type_is_known_by_its_first_part(server: MediaServer) -> None:
    kind = {"Content-Type": "application/octet-stream"}
    server.paths["/octets"] = lambda _: Reply(endless(parts(with_length=True)), headers=kind)
    stream = opened(server, "/octets")
    units, _ = read_all(stream)
    assert (stream.codec, [unit.data for unit in units]) == ("mjpeg", PICTURES)


def test_a_stream_that_falls_silent_is_lost_in_time(server: MediaServer) -> None:
    def silent() -> Iterator[bytes]:
        yield muxed("flv", "h264").data
        server.stopping.wait(10)

    server.paths["/silent"] = lambda _: Reply(silent())
    stream = opened(server, "/silent", stall_s=0.5)
    begun_s = time.monotonic()
    units, loss = read_all(stream)
    assert isinstance(loss, SourceTimeoutError)
    assert time.monotonic() - begun_s < 5
    assert len(units) == 32


def test_sound_alone_that_goes_on_is_a_loss(server: MediaServer) -> None:
    """Bytes without a picture are as good as silence."""

    def padding() -> Iterator[bytes]:
        yield muxed("mpegts", "h264").data
        while True:
            yield bytes.fromhex("471fff10") + bytes(184)
            time.sleep(0.02)

    server.paths["/padding"] = lambda _: Reply(padding())
    _, loss = read_all(opened(server, "/padding", stall_s=1.5))
    assert isinstance(loss, SourceTimeoutError)
    assert "no picture" in str(loss)


LOGIN = Credentials("u", "p@ss")


def test_a_login_is_sent_when_it_is_asked_for_and_a_refusal_is_that_of_a_camera(
    server: MediaServer,
) -> None:
    def answer(headers: dict[str, str]) -> Reply:
        if headers.get("authorization") != "Basic dTpwQHNz":
            return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="cam"'})
        return Reply(endless(muxed("flv", "h264").data))

    server.paths["/login"] = answer
    server.seen.clear()
    opened(server, "/login", login=LOGIN).close()
    assert ["authorization" in headers for _, headers in server.seen] == [False, True]
    server.seen.clear()
    with pytest.raises(SourceUnauthorizedError, match="answered with status 401"):
        opened(server, "/login", login=Credentials("u", "wrong"))
    assert len(server.seen) == 2
    with pytest.raises(SourceUnauthorizedError):
        opened(server, "/login")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_digest_is_preferred_and_checked_by_its_own_rules(
    server: MediaServer, algorithm: str
) -> None:
    """The response is computed here by RFC 7616, apart from the product's code."""

    def answer(headers: dict[str, str]) -> Reply:
        said = headers.get("authorization", "")
        fields = dict(re.findall(r'(\w+)="?([^",]+)', said))
        if not said.startswith("Digest ") or fields["response"] != expected(fields):
            told = f'Digest realm="cam", nonce="n1", qop="auth", algorithm={algorithm}'
            return Reply(status=401, headers={"WWW-Authenticate": f"Basic realm=x, {told}"})
        return Reply(endless(muxed("flv", "h264").data))

    def expected(fields: dict[str, str]) -> str:
        take = hashlib.md5 if algorithm == "MD5" else hashlib.sha256

        def digest(text: str) -> str:
            return take(text.encode()).hexdigest()

        secret, request = digest("u:cam:p@ss"), digest("GET:/digest?a=b")
        return digest(f"{secret}:n1:{fields['nc']}:{fields['cnonce']}:auth:{request}")

    server.paths["/digest"] = answer
    opened(server, "/digest?a=b", login=LOGIN).close()


def test_a_login_goes_to_no_other_origin(server: MediaServer) -> None:
    with media_server() as other:
        other.paths["/cam"] = lambda _: Reply(endless(muxed("flv", "h264").data))
        asks = {"WWW-Authenticate": 'Basic realm="cam"'}
        server.paths["/moved"] = lambda headers: (
            Reply(b"", 302, {"Location": other.url("/cam")})
            if "authorization" in headers
            else Reply(status=401, headers=asks)
        )
        opened(server, "/moved", login=LOGIN).close()
        assert ["authorization" in headers for _, headers in other.seen] == [False]


def test_a_login_goes_to_no_url_without_an_origin(server: MediaServer) -> None:
    asks = {"WWW-Authenticate": 'Basic realm="cam"'}
    server.paths["/moved"] = lambda headers: (
        Reply(b"", 302, {"Location": "http://cam:port/"})
        if "authorization" in headers
        else Reply(status=401, headers=asks)
    )
    with pytest.raises(SourceError, match="invalid"):
        opened(server, "/moved", login=LOGIN)


def test_what_is_no_video_is_said(server: MediaServer) -> None:
    server.file("/page", b"<!doctype html>" * 100)
    with pytest.raises(SourceNotVideoError, match="no MPEG-TS, FLV, MJPEG or playlist"):
        opened(server, "/page")


def test_a_playlist_is_left_to_its_own_reader(server: MediaServer) -> None:
    server.file("/list", b"\xef\xbb\xbf#EXTM3U\n" * 30)
    found = open_http(server.url("/list"), LOCAL, Interrupt(), stall_s=1.0)
    assert isinstance(found, Loaded)
    assert found.data == b"\xef\xbb\xbf#EXTM3U\n" * 30
    assert (found.url, found.host) == (server.url("/list"), "127.0.0.1")


def test_a_redirect_to_a_forbidden_address_is_refused(server: MediaServer) -> None:
    server.paths["/away"] = lambda _: Reply(
        b"", 302, {"Location": "http://169.254.169.254/latest/meta-data"}
    )
    with pytest.raises(SourceForbiddenError):
        opened(server, "/away")


def test_an_interrupt_ends_the_wait(server: MediaServer) -> None:
    def silent() -> Iterator[bytes]:
        yield muxed("flv", "h264").data
        server.stopping.wait(30)

    server.paths["/wait"] = lambda _: Reply(silent())
    interrupt = Interrupt()
    stream = open_http(server.url("/wait"), LOCAL, interrupt, stall_s=30.0)
    assert isinstance(stream, HttpStream)
    while stream.receive():
        interrupt.set()
        with pytest.raises(SourceError):
            stream.receive()
        break
    stream.close()
