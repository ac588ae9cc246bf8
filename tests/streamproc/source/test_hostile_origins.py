"""Origins that send what nobody sends: a clean error each time, in no time."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.allowed_hosts import PrivateHosts
from streamproc.contract.task_spec import Sampling
from streamproc.source.errors import SourceError
from streamproc.source.fetch.opener import open_reader
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.fetch.spool_quota import SpoolShares
from streamproc.source.frame_source import open_source
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.streamproc.source.conftest import Clip
from tests.streamproc.source.raw_origin import Exchange, RawOrigin, raw_origin

BODY = b"x" * 500
VALUES = st.one_of(
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(["9" * 5000, "-" + "9" * 5000, "²", "٣", "5.0", "1e9", "NaN", "0x1f", "١٢٣"]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=255), max_size=40),
).map(lambda text: text.encode("utf-8"))
HEADERS = ("Content-Length", "Content-Range", "Location", "ETag", "Transfer-Encoding", "Connection")


def policy(origin: RawOrigin, **changes: Any) -> FetchPolicy:
    limits = {"connect_timeout_s": 2.0, "stall_timeout_s": 1.0, "total_timeout_s": 10.0}
    hosts = PrivateHosts(origin.authority)
    return FetchPolicy(allowed_private_hosts=hosts, **(limits | changes))


def read_all(origin: RawOrigin, **changes: Any) -> bytes:
    """Open and read the origin's file; whatever goes wrong must be a `SourceError`."""
    reader = open_reader(f"http://{origin.authority}/clip.mp4", policy(origin, **changes))
    try:
        parts, position = [], 0
        while part := reader.read_at(position, 65536):
            parts.append(part)
            position += len(part)
        reader.check_unchanged()
        return b"".join(parts)
    finally:
        reader.close()


def failure(origin: RawOrigin, **changes: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read_all(origin, **changes)
    assert "clip.mp4" not in str(caught.value)
    return caught.value


@dataclass
class Scripted:
    """A server that sends `script`, and hangs up."""

    origin: RawOrigin
    script: bytes = b""


@pytest.fixture(scope="module")
def scripted() -> Iterator[Scripted]:
    """One server for many cases."""

    def behave(exchange: Exchange) -> None:
        exchange.send(server.script)

    with raw_origin(behave) as origin:
        server = Scripted(origin)
        yield server


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([200, 206, 301, 302, 307, 416, 204, 999]),
    st.lists(st.tuples(st.sampled_from(HEADERS), VALUES), max_size=4),
)
def test_whatever_stands_in_headers_is_read_or_a_clean_error(
    scripted: Scripted, status: int, headers: list[tuple[str, bytes]]
) -> None:
    lines = b"".join(b"%s: %s\r\n" % (name.encode(), value) for name, value in headers)
    scripted.script = b"HTTP/1.1 %d X\r\n%s\r\n" % (status, lines) + BODY
    try:
        read_all(scripted.origin, max_redirects=1)
    except SourceError as exc:
        assert exc.code.startswith("source_")  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize(
    ("status", "header", "code"),
    [
        (302, b"Location: http://[", "source_http_status"),
        (302, b"Location: //[::1/x", "source_http_status"),
        (307, b"Location: http://a]b/", "source_http_status"),
        (302, b"Location: http://h:99999999/", "source_forbidden"),
        (302, b"Location: http://h:x/", "source_forbidden"),
        (302, b"Location: mailto:x", "source_forbidden"),
        (302, b"Location: http://:80/x", "source_forbidden"),
        (200, b"Content-Length: " + b"9" * 5000, "source_too_large"),
        (200, b"Content-Length: -5", "source_unreachable"),
        (200, b"Content-Length: +5", "source_unreachable"),
        (200, b"Content-Length: 5.5", "source_unreachable"),
        (200, b"Content-Length: \xb2", "source_unreachable"),
        (200, "Content-Length: ٣".encode(), "source_unreachable"),
        (200, b"Content-Length: 500\r\nContent-Length: 499", "source_unreachable"),
        (206, b"Content-Range: bytes 0-499/" + b"9" * 5000, "source_too_large"),
        (206, b"Content-Range: bytes 0-" + b"9" * 5000 + b"/500", "source_unreachable"),
        (206, b"Content-Range: bytes 0-499/-500", "source_unreachable"),
        (206, b"Content-Range: bytes 0-499/500.0", "source_unreachable"),
        (206, b"Content-Range: bytes 499-0/500", "source_unreachable"),
        (206, b"Content-Range: bytes 0-0/0", "source_unreachable"),
        (206, b"X: y", "source_unreachable"),
    ],
)
def test_an_impossible_header_has_its_error(
    scripted: Scripted, status: int, header: bytes, code: str
) -> None:
    scripted.script = b"HTTP/1.1 %d X\r\n%s\r\n\r\n" % (status, header) + BODY
    assert failure(scripted.origin).code == code


