"""Whole connections: our client and our camera, over TCP, TLS and UDP, with every fault of it."""

import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import av
import msgspec
import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.source.errors import (
    SourceClosedError,
    SourceError,
    SourceForbiddenError,
    SourceProtocolError,
    SourceRedirectError,
    SourceTimeoutError,
    SourceUnauthorizedError,
    SourceUnreachableError,
)
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live import byte_rate
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.keyframe_gate import KeyframeGate
from streamproc.source.live.rtsp.url import parse
from streamproc.source.live.session import Session, open_session
from tests.certificates import self_signed
from tests.live.camera import Camera, camera
from tests.live.clip import clip, read_number
from tests.streamproc.source.raw_origin import raw_origin

LOCAL = FetchPolicy(allowed_private_hosts=PrivateHosts("127.0.0.1"))
QUICK = clip(fps=100, gop=20, n_pictures=256)


@contextmanager
def opened(
    one: Camera,
    login: str = "",
    *,
    policy: FetchPolicy = LOCAL,
    interrupt: Interrupt | None = None,
    **options: Any,
) -> Iterator[Session]:
    url, credentials = parse(one.url(login))
    stop = interrupt or Interrupt()
    with closing(open_session(url, credentials, policy, stop, **options)) as session:
        yield session


def received(session: Session, n_units: int) -> list[AccessUnit]:
    units: list[AccessUnit] = []
    while len(units) < n_units:
        units += session.receive()
    return units


def until(session: Session, condition: Callable[[AccessUnit], bool]) -> list[AccessUnit]:
    units: list[AccessUnit] = []
    while not any(condition(unit) for unit in units):
        units += session.receive()
    return units


def numbers(codec: str, units: Iterable[AccessUnit]) -> list[int]:
    """What the pictures of intact units show, decoded by libav."""
    context: Any = av.CodecContext.create(codec, "r")
    context.thread_count = 1
    context.flags |= av.codec.context.Flags.low_delay
    gate = KeyframeGate()
    found = []
    for unit in units:
        if gate.admits(unit):
            found += context.decode(av.Packet(unit.data))
    found += context.decode(None)
    return [read_number(frame.to_ndarray(format="gray")) for frame in found]


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
@pytest.mark.parametrize("is_udp", [False, True])
def test_every_picture_comes_out_in_order(codec: str, *, is_udp: bool) -> None:
    with camera(clip(codec, fps=100, gop=20)) as one, opened(one, is_udp=is_udp) as session:
        units = received(session, 40)
        assert session.depacketizer.size == (192, 112)
        assert session.report is not None
        assert abs(session.report.report.wall_s - time.time()) < 60
    assert numbers(codec, units)[:40] == list(range(40))
    assert "TEARDOWN" in one.requests


