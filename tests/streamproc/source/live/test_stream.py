"""A camera over many sessions: losses, gaps, times that only rise, and what ends it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.source.errors import (
    SourceClosedError,
    SourceForbiddenError,
    SourceLostError,
    SourceUnauthorizedError,
    SourceUnreachableError,
)
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live import reconnect
from streamproc.source.live import stream as streams
from streamproc.source.live.reconnect import Reconnects
from streamproc.source.live.rtsp.url import parse
from streamproc.source.live.session import open_session
from streamproc.source.live.stream import Arrived, Connected, Event, LiveStream, Lost
from tests.live.camera import Camera, camera
from tests.live.clip import clip

SHORT = clip(fps=50, gop=10)
LOCAL = FetchPolicy(allowed_private_hosts=PrivateHosts("127.0.0.1"))


class Reading:
    """A stream read by this thread, event by event."""

    def __init__(
        self, one: Camera, login: str, give_up_s: float | None, stall_s: float, url_text: str
    ) -> None:
        url, credentials = parse(url_text or one.url(login))
        self.interrupt = Interrupt()
        policy = msgspec.structs.replace(LOCAL, live_stall_s=stall_s)
        reconnects = Reconnects(time.monotonic(), give_up_s=give_up_s, random=lambda: 0.5)
        self.stream = LiveStream(
            lambda: open_session(url, credentials, policy, self.interrupt),
            reconnects,
            self.interrupt,
        )
        self._events = self.stream.events()
        self.seen: list[Event] = []

    def until(self, condition: Callable[[Event], bool]) -> Event:
        for event in self._events:
            self.seen.append(event)
            if condition(event):
                return event
        raise AssertionError("a stream has no end")

    def pictures(self, n: int) -> list[Arrived]:
        found: list[Arrived] = []
        while len(found) < n:
            event = self.until(lambda event: isinstance(event, Arrived))
            assert isinstance(event, Arrived)
            found.append(event)
        return found

    def lost(self) -> Lost:
        event = self.until(lambda event: isinstance(event, Lost))
        assert isinstance(event, Lost)
        return event

    def check_times(self) -> None:
        times = [event.time_s for event in self.seen if isinstance(event, Arrived)]
        assert all(a < b for a, b in pairwise(times))


@contextmanager
def reading(
    one: Camera,
    login: str = "",
    *,
    give_up_s: float | None = None,
    stall_s: float = 5.0,
    url: str = "",
) -> Iterator[Reading]:
    found = Reading(one, login, give_up_s, stall_s, url)
    try:
        yield found
    finally:
        found._events.close()  # type: ignore[attr-defined]


def test_a_camera_that_comes_back_ends_the_gap_with_a_keyframe() -> None:
    with camera(SHORT) as one, reading(one) as stream:
        before = stream.pictures(5)[-1]
        one.kill()
        lost = stream.lost()
        assert isinstance(lost.failure, SourceUnreachableError)
        assert lost.wait_s == 0.2
        assert stream.lost().n_failed == 2
        one.revive()
        (after,) = stream.pictures(1)
        assert after.unit.is_key
        assert after.gap_s == pytest.approx(after.unit.arrival_s - before.unit.arrival_s, abs=1e-3)
        assert after.gap_s is not None
        assert after.gap_s > 0.2
        assert {event.gap_s for event in stream.pictures(10)} == {None}
        stream.check_times()
        assert [type(event) for event in stream.seen if not isinstance(event, Arrived)] == [
            Connected, *[Lost] * (len(stream.seen) - 18), Connected
        ]  # fmt: skip
        assert stream.stream.n_sessions == 2


@pytest.mark.parametrize("fault", ["stall", "hang_up"])
def test_nothing_old_comes_out_after_a_loss(fault: str) -> None:
    stall_s = 0.5 if fault == "stall" else 5.0
    with camera(SHORT) as one, reading(one, stall_s=stall_s) as stream:
        stream.pictures(5)
        getattr(one, fault)()
        stream.lost()
        one.resume()
        started_s = time.monotonic()
        for event in stream.pictures(20):
            assert event.captured.is_source
            assert event.unit.arrival_s >= started_s - 0.5
            assert time.time() - event.captured.wall_s < 2.0
        stream.check_times()


@pytest.mark.parametrize("fault", ["reset", "wrap"])
def test_new_timestamps_do_not_turn_time_back(fault: str) -> None:
    with camera(SHORT) as one, reading(one) as stream:
        stream.pictures(20)
        getattr(one, fault)()
        stream.pictures(40)
        one.jump("3600")
        stream.pictures(40)
        one.jump("-7200")
        stream.pictures(40)
        stream.check_times()
        times = [event.time_s for event in stream.seen if isinstance(event, Arrived)]
        assert times[-1] - times[0] < 30
        assert not any(isinstance(event, Lost) for event in stream.seen)


@pytest.mark.parametrize("jump_s", [-5, 5])
def test_timestamps_that_jump_by_seconds_stop_nothing(jump_s: int) -> None:
    with camera(SHORT) as one, reading(one) as stream:
        before = stream.pictures(60)[-1]
        one.jump(str(jump_s))
        after = stream.pictures(60)
        stream.check_times()
        assert after[-1].tied_s - before.tied_s > 1.0
        for event in after:
            assert event.unit.arrival_s - event.tied_s < 1.0
            assert abs(time.time() - event.captured.wall_s) < 3.0
        assert after[-1].captured.is_source


def test_pictures_that_a_network_kept_back_count_from_when_they_were_taken() -> None:
    with camera(SHORT) as one, reading(one) as stream:
        stream.pictures(60)
        one.hold()
        time.sleep(2.5)
        one.resume()
        found = stream.pictures(200)
        assert max(event.late_s for event in found) > 1.9
        assert found[-1].late_s == 0.0
        for event in found:
            if event.late_s:
                assert event.due_s == pytest.approx(event.tied_s, abs=0.01)
        assert not any(isinstance(event, Lost) for event in stream.seen)


def test_a_camera_that_starts_late_is_waited_for_and_has_no_gap() -> None:
    with camera(SHORT) as one:
        one.kill()
        with reading(one) as stream:
            stream.lost()
            stream.lost()
            one.revive()
            (first,) = stream.pictures(1)
            assert first.gap_s is None


def test_a_wrong_password_ends_the_source_after_one_try() -> None:
    with camera(SHORT, login=("u", "p")) as one, reading(one, "u:wrong") as stream:
        with pytest.raises(SourceUnauthorizedError):
            stream.pictures(1)
        assert one.n_tries == 1
        assert stream.seen == []


def test_a_password_that_is_refused_later_is_tried_a_minute_later() -> None:
    with camera(SHORT, login=("u", "p")) as one, reading(one, "u:p") as stream:
        stream.pictures(3)
        one.refuse()
        one.hang_up()
        waits = [stream.lost().wait_s]
        while waits[-1] < 60:
            waits.append(stream.lost().wait_s)
            stream.interrupt.set() if waits[-1] >= 60 else None
        assert waits == pytest.approx([0.2, 66])  # 60 s, and half of the jitter
        assert one.n_tries == 2


def test_a_name_server_that_is_away_is_a_loss_of_a_source_that_has_worked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up, is_away = socket.getaddrinfo, threading.Event()

    def named(host: str, *place: Any, **options: Any) -> Any:
        if host == "cam.example" and is_away.is_set():
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return look_up("127.0.0.1" if host == "cam.example" else host, *place, **options)

    monkeypatch.setattr(socket, "getaddrinfo", named)
    with camera(SHORT) as one:
        one_url = one.url().replace("127.0.0.1", "cam.example")
        with reading(one, url=one_url) as stream:
            stream.pictures(3)
            is_away.set()
            one.hang_up()
            stream.lost()  # the connection
            failures = [stream.lost().failure for _ in range(3)]
            assert {failure.code for failure in failures} == {"source_unreachable"}
            is_away.clear()
            assert stream.pictures(1)[0].gap_s is not None
        is_away.set()
        with reading(one, url=one_url) as other, pytest.raises(SourceForbiddenError):
            other.pictures(1)  # whether there is such a name is not for a client to know


def test_a_name_that_the_operator_allows_is_waited_for_from_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", none)
    policy = FetchPolicy(allowed_private_hosts=PrivateHosts("cam.example:8554"))
    with pytest.raises(SourceUnreachableError, match="has no address now"):
        open_session(parse("rtsp://cam.example:8554/x")[0], None, policy, Interrupt())


def test_a_camera_is_given_up_when_that_was_asked_for() -> None:
    with camera(SHORT) as one, reading(one, give_up_s=1.0) as stream:
        stream.pictures(3)
        one.kill()
        started_s = time.monotonic()
        with pytest.raises(SourceLostError, match="no picture for 1 s"):
            stream.pictures(1_000)  # what came before the end is still read
        assert 0.8 < time.monotonic() - started_s < 10.0


def test_pictures_that_cannot_be_decoded_are_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEYFRAME_TIMEOUT_S", 0.4)
    with camera(SHORT) as one, reading(one, stall_s=20.0) as stream:
        stream.pictures(3)
        one.clip = SHORT.without_keyframes()
        one.hang_up()
        assert isinstance(stream.lost().failure, SourceUnreachableError)
        lost = stream.lost()
        assert "no whole keyframe within 0.4 s" in str(lost.failure)


def test_an_interrupt_ends_the_wait_between_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "QUICK_S", (60.0,))
    with camera(SHORT) as one, reading(one) as stream:
        stream.pictures(1)
        one.kill()
        assert stream.lost().wait_s == 60
        timer = threading.Timer(0.2, stream.interrupt.set)
        timer.start()
        with pytest.raises(SourceClosedError):
            stream.pictures(1)
        timer.join()
