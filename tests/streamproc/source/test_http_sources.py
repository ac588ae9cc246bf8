"""Videos over HTTP: ranges, no ranges, and everything an origin can do wrong."""

import base64
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.contract.task_spec import Sampling
from streamproc.source.errors import SourceError
from streamproc.source.fetch.opener import open_reader
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import open_source
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.data import clips
from tests.streamproc.source.conftest import Clip, digest, plain_decode
from tests.streamproc.source.origin import Behaviour, Handler, Origin, serving

ALL = Sampling("interval", 1)


def policy(origin: Origin, **changes: Any) -> FetchPolicy:
    defaults = {"connect_timeout_s": 2.0, "stall_timeout_s": 8.0, "total_timeout_s": 20.0}
    hosts = PrivateHosts(origin.authority)
    return FetchPolicy(allowed_private_hosts=hosts, **(defaults | changes))


def digests(origin: Origin, **changes: Any) -> list[str]:
    with open_source(
        SourceSpec(origin.url, ALL), policy(origin, **changes), FrameOutputs()
    ) as source:
        found = []
        for frame in source:
            found.append(digest(frame.image))
            frame.release()
        return found


def failure(origin: Origin, **changes: Any) -> SourceError:
    with pytest.raises(SourceError) as caught:
        digests(origin, **changes)
    told = str(caught.value)
    assert not any(part in told for part in ("secret", "user", "pass@", "clip.mp4"))
    return caught.value


@pytest.mark.parametrize("name", ["b_frames.mp4", "mpeg4.avi", "open_gop.mkv"])
@pytest.mark.parametrize("ranged", [True, False], ids=["ranges", "no ranges"])
def test_frames_over_http_are_those_of_the_file(clip: Clip, name: str, ranged: bool) -> None:
    body = clip(name).read_bytes()

    def behave(handler: Handler) -> None:
        handler.answer_range(body) if ranged else handler.answer(200, body)

    with serving(behave) as origin:
        assert digests(origin) == [frame.digest for frame in plain_decode(clip(name))]
        assert len(origin.requests) <= (4 if ranged else 1)