@pytest.mark.usefixtures("processes")
def test_over_tls_with_the_cameras_own_authority_only(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with camera(QUICK, tls=context) as one:
        with (
            pytest.raises(SourceUnreachableError, match="has a TLS certificate that is"),
            opened(one),
        ):
            pass
        trusting = FetchPolicy(
            allowed_private_hosts=PrivateHosts("127.0.0.1"), ca_file=str(certificate)
        )
        with opened(one, policy=trusting) as session:
            assert numbers("h264", received(session, 30))[:30] == list(range(30))


@pytest.mark.parametrize(
    ("scheme", "algorithm"), [("digest", None), ("digest", "MD5"), ("digest", "SHA-256"),
                              ("basic", None)]
)  # fmt: skip
def test_logins_with_special_characters(scheme: str, algorithm: str | None) -> None:
    login = ("us er", "p@ss:w/rd#1")
    with camera(QUICK, login=login, scheme=scheme, algorithm=algorithm) as one:
        with opened(one, "us%20er:p%40ss%3Aw%2Frd%231") as session:
            received(session, 1)
        tries = one.n_tries
        with pytest.raises(SourceUnauthorizedError) as caught, opened(one, "us%20er:secret7"):
            pass
        assert one.n_tries == tries + 1
        assert "secret7" not in str(caught.value)
        with pytest.raises(SourceUnauthorizedError, match="asks for a user name"), opened(one):
            pass


def test_a_private_address_is_never_connected_to() -> None:
    for private in ("", "127.0.0.2", "127.0.0.1:1", "10.0.0.0/8"):
        policy = FetchPolicy(allowed_private_hosts=PrivateHosts(private))
        with camera(QUICK) as one:
            with pytest.raises(SourceForbiddenError), opened(one, policy=policy):
                pass
            assert one.n_accepted == 0
    with camera(QUICK) as one:
        network = PrivateHosts(f"127.0.0.0/24:{one.port}")
        with opened(one, policy=FetchPolicy(allowed_private_hosts=network)) as session:
            received(session, 1)


@pytest.mark.parametrize(
    "location",
    ["rtsp://169.254.169.254/latest", "rtsp://[::ffff:127.0.0.1]:{port}/cam", "http://127.0.0.1/",
     "rtsp://127.0.0.2:{port}/cam", "rtsp://localhost:{port}/cam", "file:///etc/passwd"],
)  # fmt: skip
def test_a_redirect_is_checked_like_the_source(location: str) -> None:
    with camera(QUICK) as target, camera(QUICK) as one:
        one.redirect(location.format(port=target.port))
        only = FetchPolicy(allowed_private_hosts=PrivateHosts(f"127.0.0.1:{one.port}"))
        with pytest.raises(SourceForbiddenError), opened(one, policy=only):
            pass
        assert target.n_accepted == 0


def test_redirects_are_followed_five_times_with_the_credentials_of_the_host() -> None:
    with camera(QUICK, login=("u", "p")) as target, camera(QUICK) as one:
        one.redirect(target.url())
        with opened(one, "u:p") as session:
            assert session.url.port == target.port
            received(session, 1)
        one.redirect(one.url())
        before = one.n_accepted
        with pytest.raises(SourceRedirectError, match="more than 5"), opened(one):
            pass
        assert one.n_accepted == before + 6


@pytest.mark.parametrize("is_udp", [False, True])
def test_a_camera_that_goes_away_is_lost_at_once(*, is_udp: bool) -> None:
    with camera(QUICK) as one, opened(one, is_udp=is_udp) as session:
        received(session, 3)
        one.kill()
        started_s = time.monotonic()
        with pytest.raises(SourceUnreachableError):
            received(session, 10_000)
        assert time.monotonic() - started_s < 4.0


def test_a_camera_that_answers_but_sends_no_picture_is_lost() -> None:
    patient = msgspec.structs.replace(LOCAL, live_stall_s=1.0)
    with camera(QUICK) as one, opened(one, policy=patient) as session:
        received(session, 3)
        one.stall()
        with pytest.raises(SourceTimeoutError, match=r"127.0.0.1 has sent no picture for 1 s"):
            received(session, 10_000)
        one.resume()


def test_a_camera_that_never_answers_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.source.live.rtsp.client.ANSWER_TIMEOUT_S", 0.3)
    with camera(QUICK) as one:
        one.mute()
        with pytest.raises(SourceTimeoutError, match="did not answer in time"), opened(one):
            pass


@pytest.mark.parametrize("fault", ["reset", "wrap"])
def test_new_numbers_within_a_connection_cost_a_gop_at_most(fault: str) -> None:
    with camera(QUICK) as one, opened(one) as session:
        units = received(session, 30)
        getattr(one, fault)()
        units += received(session, 70)
    shown = numbers("h264", units)
    assert shown == sorted(shown)
    assert len(shown) >= len(units) - QUICK.gop


def test_bytes_in_the_middle_cost_a_gop_at_most_and_no_wrong_picture() -> None:
    with camera(QUICK) as one, opened(one) as session:
        units = received(session, 25)
        one.insert("3000")
        units += received(session, 60)
    shown = numbers("h264", units)
    assert shown == sorted(shown)
    assert len(shown) >= len(units) - QUICK.gop


def test_another_size_is_known_with_its_first_keyframe() -> None:
    with camera(QUICK) as one, opened(one) as session:
        received(session, 10)
        assert session.depacketizer.size == (192, 112)
        one.show("h264 320 176")
        until(session, lambda unit: unit.is_key and session.depacketizer.size == (320, 176))


def test_one_in_a_hundred_datagrams_lost_gives_no_wrong_picture() -> None:
    with camera(QUICK) as one, opened(one, is_udp=True) as session:
        received(session, 5)
        one.lose("0.01")
        units = received(session, 90)
    gate = KeyframeGate()
    admitted = [unit for unit in units if gate.admits(unit)]
    shown = numbers("h264", units)
    assert len(shown) == len(admitted)
    assert shown == sorted(shown)


@pytest.mark.parametrize("is_udp", [False, True])
def test_the_camera_gets_receiver_reports(monkeypatch: pytest.MonkeyPatch, *, is_udp: bool) -> None:
    monkeypatch.setattr("streamproc.source.live.rtp.receiver_reports.INTERVAL_S", 0.1)
    with camera(QUICK) as one, opened(one, is_udp=is_udp) as session:
        while not any(report[1] == 201 for report in list(one.reports)):
            received(session, 1)
        report = next(report for report in one.reports if report[1] == 201)
        assert int.from_bytes(report[8:12], "big") == 9
        assert report[12:16] == bytes(4)
        received(session, 5)


def test_a_camera_without_udp_says_so() -> None:
    with camera(QUICK) as one:
        one.allows_udp = False
        with (
            pytest.raises(SourceProtocolError, match="does not offer RTP over UDP"),
            opened(one, is_udp=True),
        ):
            pass


def test_an_interrupt_ends_it_while_it_waits() -> None:
    interrupt = Interrupt()
    with camera(QUICK) as one, opened(one, interrupt=interrupt) as session:
        received(session, 1)
        one.stall()
        timer = threading.Timer(0.2, interrupt.set)
        timer.start()
        started_s = time.monotonic()
        with pytest.raises(SourceClosedError):
            received(session, 10_000)
        assert time.monotonic() - started_s < 4.0
        timer.join()
        one.resume()


def test_a_flood_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_rate, "MAX_BYTES_PER_S", 10_000)
    with camera(QUICK) as one, pytest.raises(SourceError) as caught, opened(one) as session:
        received(session, 10_000)
    assert caught.value.code == "source_too_large"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", SourceUnreachableError),
        (b"\x00" * (2 << 20), SourceProtocolError),
        (b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 9999999\r\n\r\n", SourceProtocolError),
        (b"", SourceUnreachableError),
    ],
)
def test_a_server_that_speaks_something_else(answer: bytes, kind: type[SourceError]) -> None:
    with raw_origin(lambda exchange: exchange.send(answer)) as origin:
        url, _ = parse(f"rtsp://{origin.authority}/secret7")
        with pytest.raises(kind) as caught:
            open_session(url, None, LOCAL, Interrupt())
        assert "secret7" not in str(caught.value)


def test_nothing_is_left_after_many_connections() -> None:
    def n_open() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with camera(QUICK) as one:
        with opened(one) as session:
            received(session, 1)
        before = n_open()
        for number in range(20):
            with opened(one, is_udp=number % 2 == 0) as session:
                received(session, 1)
        assert n_open() <= before + 4  # the camera's side of the last ones may still close
