"""The sequence of requests, against a server that is written out answer by answer."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.errors import (
    SourceBusyError,
    SourceError,
    SourceProtocolError,
    SourceStatusError,
    SourceTimeoutError,
    SourceUnauthorizedError,
)
from streamproc.source.live.rtsp.client import ANSWER_TIMEOUT_S, Client
from streamproc.source.live.rtsp.events import (
    Described,
    Desynchronised,
    Ended,
    Event,
    Playing,
    Redirected,
    RtcpReceived,
    RtpReceived,
)
from streamproc.source.live.rtsp.transport import Channels
from streamproc.source.live.rtsp.url import parse

SDP = b"v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t1\r\n"
RTP = bytes([0x80, 96]) + bytes(20)
DIGEST = 'Digest realm="cam", nonce="n1"'


class Dialogue:
    """A client and the requests that it has sent, one after the other."""

    def __init__(self, url: str = "rtsp://u:p@cam/live", udp: Channels | None = None) -> None:
        address, credentials = parse(url)
        self.client = Client(address, credentials, udp_ports=udp, now_s=0.0)
        self.events: list[Event] = []
        self.asked: list[str] = []
        self._take()

    @property
    def last(self) -> str:
        return self.asked[-1]

    @property
    def method(self) -> str:
        return self.last.split(" ", 1)[0]

    def answer(
        self, status: int = 200, headers: str = "", body: bytes = b"", now_s: float = 0.0
    ) -> list[Event]:
        number = re.search(r"CSeq: (\d+)", self.last)
        assert number is not None
        head = f"RTSP/1.0 {status} Reason\r\nCSeq: {number[1]}\r\n{headers}"
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        return self.feed(f"{head}{length}\r\n".encode() + body, now_s)

    def feed(self, data: bytes, now_s: float = 0.0) -> list[Event]:
        got = list(self.client.receive(data, now_s))
        self.events += got
        self._take()
        return got

    def _take(self) -> None:
        text = self.client.output().decode()
        self.asked += [part for part in text.split("\r\n\r\n") if part]


def playing(**options: str) -> Dialogue:
    talk = Dialogue()
    talk.answer(headers=options.get("public", "Public: OPTIONS, GET_PARAMETER\r\n"))
    talk.answer(headers="Content-Base: rtsp://cam/live/\r\n", body=SDP)
    transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
    talk.answer(headers=f"{transport}Session: 7A; timeout=20\r\n")
    talk.answer()
    return talk


def test_from_options_to_packets() -> None:
    talk = playing()
    assert [one.split(" RTSP")[0] for one in talk.asked] == [
        "OPTIONS rtsp://cam/live",
        "DESCRIBE rtsp://cam/live",
        "SETUP rtsp://cam/live/t1",
        "PLAY rtsp://cam/live/",
    ]
    assert "Transport: RTP/AVP/TCP;unicast;interleaved=0-1" in talk.asked[2]
    assert "Session: 7A" in talk.asked[3]
    assert [type(event) for event in talk.events] == [Described, Playing]
    got = talk.feed(b"$\x00\x00\x16" + RTP + b"$\x01\x00\x16" + RTP + b"$\x02\x00\x16" + RTP)
    assert got == [RtpReceived(RTP), RtcpReceived(RTP)]
    assert all("u:p" not in one and "Authorization" not in one for one in talk.asked)


def test_the_servers_channels_are_used() -> None:
    talk = Dialogue()
    talk.answer()
    talk.answer(body=SDP)
    talk.answer(headers="Transport: RTP/AVP/TCP;unicast;interleaved=6-7;ssrc=1\r\n")
    talk.answer()
    assert talk.feed(b"$\x06\x00\x16" + RTP + b"$\x00\x00\x16" + RTP) == [RtpReceived(RTP)]


def test_udp_names_our_ports_and_learns_those_of_the_server() -> None:
    talk = Dialogue(udp=Channels(5000, 5001))
    talk.answer()
    talk.answer(body=SDP)
    assert "Transport: RTP/AVP;unicast;client_port=5000-5001" in talk.last
    talk.answer(headers="Transport: RTP/AVP;unicast;client_port=5000-5001;server_port=9-10\r\n")
    talk.answer()
    assert talk.events[-1] == Playing(Channels(9, 10))


def test_rtcp_goes_within_the_connection_while_it_plays() -> None:
    talk = playing()
    talk.client.send_rtcp(b"report")
    assert talk.client.output() == b"$\x01\x00\x06report"
    fresh = Dialogue()
    fresh.client.send_rtcp(b"report")
    assert fresh.client.output() == b""


def test_keep_alives_come_at_half_the_timeout_and_need_no_answer() -> None:
    talk = playing()
    assert talk.client.due_s == 10.0
    for now_s in (10.0, 20.0, 30.0):
        talk.client.tick(now_s)
        talk._take()
        assert talk.method == "GET_PARAMETER"
        talk.client.tick(now_s + 9.9)
    talk._take()
    assert len(talk.asked) == 4 + 3
    assert playing(public="").client.due_s == 10.0


def test_a_server_without_get_parameter_gets_options() -> None:
    talk = playing(public="Public: DESCRIBE, PLAY\r\n")
    talk.client.tick(10.0)
    talk._take()
    assert talk.method == "OPTIONS"


def test_a_session_that_the_server_has_forgotten_has_ended() -> None:
    talk = playing()
    talk.client.tick(10.0)
    talk._take()
    assert talk.answer(454) == [Ended()]
    assert talk.client.is_over


def test_credentials_are_sent_after_a_challenge_and_kept() -> None:
    talk = Dialogue()
    talk.answer()
    talk.answer(401, f"WWW-Authenticate: {DIGEST}\r\n")
    assert talk.method == "DESCRIBE"
    assert 'Digest username="u", realm="cam", nonce="n1", uri="rtsp://cam/live"' in talk.last
    assert "Accept: application/sdp" in talk.last
    talk.answer(body=SDP)
    assert talk.method == "SETUP"
    assert 'uri="rtsp://cam/live/t1"' in talk.last


@pytest.mark.parametrize("challenge", [DIGEST, 'Digest realm="cam", nonce="n2"', 'Basic realm="x"'])
def test_a_wrong_password_costs_one_request_with_credentials(challenge: str) -> None:
    talk = Dialogue()
    talk.answer()
    talk.answer(401, f"WWW-Authenticate: {DIGEST}\r\n")
    with pytest.raises(SourceUnauthorizedError, match="cam refused the user name or the password"):
        talk.answer(401, f"WWW-Authenticate: {challenge}\r\n")
    assert sum("Authorization" in one for one in talk.asked) == 1


def test_a_stale_nonce_is_renewed_but_not_for_ever() -> None:
    talk = Dialogue()
    talk.answer(401, f"WWW-Authenticate: {DIGEST}\r\n")
    for n in range(3):
        talk.answer(401, f'WWW-Authenticate: Digest realm="cam", nonce="s{n}", stale=true\r\n')
        assert f'nonce="s{n}"' in talk.last
    with pytest.raises(SourceUnauthorizedError):
        talk.answer(401, 'WWW-Authenticate: Digest realm="cam", nonce="s9", stale=true\r\n')


def test_a_server_that_accepted_the_password_may_change_its_nonce() -> None:
    talk = Dialogue()
    talk.answer(401, f"WWW-Authenticate: {DIGEST}\r\n")
    talk.answer()
    talk.answer(401, 'WWW-Authenticate: Digest realm="cam", nonce="n2"\r\n')
    assert talk.method == "DESCRIBE"
    assert 'nonce="n2"' in talk.last
    with pytest.raises(SourceUnauthorizedError):
        talk.answer(401, 'WWW-Authenticate: Digest realm="cam", nonce="n2"\r\n')


@pytest.mark.parametrize(
    ("url", "status", "headers", "text"),
    [
        ("rtsp://cam/a", 401, f"WWW-Authenticate: {DIGEST}\r\n", "asks for a user name"),
        ("rtsp://u:p@cam/a", 401, "WWW-Authenticate: Negotiate\r\n", "unknown kind"),
        ("rtsp://u:p@cam/a", 401, "", "unknown kind"),
        ("rtsp://u:p@cam/a", 403, "", "refuses access with status 403"),
    ],
)
def test_access_is_refused(url: str, status: int, headers: str, text: str) -> None:
    talk = Dialogue(url)
    with pytest.raises(SourceUnauthorizedError, match=text):
        talk.answer(status, headers)


def test_a_server_without_options_is_asked_for_its_description() -> None:
    talk = Dialogue()
    talk.answer(501)
    assert talk.method == "DESCRIBE"


@pytest.mark.parametrize(
    ("step", "status", "kind", "text"),
    [
        (1, 404, SourceStatusError, "cam answered with status 404"),
        (1, 503, SourceStatusError, "cam answered with status 503"),
        (1, 453, SourceBusyError, "status 453"),
        (2, 461, SourceProtocolError, "cam does not offer RTP over TCP"),
        (2, 453, SourceBusyError, "status 453"),
        (3, 455, SourceStatusError, "status 455"),
    ],
)
def test_a_refusal_at_each_step(step: int, status: int, kind: type[SourceError], text: str) -> None:
    talk = Dialogue()
    answers = [b"", SDP, b""]
    for body in answers[:step]:
        talk.answer(body=body)
    with pytest.raises(kind, match=text):
        talk.answer(status)


@pytest.mark.parametrize("transport", ["RTP/AVP;unicast", "RTP/AVP/TCP;interleaved=x"])
def test_another_transport_than_asked_for_is_refused(transport: str) -> None:
    talk = Dialogue()
    talk.answer()
    talk.answer(body=SDP)
    with pytest.raises(SourceProtocolError, match="does not offer RTP over TCP"):
        talk.answer(headers=f"Transport: {transport}\r\n")


@pytest.mark.parametrize("transport", ["RTP/AVP/TCP;interleaved=0-1", "RTP/AVP;multicast",
                                       "RTP/AVP;unicast;server_port=0-70000"])  # fmt: skip
def test_another_transport_than_udp_is_refused(transport: str) -> None:
    talk = Dialogue(udp=Channels(5000, 5001))
    talk.answer()
    talk.answer(body=SDP)
    with pytest.raises(SourceProtocolError, match="does not offer RTP over UDP"):
        talk.answer(headers=f"Transport: {transport}\r\n")


def test_a_session_that_could_not_be_sent_back_is_refused() -> None:
    talk = Dialogue()
    talk.answer()
    talk.answer(body=SDP)
    with pytest.raises(SourceProtocolError, match="no valid session"):
        talk.answer(headers="Session: a b;timeout=5\r\n")


def test_a_redirect_ends_this_connection() -> None:
    talk = Dialogue()
    talk.answer()
    assert talk.answer(302, "Location: rtsp://other/live\r\n") == [Redirected("rtsp://other/live")]
    assert talk.client.is_over
    again = playing()
    got = again.feed(b"REDIRECT * RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://b/\r\n\r\n")
    assert got == [Redirected("rtsp://b/")]


@pytest.mark.parametrize(
    ("request_line", "status", "events"),
    [
        ("OPTIONS *", "200 OK", []),
        ("GET_PARAMETER rtsp://cam/", "200 OK", []),
        ("ANNOUNCE rtsp://cam/", "501 Not Implemented", []),
        ("TEARDOWN rtsp://cam/", "200 OK", [Ended()]),
        ("REDIRECT rtsp://cam/", "200 OK", [Ended()]),
    ],
)
def test_requests_of_the_server_are_answered(
    request_line: str, status: str, events: list[Event]
) -> None:
    talk = playing()
    assert talk.feed(f"{request_line} RTSP/1.0\r\nCSeq: 77\r\n\r\n".encode()) == events
    assert talk.last.startswith(f"RTSP/1.0 {status}\r\nCSeq: 77")


def test_a_server_that_says_nothing_times_out() -> None:
    talk = Dialogue()
    assert talk.client.due_s == ANSWER_TIMEOUT_S
    talk.client.tick(ANSWER_TIMEOUT_S - 0.01)
    with pytest.raises(SourceTimeoutError, match="cam did not answer in time"):
        talk.client.tick(ANSWER_TIMEOUT_S)


def test_answers_that_nobody_waits_for_change_nothing() -> None:
    talk = Dialogue()
    assert talk.feed(b"RTSP/1.0 404 No\r\nCSeq: 99\r\n\r\n") == []
    assert talk.feed(b"RTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n") == []
    talk.answer()
    assert talk.method == "DESCRIBE"
    done = playing()
    assert done.feed(b"RTSP/1.0 401 No\r\nCSeq: 4\r\n\r\n") == []


def test_lost_bytes_are_reported_and_bytes_that_are_no_rtsp_refused() -> None:
    talk = playing()
    got = talk.feed(b"\x00\x00" + b"$\x00\x00\x16" + RTP + b"$\x00\x00\x16" + RTP)
    assert got == [Desynchronised(2), RtpReceived(RTP), RtpReceived(RTP)]
    with pytest.raises(SourceProtocolError, match="cam does not speak RTSP"):
        talk.feed(bytes(2 << 20))


def test_close_says_goodbye_to_a_session_only() -> None:
    talk = playing()
    talk.client.close(1.0)
    talk._take()
    assert talk.last.startswith("TEARDOWN rtsp://cam/live/ RTSP/1.0")
    fresh = Dialogue()
    fresh.client.close(1.0)
    fresh._take()
    assert len(fresh.asked) == 1


header = st.sampled_from(
    ["", f"WWW-Authenticate: {DIGEST}\r\n", 'WWW-Authenticate: Basic realm="x"\r\n',
     "Location: rtsp://b/\r\n", "Session: 5;timeout=0\r\n", "Session: \r\n",
     "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", "Transport: x\r\n",
     "Public: GET_PARAMETER\r\n", "Content-Base: \r\n", "Content-Base: rtsp://[/\r\n"]
)  # fmt: skip
steps = st.lists(
    st.tuples(
        st.sampled_from([200, 200, 200, 100, 302, 401, 403, 404, 453, 454, 461, 500, 999]),
        st.lists(header, max_size=3).map("".join),
        st.sampled_from([b"", SDP, SDP, b"\xff\x00"]),
        st.floats(0, 20),
        st.one_of(st.just(b""), st.just(b"$\x00\x00\x16" + RTP), st.binary(max_size=50)),
    ),
    max_size=15,
)


@given(steps, st.booleans())
def test_any_server_gives_events_or_a_source_error_without_the_secrets(
    answers: list[tuple[int, str, bytes, float, bytes]], is_udp: bool
) -> None:
    url = "rtsp://user7:password7@cam/secret7?token=token7"
    talk = Dialogue(url, Channels(5000, 5001) if is_udp else None)
    now_s = 0.0
    failure = ""
    try:
        for status, headers, body, wait_s, noise in answers:
            if talk.client.is_over:
                break
            now_s += wait_s
            talk.answer(status, headers, body, now_s)
            talk.feed(noise, now_s)
            talk.client.tick(now_s)
            talk._take()
            assert talk.client.due_s > 0
    except SourceError as exc:
        failure = f"{exc} {exc.__cause__}"
    assert not any(secret in failure for secret in ("user7", "password7", "secret7", "token7"))
    assert all("password7" not in one for one in talk.asked)
    assert len(talk.asked) <= 3 * (len(answers) + 2)
