"""Playlists and segments that libav wrote, from a real server: each picture once, and when."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from streamproc.allowed_hosts import PrivateHosts
from streamproc.source.errors import (
    SourceEncryptedError,
    SourceError,
    SourceForbiddenError,
    SourceStatusError,
    SourceTimeoutError,
    StreamEnd,
)
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.hls.place import LastFrame, Place
from streamproc.source.live.hls.stream import HlsStream, open_hls
from streamproc.source.live.media_clock import MediaClock
from streamproc.source.live.named_sources import Cameras
from streamproc.source.live.rtp.depacketizer import AccessUnit
from tests.live.media_server import MediaServer, Reply, media_server
from tests.streamproc.source.live.containers.muxed import digest, shown

LOCAL = FetchPolicy(allowed_private_hosts=PrivateHosts("127.0.0.1"))
FPS = 40
SEGMENT_S = 0.25
N_PICTURES = 60
KEY = bytes(range(16))


@cache
def written(kind: str) -> dict[str, bytes]:
    """Return the files of a playlist of six segments: `ts`, `fmp4`, or `ranges` of one file."""
    options = {"hls_time": str(SEGMENT_S), "hls_list_size": "0", "hls_playlist_type": "vod"}
    if kind != "ts":
        options |= {"hls_segment_type": "fmp4"}
    if kind == "ranges":
        options |= {"hls_flags": "single_file"}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "list.m3u8"
        with av.open(str(path), "w", format="hls", options=options) as output:
            stream: Any = output.add_stream(
                "libx264",
                rate=FPS,
                options={"preset": "ultrafast", "bf": "0", "sc_threshold": "0"},
            )
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            stream.gop_size = round(FPS * SEGMENT_S)
            for number in range(N_PICTURES):
                frame = av.VideoFrame(96, 64, "yuv420p")
                for plane in frame.planes:
                    plane.update(bytes([(number * 4) % 256]) * plane.buffer_size)
                frame.pts = number
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}


@cache
def pictures() -> tuple[str, ...]:
    with TemporaryDirectory() as folder:
        for name, data in written("ts").items():
            (Path(folder) / name).write_bytes(data)
        joined = Path(folder) / "all.ts"
        joined.write_bytes(b"".join(d for n, d in written("ts").items() if n.endswith(".ts")))
        with av.open(str(joined)) as read:
            return tuple(digest(frame) for frame in read.decode(video=0))


@pytest.fixture
def server() -> Iterator[MediaServer]:
    with media_server() as server:
        yield server


def publish(server: MediaServer, kind: str = "ts") -> None:
    for name, data in written(kind).items():
        server.file(f"/{name}", data)


def segment_names() -> list[str]:
    return [name for name in written("ts") if name.endswith(".ts")]


def live_list(numbers: range | list[int], *, first: int, lines: str = "", end: str = "") -> bytes:
    """Return a playlist of some of the six segments; `first`: the sequence of the first."""
    names = segment_names()
    listed = "".join(f"#EXTINF:{SEGMENT_S},\n{names[number % 6]}\n" for number in numbers)
    head = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n{lines}"
    return (head + listed + end).encode()


def opened(server: MediaServer, path: str = "/list.m3u8", **policy: Any) -> HlsStream:
    return open_hls(server.url(path), LOCAL, Interrupt(), stall_s=2.0)


def read(stream: HlsStream, n: int | None = None, within_s: float = 20.0) -> list[AccessUnit]:
    """Return `n` pictures, or all up to the end."""
    units: list[AccessUnit] = []
    deadline_s = time.monotonic() + within_s
    try:
        while n is None or len(units) < n:
            assert time.monotonic() < deadline_s
            units += stream.receive()
    except StreamEnd:
        assert n is None
    finally:
        stream.close()
    return units


@pytest.mark.parametrize("kind", ["ts", "fmp4", "ranges"])
def test_an_ended_playlist_gives_each_picture_once_at_its_pace_and_ends(
    server: MediaServer, kind: str
) -> None:
    publish(server, kind)
    begun_s = time.monotonic()
    stream = opened(server)
    assert (stream.codec, stream.size) == ("h264", (96, 64))
    units = read(stream)
    assert shown("h264", [unit.data for unit in units]) == list(pictures())
    assert [b.timestamp - a.timestamp for a, b in pairwise(units)] == [90_000 // FPS] * 59
    assert time.monotonic() - begun_s >= N_PICTURES / FPS - 0.1
    assert not any(unit.is_damaged for unit in units)


def test_a_live_playlist_is_followed_from_its_newest_segment(server: MediaServer) -> None:
    publish(server)
    begun_s = time.monotonic()

    def listed(_: dict[str, str]) -> Reply:
        n = 3 + int((time.monotonic() - begun_s) / SEGMENT_S)
        return Reply(live_list(range(max(0, n - 3), min(n, 6)), first=max(0, n - 3)))

    server.paths["/list.m3u8"] = listed
    units = read(opened(server), n=30)
    digests = shown("h264", [unit.data for unit in units])
    assert digests == list(pictures()[20:50])
    arrivals = [unit.arrival_s for unit in units]
    assert all(a <= b for a, b in pairwise(arrivals))


@pytest.mark.parametrize("kind", ["ts", "fmp4"])
def test_a_session_that_goes_on_marks_what_the_log_has_and_does_not_wait_for_it(
    server: MediaServer, kind: str
) -> None:
    publish(server, kind)
    whole = read(opened(server))
    assert not any(unit.is_known for unit in whole)
    last = whole[25]
    assert last.segment is not None
    place = Place(LastFrame(*last.segment, last.timestamp))
    begun_s = time.monotonic()
    stream = open_hls(server.url("/list.m3u8"), LOCAL, Interrupt(), stall_s=2.0, place=place)
    units = read(stream, n=20)
    assert time.monotonic() - begun_s < 10.0
    assert [unit.timestamp for unit in units] == [unit.timestamp for unit in whole[20:40]]
    assert [unit.is_known for unit in units] == [True] * 6 + [False] * 14
    assert units[0].is_key


def test_a_variant_up_to_full_hd_is_chosen_and_what_it_lists_is_resolved_against_it(
    server: MediaServer,
) -> None:
    publish(server)
    for name, data in written("ts").items():
        server.file(f"/hd/{name}", data)
    server.file(
        "/master.m3u8",
        b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=3840x2160\nuhd.m3u8\n"
        b"#EXT-X-STREAM-INF:BANDWIDTH=5,RESOLUTION=1280x720\nhd/list.m3u8\n"
        b"#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=320x180\nsd.m3u8\n",
    )
    assert len(read(opened(server, "/master.m3u8"), n=5)) == 5
    asked = [path for path, _ in server.seen]
    assert asked[:2] == ["/master.m3u8", "/hd/list.m3u8"]
    assert all(path.startswith("/hd/") for path in asked[1:])


def test_no_playlist_is_requested_twice_at_the_opening(server: MediaServer) -> None:
    for name, data in written("ts").items():
        server.file(f"/hd/{name}", data)
    master = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=5,RESOLUTION=1280x720\nhd/list.m3u8\n"
    server.file("/master.m3u8", master)
    camera = Cameras({}, {}).resolve(server.url("/master.m3u8"), "p", LOCAL, is_udp=False)
    with closing(camera.open(Interrupt())) as stream:
        assert stream.host == "127.0.0.1"
    asked = [path for path, _ in server.seen if path.endswith(".m3u8")]
    assert asked == ["/master.m3u8", "/hd/list.m3u8"]


def encrypted(data: bytes, iv: bytes) -> bytes:
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(KEY), modes.CBC(iv)).encryptor()
    return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()


@pytest.mark.parametrize("with_iv", [True, False])
def test_segments_of_aes_128_are_decrypted(server: MediaServer, with_iv: bool) -> None:
    iv = bytes(16) if with_iv else None
    for number, name in enumerate(segment_names()):
        data = encrypted(written("ts")[name], iv or number.to_bytes(16, "big"))
        server.file(f"/{name}", data)
    server.file("/key", KEY)
    told = f'#EXT-X-KEY:METHOD=AES-128,URI="key"{",IV=0x" + iv.hex() if iv else ""}\n'
    end = "#EXT-X-ENDLIST\n"
    server.file("/list.m3u8", live_list(range(6), first=0, lines=told, end=end))
    units = read(opened(server))
    assert shown("h264", [unit.data for unit in units]) == list(pictures())
    assert [path for path, _ in server.seen].count("/key") == 1


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (KEY, 'METHOD=SAMPLE-AES,URI="key"'),
        (b"short", 'METHOD=AES-128,URI="key"'),
        (bytes(16), 'METHOD=AES-128,URI="key"'),
    ],
)
def test_what_cannot_be_decrypted_is_refused_at_once(
    server: MediaServer, key: bytes, line: str
) -> None:
    publish(server)
    server.file("/key", key)
    lines = f"#EXT-X-KEY:{line}\n"
    server.file("/list.m3u8", live_list(range(6), first=0, lines=lines))
    with pytest.raises(SourceEncryptedError):
        opened(server)


def test_a_segment_that_is_gone_is_left_out(server: MediaServer) -> None:
    publish(server)
    names = segment_names()
    server.paths[f"/{names[2]}"] = lambda _: Reply(status=404)
    units = read(opened(server))
    assert [unit.follows_loss for unit in units].index(True) == 20
    assert len(units) == 50


def test_too_many_missing_segments_are_a_loss(server: MediaServer) -> None:
    publish(server)
    for name in segment_names()[1:]:
        server.paths[f"/{name}"] = lambda _: Reply(status=404)
    with pytest.raises(SourceStatusError, match="404"):
        read(opened(server))


def test_times_that_begin_again_at_a_discontinuity_keep_their_pace(server: MediaServer) -> None:
    publish(server)
    names = segment_names()
    listed = "".join(
        f"{mark}#EXTINF:{SEGMENT_S},\n{names[number]}\n"
        for number, mark in ((4, ""), (5, ""), (0, "#EXT-X-DISCONTINUITY\n"), (1, ""))
    )
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
    server.file("/list.m3u8", f"{head}{listed}#EXT-X-ENDLIST\n".encode())
    units = read(opened(server))
    assert len(units) == 40
    steps = [b.arrival_s - a.arrival_s for a, b in pairwise(units)]
    assert sum(steps) == pytest.approx(39 / FPS, abs=0.5)
    assert max(steps) < 0.4
    assert [n for n, unit in enumerate(units) if unit.starts_anew] == [20]


def test_times_that_fall_at_a_discontinuity_stop_no_clock(server: MediaServer) -> None:
    publish(server)
    names = segment_names()
    listed = "".join(
        f"{mark}#EXTINF:{SEGMENT_S},\n{names[number]}\n"
        for number, mark in ((5, ""), (0, "#EXT-X-DISCONTINUITY\n"), (1, ""))
    )
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
    server.file("/list.m3u8", f"{head}{listed}#EXT-X-ENDLIST\n".encode())
    clock = MediaClock(90_000)
    times_s = [clock.time_s(unit.timestamp, unit.arrival_s) for unit in read(opened(server))]
    assert max(b - a for a, b in pairwise(times_s)) < 0.4
    assert times_s[-1] - times_s[9] == pytest.approx(20 / FPS, abs=0.1)


def test_a_list_that_stands_still_is_lost(server: MediaServer) -> None:
    publish(server)
    server.file("/list.m3u8", live_list(range(3), first=0))
    stream = opened(server)
    with pytest.raises(SourceTimeoutError, match="no new segment for 3 s"):
        read(stream, n=1000)


def test_the_next_session_waits_for_a_new_segment_of_a_list_that_stands_still(
    server: MediaServer,
) -> None:
    publish(server)
    server.file("/list.m3u8", live_list(range(2), first=0))
    camera = Cameras({}, {}).resolve(server.url("/list.m3u8"), "p", LOCAL, is_udp=False)
    opens = partial(camera.open, Interrupt(), Place())
    with closing(opens()) as first:
        units = first.receive()
        while len(units) < 10:
            units += first.receive()
    assert shown("h264", [unit.data for unit in units]) == list(pictures()[10:20])
    with pytest.raises(SourceTimeoutError, match="no new segment for 3 s"):
        opens()
    server.file("/list.m3u8", live_list(range(3), first=0))
    with closing(opens()) as third:
        units = third.receive()
        while len(units) < 10:
            units += third.receive()
    assert shown("h264", [unit.data for unit in units]) == list(pictures()[20:30])


def test_the_date_of_a_playlist_is_the_sources_clock(server: MediaServer) -> None:
    publish(server)
    told = "#EXT-X-PROGRAM-DATE-TIME:2026-05-01T10:00:00Z\n"
    end = "#EXT-X-ENDLIST\n"
    server.file("/list.m3u8", live_list(range(6), first=0, lines=told, end=end))
    stream = opened(server)
    units: list[AccessUnit] = []
    while not units:
        units = stream.receive()
    assert stream.report is not None
    assert stream.report.report.wall_s == 1777629600.0
    assert stream.report.timestamp == units[0].timestamp
    stream.close()


FORBIDDEN = "http://169.254.169.254/x"


@pytest.mark.parametrize(
    "lines",
    [
        f"#EXTINF:1,\n{FORBIDDEN}\n",
        f'#EXT-X-MAP:URI="{FORBIDDEN}"\n#EXTINF:1,\nlist0.ts\n',
        f'#EXT-X-KEY:METHOD=AES-128,URI="{FORBIDDEN}"\n#EXTINF:1,\nlist0.ts\n',
        f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{FORBIDDEN}\n",
        "#EXTINF:1,\n/redirected\n",
    ],
)
def test_no_url_of_a_playlist_gets_past_the_guard(server: MediaServer, lines: str) -> None:
    publish(server)
    server.paths["/redirected"] = lambda _: Reply(b"", 302, {"Location": FORBIDDEN})
    server.file("/list.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{lines}#EXT-X-ENDLIST\n".encode())
    with pytest.raises(SourceForbiddenError):
        opened(server)


def test_closing_ends_the_thread_also_while_a_request_hangs(server: MediaServer) -> None:
    publish(server)
    hangs = threading.Event()

    def hang() -> Iterator[bytes]:
        hangs.set()
        server.stopping.wait(30)
        yield b""

    stream_of: Callable[[dict[str, str]], Reply] = lambda _: Reply(hang())  # noqa: E731 - one line
    server.paths[f"/{segment_names()[1]}"] = stream_of
    stream = opened(server)
    assert hangs.wait(10)
    begun_s = time.monotonic()
    stream.close()
    assert time.monotonic() - begun_s < 2
    assert not [one for one in threading.enumerate() if one.name == "playlist"]


def test_errors_name_the_host_and_no_url(server: MediaServer) -> None:
    server.paths["/secret-token/list.m3u8"] = lambda _: Reply(b"#EXTM3U\n#EXTINF:x\n")
    with pytest.raises(SourceError) as raised:
        opened(server, "/secret-token/list.m3u8")
    assert re.search("127.0.0.1", str(raised.value))
    assert "token" not in str(raised.value)
