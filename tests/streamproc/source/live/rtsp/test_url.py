"""RTSP URLs and the URLs that a server names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.live.credentials import Credentials
from streamproc.source.live.rtsp.target import resolved
from streamproc.source.live.rtsp.url import follow, is_rtsp, parse


@pytest.mark.parametrize(
    ("url", "place", "target", "credentials"),
    [
        ("rtsp://cam", ("cam", 554), "rtsp://cam/", None),
        ("RTSPS://Cam:7/a?b=c#d", ("cam", 7), "rtsps://cam:7/a?b=c", None),
        ("rtsps://cam/a", ("cam", 322), "rtsps://cam/a", None),
        ("rtsp://u:p@cam/a", ("cam", 554), "rtsp://cam/a", ("u", "p")),
        ("rtsp://us%20er:p%40ss%3Aw%2Frd%231@cam/a", ("cam", 554), "rtsp://cam/a",
         ("us er", "p@ss:w/rd#1")),
        ("rtsp://u@cam/a", ("cam", 554), "rtsp://cam/a", ("u", "")),
        ("rtsp://[fd00::1]:8554/a b", ("fd00::1", 8554), "rtsp://[fd00::1]:8554/a%20b", None),
        ("rtsp://cam/ä", ("cam", 554), "rtsp://cam/%C3%A4", None),
    ],
)  # fmt: skip
def test_parts_of_a_url(
    url: str, place: tuple[str, int], target: str, credentials: tuple[str, str] | None
) -> None:
    found, login = parse(url)
    assert (found.host, found.port) == place
    assert found.target == target
    assert login == credentials
    assert is_rtsp(url)


@pytest.mark.parametrize(
    "url",
    ["http://secret/", "rtsp://", "rtsp://secret:0/", "rtsp://secret:99999/", "rtsp:///secret",
     "rtsp://u:secret%0d%0aX: y@cam/", "rtsp://[secret/", "rtsp://sec ret/", "secret",
     "rtsp://cam/" + "secret" * 1000, "rtsp://secrét/"],
)  # fmt: skip
def test_an_invalid_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse(url)
    assert "secret" not in str(caught.value)
    assert "secr" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_url_or_a_value_error(text: str) -> None:
    is_rtsp(text)
    for url in (text, f"rtsp://{text}", f"rtsp://cam/{text}", f"rtsp://{text}@cam/"):
        try:
            found, credentials = parse(url)
        except ValueError:
            continue
        assert found.target.isascii()
        assert found.target.isprintable()
        assert " " not in found.target
        assert "@" not in found.target.split("/")[2]
        if credentials is not None:
            assert (credentials.user + credentials.password).isprintable()


@pytest.mark.parametrize(
    ("location", "place", "goes_along"),
    [
        ("rtsp://cam:8554/b", ("cam", 8554), True),
        ("/b", ("cam", 554), True),
        ("rtsps://cam/b", ("cam", 322), True),
        ("rtsp://other/b", ("other", 554), False),
        ("rtsp://cam.evil/b", ("cam.evil", 554), False),
    ],
)
def test_credentials_go_along_to_the_same_host_only(
    location: str, place: tuple[str, int], *, goes_along: bool
) -> None:
    url, credentials = parse("rtsp://u:p@cam/a")
    found, left = follow(url, credentials, location)
    assert (found.host, found.port) == place
    assert left == (credentials if goes_along else None)


def test_a_redirect_from_tls_to_plain_text_loses_the_credentials() -> None:
    url, credentials = parse("rtsps://u:p@cam/a")
    assert follow(url, credentials, "rtsp://cam/a")[1] is None
    assert follow(url, credentials, "rtsp://x:y@cam/a")[1] == Credentials("x", "y")
    assert follow(url, credentials, "rtsps://cam/b")[1] == credentials


@pytest.mark.parametrize("location", ["http://cam/", "file:///etc/passwd", "rtsp://:8554/", "x:y"])
def test_a_redirect_to_another_protocol_is_refused(location: str) -> None:
    url, _ = parse("rtsp://cam/a")
    with pytest.raises(ValueError, match=r"."):
        follow(url, None, location)


@pytest.mark.parametrize(
    ("base", "control", "wanted"),
    [
        ("rtsp://cam/a/", "trackID=0", "rtsp://cam/a/trackID=0"),
        ("rtsp://cam/a?x=1", "trackID=0", "rtsp://cam/a?x=1/trackID=0"),
        ("rtsp://cam/a", "rtsp://cam:554/a/t", "rtsp://cam:554/a/t"),
        ("rtsp://cam/a", "rtsp://u:p@cam/a/t", "rtsp://cam/a/t"),
        ("rtsps://cam/a/b", "/t", "rtsps://cam/t"),
        ("rtsp://cam/a", "", "rtsp://cam/a"),
        ("rtsp://cam/a", 'x" y\r\nEvil: 1', "rtsp://cam/a/x%22%20y%0D%0AEvil:%201"),
        ("rtsp://cam/a", "b" * 5000, "rtsp://cam/a"),
    ],
)
def test_controls_are_resolved(base: str, control: str, wanted: str) -> None:
    assert resolved(base, control) == wanted


@given(st.text())
def test_any_control_stays_one_word(control: str) -> None:
    found = resolved("rtsp://cam/a", control)
    assert found.isascii()
    assert found.isprintable()
    assert not set(' "') & set(found)