def test_a_body_of_unknown_length_is_decoded_and_can_be_staged(clip: Clip) -> None:
    body = clip("open_gop.ts").read_bytes()

    def behave(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for at in range(0, len(body), 5000):
            piece = body[at : at + 5000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    with serving(behave) as origin:
        spec = SourceSpec(origin.url, ALL)
        with open_source(spec, policy(origin), FrameOutputs()) as source:
            found = [digest(frame.image) for frame in source]
            assert not source.info.seekable
            spool = source.open_spool()
            assert spool is not None
            with spool as spooled:
                assert spooled.read() == body
    assert found == [frame.digest for frame in plain_decode(clip("open_gop.ts"))]


def test_the_first_frame_comes_before_the_rest_was_sent(clip: Clip, tmp_path: Path) -> None:
    body = clips.faststart(clip("plain.mp4"), tmp_path / "front.mp4").read_bytes()
    half = len(body) + 100_000
    body += (500_000).to_bytes(4, "big") + b"free" + bytes(499_992)

    def behave(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:half])
        handler.wfile.flush()
        handler.server.released.wait()
        handler.wfile.write(body[half:])

    with serving(behave) as origin:
        spec = SourceSpec(origin.url, ALL)
        with open_source(spec, policy(origin), FrameOutputs()) as source:
            frames = iter(source)
            assert next(frames).index == 0
            origin.released.set()
            assert [frame.index for frame in frames] == list(range(1, 60))


def test_a_dropped_connection_is_taken_up_again(clip: Clip) -> None:
    body = clip("plain.mp4").read_bytes()

    def behave(handler: Handler) -> None:
        if len(handler.server.requests) == 1:
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes 0-{len(body) - 1}/{len(body)}")
            handler.send_header("Content-Length", str(len(body)))
            handler.send_header("ETag", '"one"')
            handler.end_headers()
            handler.wfile.write(body[:3000])
            handler.reset()
        else:
            handler.answer_range(body)

    with serving(behave) as origin:
        assert len(digests(origin)) == 60


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        (lambda h: h.answer(404, b"gone"), "source_http_status"),
        (lambda h: h.answer(403, b"no"), "source_http_status"),
        (lambda h: h.answer(500, b"oh"), "source_http_status"),
        (lambda h: h.hang(), "source_timeout"),
        (lambda h: h.reset(), "source_unreachable"),
        (lambda h: h.answer(302, b"", Location="/again"), "source_too_many_redirects"),
        (lambda h: h.answer(302, b"", Location="http://169.254.169.254/"), "source_forbidden"),
        (lambda h: h.answer(302, b"", Location="http://localhost:1/"), "source_forbidden"),
        (lambda h: h.answer(302, b"", Location="file:///etc/passwd"), "source_forbidden"),
        (lambda h: h.answer(200, b"<!DOCTYPE html><html></html>"), "source_not_video"),
        (
            lambda h: h.answer(200, b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
            "source_unsupported",
        ),
        (lambda h: h.answer(200, b'{"error": "no"}'), "source_not_video"),
        (lambda h: h.answer(200, b""), "source_empty"),
        (lambda h: h.answer(416, b""), "source_empty"),
        (lambda h: h.answer(200, b"x" * 5000, Content_Encoding="gzip"), "source_unreachable"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_bad_origin_has_a_clear_error(behave: Behaviour, code: str) -> None:
    with serving(behave) as origin:
        stall_timeout_s = 0.3 if code == "source_timeout" else 8.0
        assert failure(origin, stall_timeout_s=stall_timeout_s).code == code


def test_nobody_listening_is_unreachable() -> None:
    with serving(lambda handler: handler.answer(200, b"")) as origin:
        pass
    assert failure(origin).code == "source_unreachable"


def test_a_body_over_the_limit_is_refused(clip: Clip) -> None:
    body = clip("plain.mp4").read_bytes()
    for behave in (lambda h: h.answer_range(body), lambda h: h.answer(200, body)):
        with serving(behave) as origin:
            error = failure(origin, max_bytes=1000)
            assert error.code == "source_too_large"
            assert "1000 bytes" in str(error)


@pytest.mark.parametrize("how", ["size", "etag", "shrunk"])
def test_a_file_that_changes_midway_is_noticed(clip: Clip, how: str) -> None:
    body = clip("b_frames.mp4").read_bytes()

    def behave(handler: Handler) -> None:
        if len(handler.server.requests) == 1:
            handler.answer_range(body)
        elif how == "size":
            handler.answer_range(body + b"more")
        elif how == "etag":
            handler.answer_range(body[:-1] + b"x", etag='"two"')
        else:
            handler.answer_range(body[:10])

    with serving(behave) as origin:
        assert failure(origin).code == "source_changed"


def test_a_body_shorter_than_promised_is_truncated(clip: Clip, tmp_path: Path) -> None:
    body = clips.faststart(clip("plain.mp4"), tmp_path / "front.mp4").read_bytes()

    def behave(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2])
        handler.close_connection = True

    with serving(behave) as origin:
        spec = SourceSpec(origin.url, ALL)
        found: list[int] = []
        with (
            open_source(spec, policy(origin), FrameOutputs()) as source,
            pytest.raises(SourceError) as caught,
        ):
            found.extend(frame.index for frame in source)
        assert caught.value.code == "source_truncated"
        assert 5 < len(found) < 60


def test_a_silence_in_the_middle_is_a_timeout(clip: Clip, tmp_path: Path) -> None:
    body = clips.faststart(clip("plain.mp4"), tmp_path / "front.mp4").read_bytes()

    def behave(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2])
        handler.wfile.flush()
        handler.hang()

    with serving(behave) as origin:
        assert failure(origin, stall_timeout_s=1).code == "source_timeout"


def test_the_fingerprint_follows_the_bytes_and_the_etag(clip: Clip) -> None:
    body = clip("plain.mp4").read_bytes()
    found = set()
    for content, etag in ((body, '"1"'), (body, '"1"'), (body, '"2"'), (body[:-1] + b"x", '"1"')):
        with serving(partial(Handler.answer_range, body=content, etag=etag)) as origin:
            spec = SourceSpec(origin.url)
            with open_source(spec, policy(origin), FrameOutputs()) as source:
                found.add(source.info.fingerprint)
    assert len(found) == 3


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[fd00:ec2::254]/",
        "ftp://example.org/a.mp4",
        "gopher://127.0.0.1/",
        "file:///etc/passwd",
        "file://host/etc/passwd",
        "concat:a|b",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "/etc/passwd",
        "",
    ],
)
def test_what_may_not_be_fetched_is_forbidden(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_reader(url, FetchPolicy())
    assert caught.value.code == "source_forbidden"


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_origin_is_asked_again(clip: Clip, status: int) -> None:
    body, refused = clip("plain.mp4").read_bytes(), 0

    def behave(handler: Handler) -> None:
        nonlocal refused
        if refused < 2:
            refused += 1
            handler.answer(status, b"", Retry_After="0")
        else:
            handler.answer_range(body)

    with serving(behave) as origin:
        assert digests(origin) == [frame.digest for frame in plain_decode(clip("plain.mp4"))]
    assert refused == 2


def test_an_origin_that_stays_busy_or_asks_for_long_is_given_up() -> None:
    for wait_s, most in (("0", 5), ("3600", 1)):
        with serving(partial(Handler.answer, status=503, body=b"", Retry_After=wait_s)) as origin:
            assert failure(origin).code == "source_http_status"
            assert len(origin.requests) == most


def test_an_origin_that_caps_its_ranges_is_read_on(clip: Clip) -> None:
    plain = clip("plain.mp4").read_bytes()
    body = plain + (400_000).to_bytes(4, "big") + b"free" + bytes(399_992)

    def behave(handler: Handler) -> None:
        first, _, last = handler.headers["Range"].removeprefix("bytes=").partition("-")
        start = int(first)
        end = min(int(last) if last else len(body) - 1, start + 50_000)
        part = body[start : end + 1]
        place = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
        handler.answer(206, part, Content_Range=place, ETag='"one"')

    with serving(behave) as origin:
        assert digests(origin) == [frame.digest for frame in plain_decode(clip("plain.mp4"))]


def test_an_origin_that_gives_crumbs_is_given_up(clip: Clip) -> None:
    body = clip("plain.mp4").read_bytes()

    def behave(handler: Handler) -> None:
        start = int(handler.headers["Range"].removeprefix("bytes=").partition("-")[0])
        part = body[start : start + 100]
        place = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
        handler.answer(206, part, Content_Range=place, ETag='"one"')

    with serving(behave) as origin:
        assert failure(origin).code == "source_unreachable"
        assert len(origin.requests) < 20


def test_a_range_of_unknown_total_is_read_to_its_end(clip: Clip) -> None:
    body = clip("plain.mp4").read_bytes()

    def behave(handler: Handler) -> None:
        handler.answer(206, body, Content_Range=f"bytes 0-{len(body) - 1}/*")

    with serving(behave) as origin:
        assert digests(origin) == [frame.digest for frame in plain_decode(clip("plain.mp4"))]


def test_the_urls_login_is_sent_and_not_to_another_host(clip: Clip) -> None:
    body = clip("plain.mp4").read_bytes()
    sent: list[str | None] = []

    def elsewhere(handler: Handler) -> None:
        sent.append(handler.headers["Authorization"])
        handler.answer_range(body)

    with serving(elsewhere) as other:

        def behave(handler: Handler) -> None:
            sent.append(handler.headers["Authorization"])
            handler.answer(302, b"", Location=f"http://{other.authority}/clip.mp4")

        with serving(behave) as origin:
            hosts = PrivateHosts(f"{origin.authority},{other.authority}")
            reader = open_reader(
                f"http://caf%C3%A9:p%40ss@{origin.authority}/clip.mp4",
                FetchPolicy(allowed_private_hosts=hosts),
            )
            reader.close()
    assert sent[:2] == ["Basic " + base64.b64encode("café:p@ss".encode()).decode(), None]
