"""One camera by each protocol, decoded in the sandbox: the same pictures, and what a trial says."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.address import parse
from streamproc.source.live.named_sources import Camera
from streamproc.source.live.rtp.keyframe_gate import OnLoss
from streamproc.source.live.trial import try_source
from streamproc.source.live_source.accounts import Totals
from streamproc.source.live_source.pictures import Choice, LiveFrame
from streamproc.source.live_source.source import LiveSource, open_live_source
from streamproc.source.live_source.task_clock import TaskClock
from streamproc.source.types import FrameOutputs
from tests.live.media_server import MediaServer, Reply, media_server
from tests.live.rtmp_server import rtmp_server
from tests.streamproc.source.live.containers.muxed import muxed
from tests.streamproc.source.live.hls.test_stream import written

LOCAL = FetchPolicy(allowed_private_hosts=PrivateHosts("127.0.0.1"))


def camera_at(url: str) -> Camera:
    address, credentials = parse(url)
    return Camera(address, credentials, LOCAL, is_udp=False)


@contextmanager
def source_at(url: str) -> Iterator[LiveSource]:
    interrupt, camera = Interrupt(), camera_at(url)
    source, _ = open_live_source(
        lambda: camera.open(interrupt),
        FrameOutputs(),
        LOCAL,
        lambda _index, _time_s, _is_key: Choice.TAKE,
        interrupt,
        clock=TaskClock(None, None),
        totals=Totals(),
        on_loss=OnLoss.SKIP,
        max_lag_s=20.0,
        give_up_s=None,
        has_worked=False,
    )
    try:
        yield source
    finally:
        source.close()


def read(url: str, n: int | None = None) -> list[LiveFrame]:
    frames: list[LiveFrame] = []
    with source_at(url) as source:
        for frame in source:
            frames.append(frame)
            frame.slot.release()
            if len(frames) == n:
                break
    return frames


def publish(server: MediaServer, kind: str) -> None:
    for name, data in written(kind).items():
        server.file(f"/{name}", data)


@pytest.mark.parametrize("kind", ["ts", "fmp4"])
def test_a_playlist_that_ends_gives_every_frame_once_and_ends(kind: str) -> None:
    with media_server() as server:
        publish(server, kind)
        frames = read(server.url("/list.m3u8"))
    assert [frame.index for frame in frames] == list(range(60))
    assert {(frame.shape.width, frame.shape.height) for frame in frames} == {(96, 64)}
    assert frames[-1].time_s - frames[0].time_s == pytest.approx(59 / 40, abs=0.3)


def test_a_stream_over_http_that_ends_is_connected_to_again() -> None:
    data = muxed("flv", "h264").data
    with media_server() as server:
        server.paths["/cam"] = lambda _: Reply(iter([data]))
        frames = read(server.url("/cam"), n=40)
    gaps = [frame.gap for frame in frames if frame.gap is not None]
    assert [gap.reason for gap in gaps] == ["source_lost"]
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})


def test_rtmp_is_decoded() -> None:
    with rtmp_server() as server:
        frames = read(f"rtmp://{server.host}/live/cam", n=30)
    assert len(frames) == 30


def test_a_trial_says_by_which_protocol_the_video_came() -> None:
    with media_server() as server, rtmp_server() as rtmp:
        publish(server, "ts")
        data = muxed("mpegts", "h264").data
        server.paths["/cam"] = lambda _: Reply(data[at : at + 999] for at in range(0, 10**6, 999))
        for url, transport, size in (
            (server.url("/list.m3u8"), "hls", (96, 64)),
            (server.url("/cam"), "http", (176, 144)),
            (f"rtmp://{rtmp.host}/live/cam", "rtmp", (176, 144)),
        ):
            report = try_source(camera_at(url), watch_s=0.0).report
            assert (report.transport, report.codec) == (transport, "h264")
            assert (report.width, report.height) == size
            assert not report.is_tls
