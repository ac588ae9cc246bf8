"""Masked URLs: nothing that may be a credential is left, and what it was stays legible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.contract.masking import MASK, holds_secret, is_masked, mask_request, mask_url

SECRET = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.~+/%:@=", min_size=1).map(
    lambda text: f"5ecret{text}"
)
NAME = st.sampled_from(["X-Amz-Signature", "Signature", "sig", "token", "key", "se", "a-b"])
IN_URL = SECRET.filter(lambda text: "/" not in text)


@given(
    user=st.none() | IN_URL,
    query=st.lists(st.tuples(NAME, SECRET) | st.tuples(st.none(), SECRET), max_size=4),
    separator=st.sampled_from("&;"),
    fragment=st.none() | SECRET,
    path=st.sampled_from(["", "/", "/clip.mp4", "/a@b/c"]),
)
def test_no_credential_is_left_in_a_masked_url(
    user: str | None,
    query: list[tuple[str | None, str]],
    separator: str,
    fragment: str | None,
    path: str,
) -> None:
    pieces = [value if name is None else f"{name}={value}" for name, value in query]
    url = f"https://{'' if user is None else user + '@'}host.example:8443{path}"
    url += f"?{separator.join(pieces)}" if pieces else ""
    url += "" if fragment is None else f"#{fragment}"
    masked = mask_url(url)
    anything = user is not None or bool(pieces) or fragment is not None
    bare = [value for name, value in query if name is None and "=" in value.rstrip("=")]
    if not bare:  # "secret=x" looks like a parameter's name
        assert "5ecret" not in masked
    assert (masked != url, holds_secret(url), is_masked(masked)) == (anything,) * 3
    assert mask_url(masked) == masked
    assert masked.startswith("https://")
    assert f"host.example:8443{path}" in masked


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://h/v.mp4?X-Amz-Date=1&X-Amz-Signature=ab", "X-Amz-Date=***&X-Amz-Signature=***"),
        ("https://h/v.mp4?c2VjcmV0==", "?***"),
        ("https://h/v.mp4?c2VjcmV0=", "?***"),
        ("http://me:p%40ss@h/v.mp4", "http://***@h/v.mp4"),
        ("http://a@b@h/v.mp4", "http://***@h/v.mp4"),
        ("http://:p@h", "http://***@h"),
        ("not a url ?key=1", "not a url ?key=***"),
    ],
)
def test_what_a_url_was_stays_legible(url: str, masked: str) -> None:
    assert mask_url(url).endswith(masked)


@pytest.mark.parametrize(
    "url", ["https://h/v.mp4", "file:///videos/a%20b@c.mp4", "https://h/v.mp4?", "", "x@y"]
)
def test_a_url_without_credentials_stays_as_it_is(url: str) -> None:
    assert mask_url(url) == url
    assert not is_masked(url)


@given(st.text())
def test_any_text_can_be_masked_and_masking_it_again_changes_nothing(text: str) -> None:
    assert mask_url(mask_url(text)) == mask_url(text)


def test_a_requests_body_is_masked_and_otherwise_kept() -> None:
    item = {"type": "video_url", "url": "https://u:p@h/v?k=1", "max_frames": 3}
    body = {"input": [item, "odd"], "steps": [{"model": "detect"}], "model": "a?b=c"}
    masked = {**item, "url": f"https://{MASK}@h/v?k={MASK}"}
    assert mask_request(body) == {**body, "input": [masked, "odd"]}
    assert mask_request({"input": 3}) == {"input": 3}
    assert item["url"] == "https://u:p@h/v?k=1"