def forever(piece: bytes, head: bytes = b"") -> Any:
    def behave(exchange: Exchange) -> None:
        exchange.send(head)
        while not exchange.origin.released.is_set():
            exchange.send(piece * (65536 // len(piece)))

    return behave


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "behave",
    [
        forever(b"HTTP/1.1 100 Continue\r\n\r\n"),
        forever(b"X-Much: more\r\n", b"HTTP/1.1 200 OK\r\n"),
        forever(b"a", b"HTTP/1.1 200 OK\r\nX-Long: "),
        forever(b"a", b"HTTP/1.1 200 "),
        forever(b"X-Trailer: more\r\n", CHUNKED + b"5\r\nhello\r\n0\r\n"),
        forever(b"a", CHUNKED + b"5;"),
    ],
    ids=["100 Continue", "headers", "a header", "a status", "trailers", "a chunk extension"],
)
def test_what_has_no_end_is_hung_up_on_after_some_bytes(behave: Any) -> None:
    with raw_origin(behave) as origin:
        error = failure(origin, stall_timeout_s=8.0)
        assert error.code == "source_unreachable"
        origin.wait(lambda: origin.n_open == 0)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 346000\r\n\r\n"
PARTIAL = (
    b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-345999/346000\r\n"
    b"Content-Length: 346000\r\n\r\n"
)


@pytest.mark.parametrize("head", [OK, PARTIAL, CHUNKED], ids=["whole", "ranged", "chunked"])
@pytest.mark.parametrize("part", ["headers", "body", "framing"])
def test_a_byte_now_and_then_is_not_waited_for(head: bytes, part: str) -> None:
    def behave(exchange: Exchange) -> None:
        if part == "headers":
            exchange.drip(head * 1000, 0.05)
        exchange.send(head)
        if head is CHUNKED and part == "body":
            exchange.send(b"fffff\r\n")
        exchange.drip(b"0" * 4000, 0.05)

    with raw_origin(behave) as origin:
        assert failure(origin, stall_timeout_s=0.4).code == "source_timeout"
        origin.wait(lambda: origin.n_open == 0)


def test_a_slow_but_honest_origin_is_read_to_its_end() -> None:
    body = bytes(range(256)) * 400

    def behave(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 5000):
            exchange.send(body[at : at + 5000])
            exchange.origin.released.wait(0.05)  # 100 kB/s, in all longer than the patience

    with raw_origin(behave) as origin:
        assert read_all(origin, stall_timeout_s=0.4, min_bytes_per_s=50_000) == body


@pytest.mark.parametrize("name", ["ük.mp4", "видео file.mp4", "%C3%BCk.mp4?x=é", "日本語"])
def test_a_url_in_any_script_is_fetched(clip: Clip, name: str) -> None:
    body = clip("mpeg4.avi").read_bytes()

    def behave(exchange: Exchange) -> None:
        if "moved" not in exchange.path:
            location = f"/moved/{name}".encode()
            exchange.send(b"HTTP/1.1 302 X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location)
            return
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with raw_origin(behave) as origin:
        spec = SourceSpec(f"http://{origin.authority}/{name}", Sampling("interval", 1))
        with open_source(spec, policy(origin), FrameOutputs()) as source:
            assert next(iter(source)).index == 0
        assert all(path.isascii() for path in origin.paths)


def test_a_port_of_a_public_host_has_to_be_on_the_list() -> None:
    for url in ("http://8.8.8.8:8000/x", "https://example.com:8443/x", "http://no.invalid:22/"):
        with pytest.raises(SourceError) as caught:
            open_reader(url, FetchPolicy())
        assert caught.value.code == "source_forbidden"
        assert str(caught.value).startswith("port ")


def test_the_disk_of_temporary_files_is_not_filled(tmp_path: Path) -> None:
    for head in (OK, CHUNKED + b"ffffff\r\n"):
        with raw_origin(partial(Exchange.send, data=head + bytes(200_000))) as origin:
            error = failure(origin, min_free_bytes=1 << 60)
            assert error.code == "source_too_large"
            assert f"{1 << 60} bytes free" in str(error)


def test_copies_of_a_projects_sources_have_a_limit_together_and_others_go_on() -> None:
    shares = SpoolShares(300_000)
    body = bytes(200_000)
    with raw_origin(lambda e: e.send(OK.replace(b"346000", b"200000") + body)) as origin:
        url = f"http://{origin.authority}/clip.mp4"
        first = open_reader(url, policy(origin, spool=shares.of("p")))
        spool = first.open_spool()
        assert spool is not None
        spool.close()
        assert shares.taken("p") == len(body)
        error = failure(origin, spool=shares.of("p"))
        assert error.code == "source_too_large"
        assert "300000 bytes" in str(error)
        assert read_all(origin, spool=shares.of("other")) == body
        assert shares.taken("other") == 0
        first.close()
        first.close()
        assert shares.taken("p") == 0
        assert read_all(origin, spool=shares.of("p")) == body
