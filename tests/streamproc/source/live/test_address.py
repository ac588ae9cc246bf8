"""URLs of live sources: where they lead, and that none of them is shown."""

import pytest

from streamproc.source.live.address import HttpUrl, identity, parse
from streamproc.source.live.credentials import Credentials
from streamproc.source.live.rtmp.url import RtmpUrl
from streamproc.source.live.rtsp.url import RtspUrl


@pytest.mark.parametrize(
    ("url", "kind", "host", "port", "is_tls", "identified"),
    [
        ("rtsp://u:p@cam/a?b=1", RtspUrl, "cam", 554, False, "rtsp://cam/a?b=1"),
        ("rtsps://cam:8554/a", RtspUrl, "cam", 8554, True, "rtsps://cam:8554/a"),
        ("rtmp://cam/live/a", RtmpUrl, "cam", 1935, False, "rtmp://cam:1935/live/a"),
        ("RTMPS://cam/live/a", RtmpUrl, "cam", 443, True, "rtmps://cam:443/live/a"),
        ("http://u:p%40@cam:8080/a#x", HttpUrl, "cam", 8080, False, "http://cam:8080/a"),
        ("HTTPS://cam/live.m3u8?t=1", HttpUrl, "cam", 443, True, "https://cam/live.m3u8?t=1"),
        ("http://[::1]/a", HttpUrl, "::1", 80, False, "http://[::1]/a"),
    ],
)
def test_a_url_is_split_by_its_scheme(
    url: str, kind: type[object], host: str, port: int, is_tls: bool, identified: str
) -> None:
    found, _ = parse(url)
    assert isinstance(found, kind)
    assert (found.host, found.port, found.is_tls) == (host, port, is_tls)
    assert identity(found) == identified
    assert "/a" not in repr(found)


def test_a_login_is_apart_and_decoded() -> None:
    found, credentials = parse("http://us%3Aer:p%40%2F@cam/a?x=1")
    assert credentials == Credentials("us:er", "p@/")
    assert isinstance(found, HttpUrl)
    assert found.target == "http://cam/a?x=1"


@pytest.mark.parametrize("scheme", ["rtsp", "http", "https"])
@pytest.mark.parametrize("login", ["a%0D%0AX: b:p", "a:p%0A", "%00:p"])
def test_a_login_that_could_end_a_header_is_refused(scheme: str, login: str) -> None:
    with pytest.raises(ValueError, match="printable") as raised:
        parse(f"{scheme}://{login}@cam/a")
    assert "X: b" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["srt://secret7/", "http:///secret7", "http://cam:x/secret7", "secret7", "https://["]
)
def test_a_url_that_leads_nowhere_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"scheme must be|invalid") as raised:
        parse(url)
    assert "secret7" not in str(raised.value)
