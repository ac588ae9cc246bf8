"""The parser of a connection: any split gives the same messages, and nothing makes it grow."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.live.rtsp.messages import (
    MAX_BODY,
    MAX_HEAD,
    MAX_SKIPPED,
    Message,
    MessageError,
    Packet,
    Parser,
    Request,
    Response,
    Skipped,
)

OK = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"
SDP = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 5\r\n\r\nv=0\r\n"
RTP = bytes([0x80, 96]) + bytes(20)


def packet(data: bytes = RTP, channel: int = 0) -> bytes:
    return b"$" + bytes([channel]) + len(data).to_bytes(2, "big") + data


def parse(*pieces: bytes) -> list[Message]:
    parser = Parser()
    return [message for piece in pieces for message in parser.receive(piece)]


def merged(messages: Iterable[Message]) -> list[Message]:
    """The messages, neighbouring losses as one: how a loss is split depends on the reads."""
    found: list[Message] = []
    for message in messages:
        if isinstance(message, Skipped) and found and isinstance(found[-1], Skipped):
            found[-1] = Skipped(found[-1].n_bytes + message.n_bytes)
        else:
            found.append(message)
    return found


def test_responses_requests_and_packets_in_one_read() -> None:
    request = b"OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n"
    got = parse(packet() + OK + packet(channel=1) + SDP + request + packet())
    assert got == [
        Packet(0, RTP),
        Response(200, {"cseq": ("1",)}, b""),
        Packet(1, RTP),
        Response(200, {"cseq": ("2",), "content-length": ("5",)}, b"v=0\r\n"),
        Request("OPTIONS", {"cseq": ("7",)}),
        Packet(0, RTP),
    ]


def test_line_ends_of_one_byte_and_lines_between_messages() -> None:
    got = parse(b"RTSP/1.0 200 OK\nCSeq: 1\n\n\r\n\n" + packet())
    assert got == [Response(200, {"cseq": ("1",)}, b""), Packet(0, RTP)]


def test_a_status_without_a_reason_and_headers_that_repeat() -> None:
    got = parse(b"RTSP/1.0 401\r\nWWW-Authenticate: a\r\nwww-authenticate:b\r\nodd\r\n\r\n")
    assert got == [Response(401, {"www-authenticate": ("a", "b")}, b"")]
    assert isinstance(got[0], Response)
    assert got[0].header("www-authenticate") == "a"
    assert got[0].header("cseq") is None


pieces = st.lists(
    st.one_of(
        st.sampled_from([OK, SDP, packet(), packet(channel=1), packet(b""), b"\r\n"]),
        st.binary(max_size=40),
        st.binary(min_size=12, max_size=300).map(lambda data: packet(b"\x80\x60" + data)),
    ),
    max_size=12,
)


@given(pieces, st.lists(st.integers(0, 3000), max_size=20))
def test_any_split_of_the_bytes_gives_the_same_packets(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    split = [data[a:b] for a, b in pairwise(places)]
    at_once, in_parts = parse(data), parse(*split)
    if not any(isinstance(message, Skipped) for message in [*at_once, *in_parts]):
        assert at_once == in_parts
    n_known = sum(map(size, at_once))
    assert n_known <= len(data)


@given(st.lists(st.sampled_from([OK, SDP, packet(), packet(channel=1)]), max_size=12))
def test_what_is_in_order_comes_out_whole_byte_by_byte(parts: list[bytes]) -> None:
    data = b"".join(parts)
    whole, single = parse(data), parse(*(bytes([byte]) for byte in data))
    assert whole == single
    assert len(whole) == len(parts)
    assert sum(map(size, whole)) == len(data)


def size(message: Message) -> int:
    match message:
        case Packet(_, data):
            return 4 + len(data)
        case Skipped(n_bytes):
            return n_bytes
        case Response(status, _, body):
            return {b"": len(OK), b"v=0\r\n": len(SDP)}.get(body, 0) if status == 200 else 0
        case _:
            return 0


@given(st.integers(1, 25), st.integers(0, 25))
def test_goes_on_after_a_packet_that_lost_its_middle(n_kept: int, at: int) -> None:
    """A camera that dropped bytes: at most two packets are lost, and the loss is reported."""
    whole = packet(b"\x80\x60" + bytes(range(30, 230)))
    cut = whole[: 4 + n_kept] + whole[4 + n_kept + 100 :]
    got = parse(packet() * at + cut + packet() * 30 + OK)
    n_good = sum(message == Packet(0, RTP) for message in got)
    assert any(isinstance(message, Skipped) for message in got)
    assert n_good >= at + 30 - 6
    assert got[-1] == Response(200, {"cseq": ("1",)}, b"")


def test_goes_on_after_bytes_that_are_no_message() -> None:
    got = merged(parse(b"\x00\x01garbage$$\xff\xff" + packet() + packet()))
    assert got == [Skipped(13), Packet(0, RTP), Packet(0, RTP)]


def test_a_loss_at_the_end_of_a_read_goes_on_in_the_next() -> None:
    got = merged(parse(b"\x00\x01", b"\x02\x03", packet() + packet()))
    assert got == [Skipped(4), Packet(0, RTP), Packet(0, RTP)]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"RTSP/1.0 200 OK\r\nContent-Length: 999999999\r\n\r\n", f"longer than {MAX_BODY} bytes"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", "no valid Content-Length"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: \xb2\r\n\r\n", "no valid Content-Length"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 9999999999\r\n\r\n", "no valid Content-Length"),
        (b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", "more than 128 headers"),
        (b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * 9000, f"longer than {MAX_HEAD} bytes"),
        (b"\x00" * (MAX_SKIPPED + 1), f"more than {MAX_SKIPPED} bytes"),
        (b"HTTP/1.1 400 Bad Request\r\n" * 60_000, f"more than {MAX_SKIPPED} bytes"),
        (b"A" * (MAX_SKIPPED + 2 * MAX_HEAD), f"more than {MAX_SKIPPED} bytes"),
    ],
)
def test_what_exceeds_a_limit_is_an_error(data: bytes, text: str) -> None:
    with pytest.raises(MessageError, match=text):
        parse(*(data[at : at + 65536] for at in range(0, len(data), 65536)))


@given(st.lists(st.one_of(st.binary(max_size=600), st.sampled_from([b"$", b"RTSP/1.", OK]))))
def test_any_bytes_give_messages_or_the_one_error_and_little_is_held(parts: list[bytes]) -> None:
    parser = Parser()
    try:
        for part in parts:
            list(parser.receive(part))
            assert len(parser._buffer) <= MAX_HEAD + MAX_BODY + 600
    except MessageError:
        pass


def test_losses_long_ago_do_not_add_up() -> None:
    parser = Parser()
    for _ in range(3):
        for at in range(0, MAX_SKIPPED // 2, 65536):
            list(parser.receive(bytes(min(65536, MAX_SKIPPED // 2 - at))))
        got = list(parser.receive(packet() * 5000))
        assert sum(isinstance(message, Packet) for message in got) >= 4999
