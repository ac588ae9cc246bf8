"""Values of headers: whatever stands there is a bounded number or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.fetch.response_headers import (
    BEYOND_ALL,
    content_length,
    content_range,
    origin,
    redirected,
    request_target,
    split_url,
)

LATIN = st.characters(max_codepoint=255)
ODD = st.text(LATIN, max_size=30) | st.text("0123456789-/ bytes*.,+_²", max_size=30)
NUMBERS = st.integers(0, 10**30)


@given(ODD)
def test_a_length_is_a_bounded_number_or_refused(text: str) -> None:
    try:
        length = content_length(text)
    except ValueError:
        return
    assert length is not None
    assert 0 <= length <= BEYOND_ALL
    assert text.strip().isascii()
    assert text.strip().isdecimal()


@given(NUMBERS)
def test_a_length_is_what_it_says_up_to_a_bound(length: int) -> None:
    assert content_length(str(length)) == min(length, BEYOND_ALL)


@pytest.mark.parametrize("text", ["9" * 5000, "0" * 100_000])
def test_digits_without_end_are_a_number_beyond_all(text: str) -> None:
    assert content_length(text) == BEYOND_ALL


@pytest.mark.parametrize("text", ["-5", "+5", "5.0", "1e3", "²", "٣", "1_000", "", "5, 5", "0x10"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="length"):
        content_length(text)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_range_lies_within_its_size_or_is_refused(start: int, last: int, size: int) -> None:
    try:
        told = content_range(f"bytes {start}-{last}/{size}")
    except ValueError:
        assert not start <= last < size or size >= BEYOND_ALL
        return
    assert told.size is not None
    assert 0 <= told.start <= told.last < told.size <= BEYOND_ALL
    assert (told.start, told.last) == (start, last)


@given(ODD)
def test_what_is_no_range_is_refused_and_nothing_else_happens(text: str) -> None:
    try:
        told = content_range(f"bytes {text}")
    except ValueError:
        return
    assert told.start <= told.last < (BEYOND_ALL if told.size is None else told.size)


@given(st.text(LATIN, max_size=40))
def test_a_redirect_leads_to_a_url_of_printable_ascii_or_is_refused(location: str) -> None:
    try:
        target = request_target(split_url(redirected("http://origin.example/a/b?c", location)))
    except ValueError:
        return
    assert all(0x21 <= ord(character) < 0x7F for character in target)
    assert target.startswith("/")


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=30))
def test_a_url_of_any_script_is_sent_as_utf8_in_percent_encoding(name: str) -> None:
    try:
        target = request_target(split_url(f"http://origin.example/{name}"))
    except ValueError:
        return
    assert all(0x21 <= ord(character) < 0x7F for character in target)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://h/ük.mp4", "/%C3%BCk.mp4"),
        ("http://h/a b.mp4?q=ö c", "/a%20b.mp4?q=%C3%B6%20c"),
        ("http://h/%C3%BCk.mp4?X-Signature=a%2Fb+c", "/%C3%BCk.mp4?X-Signature=a%2Fb+c"),
        ("http://h/a;b=(c)!*'~|^{}", "/a;b=(c)!*'~|^{}"),
        ("http://h?x", "/?x"),
        ("http://h//a//b#frag", "//a//b"),
    ],
)
def test_what_is_signed_stays_as_it_is_and_the_rest_is_encoded(url: str, target: str) -> None:
    assert request_target(split_url(url)) == target


@pytest.mark.parametrize(
    ("url", "other", "is_one"),
    [
        ("http://h/a", "HTTP://H:80/b?c", True),
        ("https://u:p@h:443/", "https://h/", True),
        ("http://h/", "https://h/", False),
        ("http://h/", "http://h:8080/", False),
        ("http://h/", "http://i/", False),
    ],
)
def test_urls_have_one_origin_by_scheme_host_and_port(url: str, other: str, is_one: bool) -> None:
    assert (origin(split_url(url)) == origin(split_url(other))) is is_one


@pytest.mark.parametrize("location", ["http://[", "//[::1/x", "http://a]b/", "http://a:b:c/"])
def test_what_is_no_url_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"URL|Port"):
        split_url(redirected("http://origin.example/", location))


def test_a_redirect_in_utf8_goes_to_the_bytes_that_were_sent() -> None:
    location = "/ük.mp4".encode().decode("latin-1")  # as http.client gives it
    assert redirected("http://h/a", location) == "http://h/%C3%BCk.mp4"
