"""Playing from an RTMP server: chunks of all sizes, mixed with sound; refusals and losses."""

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.source.errors import (
    SourceError,
    SourceForbiddenError,
    SourceStatusError,
    SourceTimeoutError,
    SourceUnauthorizedError,
    SourceUnreachableError,
)
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.rtmp.stream import RtmpStream, open_rtmp
from streamproc.source.live.rtmp.url import parse
from streamproc.source.live.rtp.depacketizer import AccessUnit
from tests.live.rtmp_server import RtmpServer, rtmp_server
from tests.streamproc.source.live.containers.muxed import FPS, muxed, shown

LOCAL = FetchPolicy(allowed_private_hosts=PrivateHosts("127.0.0.1"))


@pytest.fixture
def server() -> Iterator[RtmpServer]:
    with rtmp_server() as server:
        yield server


def opened(server: RtmpServer, path: str = "live/cam?token=a") -> RtmpStream:
    url = parse(f"rtmp://{server.host}/{path}")
    return open_rtmp(url, LOCAL, Interrupt(), stall_s=1.0)


def read_all(stream: RtmpStream) -> tuple[list[AccessUnit], SourceError]:
    units: list[AccessUnit] = []
    try:
        while True:
            units += stream.receive()
    except SourceError as exc:
        return units, exc
    finally:
        stream.close()


@pytest.mark.parametrize("chunk_bytes", [128, 300, 65_536])
@pytest.mark.parametrize("aggregates", [False, True])
def test_each_picture_arrives_however_its_messages_are_cut(
    server: RtmpServer, chunk_bytes: int, aggregates: bool
) -> None:
    server.chunk_bytes, server.aggregates, server.pings = chunk_bytes, aggregates, True
    stream = opened(server)
    assert (stream.codec, stream.size) == ("h264", (176, 144))
    units, loss = read_all(stream)
    assert isinstance(loss, SourceUnreachableError)
    source = muxed("flv", "h264", with_sound=True)
    assert shown("h264", [unit.data for unit in units]) == list(source.pictures)
    names = [command[0] for command in server.commands]
    assert names == ["connect", "createStream", "play"]
    assert server.commands[0][2] is not None
    assert server.commands[2][3] == "cam?token=a"
    pong = b"\x04\0\x07\0\0\x30\x39"
    deadline_s = time.monotonic() + 10
    while pong not in server.controls:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.parametrize("start_ms", [0xFFFFFF - 500, (1 << 32) - 500])
def test_times_go_on_over_the_long_field_and_over_the_wrap(
    server: RtmpServer, start_ms: int
) -> None:
    server.start_ms = start_ms
    units, _ = read_all(opened(server))
    assert len(units) == 32
    steps = [b.timestamp - a.timestamp for a, b in pairwise(units)]
    assert all(abs(step - 1000 / FPS) <= 1 for step in steps)


@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        ("connect", "NetConnection.Connect.Rejected", SourceUnauthorizedError),
        ("connect", "NetConnection.Connect.InvalidApp", SourceStatusError),
        ("play", "NetStream.Play.StreamNotFound", SourceStatusError),
        ("play", "NetStream.Play.Failed", SourceStatusError),
    ],
)
def test_a_refusal_is_told_without_the_stream(
    server: RtmpServer, command: str, code: str, error: type[SourceError]
) -> None:
    server.refuses = {command: code}
    with pytest.raises(error) as raised:
        opened(server)
    assert "127.0.0.1" in str(raised.value)
    assert "cam" not in str(raised.value)
    assert "token" not in str(raised.value)


def test_a_server_that_falls_silent_is_lost_in_time(server: RtmpServer) -> None:
    server.silent_after = 12
    units, loss = read_all(opened(server))
    assert isinstance(loss, SourceTimeoutError)
    assert 0 < len(units) < 32


def test_an_address_that_is_not_allowed_is_not_dialled(server: RtmpServer) -> None:
    with pytest.raises(SourceForbiddenError):
        open_rtmp(parse(f"rtmp://{server.host}/a/b"), FetchPolicy(), Interrupt(), stall_s=1.0)
    assert not server.commands


@pytest.mark.parametrize(
    ("url", "application", "stream"),
    [
        ("rtmp://cam/live/a", "live", "a"),
        ("rtmps://cam:444/live/instance/a?x=1&y=/2", "live/instance", "a?x=1&y=/2"),
    ],
)
def test_the_last_part_of_a_path_is_the_stream(url: str, application: str, stream: str) -> None:
    parsed = parse(url)
    assert (parsed.application, parsed.stream) == (application, stream)
    assert parsed.port == (444 if ":444" in url else 1935)
    assert "live" not in repr(parsed)


@pytest.mark.parametrize(
    "url",
    [
        "rtmp://cam",
        "rtmp://cam/live",
        "rtmp:///live/a",
        "rtmp://u:p@cam/live/a",
        "rtmp://cam:99999/live/a",
        "http://cam/live/a",
        "rtmp://cam/live/a b",
        "rtmp://cam/live/" + "a" * 3000,
    ],
)
def test_a_url_that_cannot_be_played_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - each with another text
        parse(url)
    assert "u:p" not in str(raised.value)
