"""A camera as frames, with a real child: what it shows, and what happens when something ends."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import pytest

from models.sizes import SourceShape
from streamproc.allowed_hosts import PrivateHosts
from streamproc.source.errors import SourceClosedError, SourceTooLargeError, SourceUnreachableError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live import reconnect
from streamproc.source.live.rtp.keyframe_gate import OnLoss
from streamproc.source.live.rtsp.url import parse
from streamproc.source.live.session import open_session
from streamproc.source.live_source.accounts import Totals
from streamproc.source.live_source.pictures import Choice, LiveFrame
from streamproc.source.live_source.source import LiveSource, open_live_source
from streamproc.source.live_source.task_clock import TaskClock
from streamproc.source.types import FrameOutputs
from tests.live.camera import Camera, camera
from tests.live.clip import clip, read_number

SHORT = clip(fps=50, gop=10)
LOCAL = FetchPolicy(allowed_private_hosts=PrivateHosts("127.0.0.1"))
pytestmark = pytest.mark.usefixtures("processes")


def every(index: int, time_s: float, is_key: bool) -> Choice:
    return Choice.TAKE


def _has_sent(one: Camera, n: int) -> bool:
    return one.n_sent >= n


class Read:
    """The frames of a source, with the number that each shows."""

    def __init__(self, source: LiveSource, interrupt: Interrupt) -> None:
        self.source, self.interrupt = source, interrupt
        self.frames: list[LiveFrame] = []
        self.shown: list[int] = []
        self._frames = iter(source)

    def until(self, condition: Callable[[LiveFrame], bool]) -> LiveFrame:
        for frame in self._frames:
            assert frame.slot.image is not None
            self.frames.append(frame)
            self.shown.append(read_number(frame.slot.image))
            frame.slot.release()
            if condition(frame):
                return frame
        raise AssertionError("a camera has no end")

    def take(self, n: int) -> list[LiveFrame]:
        before = len(self.frames)
        self.until(lambda _: len(self.frames) == before + n)
        return self.frames[before:]

    def check(self) -> None:
        times = [frame.time_s for frame in self.frames]
        indexes = [frame.index for frame in self.frames]
        assert all(a < b for a, b in pairwise(times))
        assert all(a < b for a, b in pairwise(indexes))
        for frame in self.frames:
            counts = frame.totals.counts
            late = frame.totals.dropped.get("late", 0) + frame.totals.dropped.get("damaged", 0)
            assert counts.decoded + counts.failed <= frame.index + 1
            assert counts.decoded + counts.failed + late >= frame.index + 1


@contextmanager
def reading(
    one: Camera,
    *,
    policy: FetchPolicy = LOCAL,
    max_lag_s: float = 20.0,
    is_udp: bool = False,
    announced: Callable[[tuple[int, int]], object] = lambda _: None,
) -> Iterator[Read]:
    interrupt = Interrupt()
    url, credentials = parse(one.url())
    source, _ = open_live_source(
        partial(open_session, url, credentials, policy, interrupt, is_udp=is_udp),
        FrameOutputs(),
        policy,
        every,
        interrupt,
        clock=TaskClock(None, None),
        totals=Totals(),
        on_loss=OnLoss.SKIP,
        max_lag_s=max_lag_s,
        give_up_s=None,
        has_worked=False,
        announced=announced,
    )
    try:
        yield Read(source, interrupt)
    finally:
        source.close()


def test_the_size_is_told_before_a_picture_is_decoded_and_each_other_one() -> None:
    sizes: list[tuple[int, int]] = []
    with camera(SHORT) as one, reading(one, announced=sizes.append) as read:
        one.wait(lambda: bool(sizes))
        read.take(20)
        one.hang_up()
        read.take(20)
        assert sizes == [(192, 112)]
        one.clip = clip(size=(320, 176), fps=50, gop=10)
        read.until(lambda frame: frame.shape == SourceShape(320, 176))
    assert sizes == [(192, 112), (320, 176)]


def test_every_picture_is_shown_once_and_in_order() -> None:
    with camera(SHORT) as one, reading(one) as read:
        read.take(40)
        read.check()
    first = read.shown[0]
    assert first % 10 == 0
    assert read.shown == [(first + n) % 100 for n in range(40)]
    assert [frame.index for frame in read.frames] == list(
        range(read.frames[0].index, read.frames[0].index + 40)
    )
    assert {frame.shape for frame in read.frames} == {SourceShape(192, 112)}
    assert {frame.gap for frame in read.frames} == {None}
    spent_s = read.frames[-1].time_s - read.frames[0].time_s
    assert spent_s == pytest.approx(39 / 50, rel=0.5)


def test_a_camera_that_comes_back_goes_on_with_a_gap() -> None:
    with camera(SHORT) as one, reading(one) as read:
        before = read.take(5)[-1]
        one.hang_up()
        back = read.until(lambda frame: frame.gap is not None)
        assert back.gap is not None
        assert back.gap.reason == "source_lost"
        assert back.gap.seconds == pytest.approx(back.time_s - read.frames[-2].time_s, abs=0.01)
        assert back.index > before.index
        read.take(10)
        read.check()


def test_another_size_and_another_codec_are_discontinuities() -> None:
    with camera(SHORT) as one, reading(one) as read:
        read.take(5)
        one.clip = clip(size=(320, 176), fps=50, gop=10)
        large = read.until(lambda frame: frame.shape != SourceShape(192, 112))
        assert (large.shape, large.gap and large.gap.reason) == (
            SourceShape(320, 176),
            "discontinuity",
        )
        read.take(5)
        one.clip = clip("mjpeg", fps=50)
        one.hang_up()
        other = read.until(lambda frame: frame.shape == SourceShape(192, 112))
        assert other.gap is not None
        assert other.gap.reason == "source_lost"
        read.take(5)
        read.check()


def test_a_decoder_that_is_killed_is_replaced() -> None:
    with camera(SHORT) as one, reading(one) as read:
        read.take(5)
        decoder = read.source._pictures._decoder
        assert decoder is not None
        os.kill(decoder.pid, signal.SIGKILL)
        back = read.until(lambda frame: frame.gap is not None)
        assert back.gap is not None
        assert back.gap.reason == "discontinuity"
        assert back.totals.dropped["undecodable"] > 0
        read.take(5)
        read.check()


def test_a_reader_that_is_slow_gets_nothing_old() -> None:
    with camera(SHORT) as one, reading(one, max_lag_s=0.4) as read:
        read.take(3)
        for _ in range(3):
            enough = one.n_sent + 50
            one.wait(partial(_has_sent, one, enough))  # nothing is read for 1 s
            wanted = read.until(lambda frame: frame.gap is not None)
            lag_s = time.monotonic() - wanted.arrived.unit.arrival_s
            assert lag_s < 1.0
        assert read.frames[-1].totals.dropped["late"] > 50
        read.check()


def test_packets_that_are_lost_cost_pictures_and_show_no_wrong_one() -> None:
    with camera(SHORT) as one, reading(one, is_udp=True) as read:
        one.loss = 0.05
        read.until(lambda frame: frame.totals.dropped.get("damaged", 0) >= 10)
        read.take(5)
        read.check()
        stamps = [frame.arrived.unit.timestamp for frame in read.frames]
        since = [(stamp - stamps[0]) * 50 // 90_000 for stamp in stamps]
        assert since[-1] > len(since)
        assert read.shown == [(read.shown[0] + passed) % 100 for passed in since]


def test_pictures_that_are_too_large_end_the_source() -> None:
    policy = FetchPolicy(allowed_private_hosts=PrivateHosts("127.0.0.1"), max_pixels=192 * 112 - 1)
    with (
        camera(SHORT) as one,
        reading(one, policy=policy) as read,
        pytest.raises(SourceTooLargeError, match="192x112"),
    ):
        read.take(1)


def test_a_camera_that_never_answers_ends_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "START_PATIENCE_S", 0.3)
    with camera(SHORT) as one:
        one.kill()
        with reading(one) as read, pytest.raises(SourceUnreachableError):
            read.take(1)


@pytest.mark.parametrize("state", ["connecting", "live", "lost"])
def test_closing_ends_it_in_every_state(state: str) -> None:
    with camera(SHORT) as one:
        if state == "connecting":
            one.mute()
        with reading(one) as read:
            if state != "connecting":
                read.take(3)
            if state == "lost":
                one.kill()
            timer = threading.Timer(0.3, read.source.close)
            timer.start()
            started_s = time.monotonic()
            with pytest.raises(SourceClosedError):
                read.take(1000)
            assert time.monotonic() - started_s < 5.0
            timer.join()
