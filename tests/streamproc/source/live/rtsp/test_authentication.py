"""Digest and Basic, against the examples of the RFCs and a second implementation."""

import base64

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.live.credentials import Credentials
from streamproc.source.live.rtsp.authentication import (
    Authenticator,
    best_challenge,
)

MUFASA = Credentials("Mufasa", "Circle Of Life")
NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
CLIENT_NONCE = "0a4f113b"


def answer(challenge: str, credentials: Credentials = MUFASA) -> str:
    authenticator = Authenticator(credentials, lambda: CLIENT_NONCE)
    found = best_challenge([challenge])
    assert found is not None
    authenticator.accept(found)
    header = authenticator.header("GET", "/dir/index.html")
    assert header is not None
    return header


def test_the_example_of_rfc_2617() -> None:
    header = answer(
        f'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="{NONCE}",'
        ' opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    assert 'response="6629fae49393a05397450978507c4ef1"' in header
    assert "nc=00000001" in header
    assert "algorithm" not in header
    assert 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in header


names = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1)


@given(
    names,
    names,
    st.sampled_from(["MD5", "SHA-256", "MD5-SESS", "SHA-256-SESS"]),
    st.sampled_from(["", ', qop="auth"', ', qop="auth-int, auth"']),
)
def test_the_same_as_another_implementation(
    user: str, password: str, algorithm: str, quality: str
) -> None:
    challenge = f'Digest realm="a camera", nonce="{NONCE}", algorithm={algorithm}{quality}'
    ours = answer(challenge, Credentials(user, password))
    other = httpx.DigestAuth(user, password)
    other._get_client_nonce = lambda *_: CLIENT_NONCE.encode()  # type: ignore[method-assign]
    request = httpx.Request("GET", "http://camera/dir/index.html")
    response = httpx.Response(401, headers={"www-authenticate": challenge}, request=request)
    flow = other.auth_flow(request)
    next(flow)
    theirs = flow.send(response).headers["authorization"]
    wanted = theirs.split('response="')[1].split('"')[0]
    assert f'response="{wanted}"' in ours


def test_each_use_of_a_nonce_has_its_own_count() -> None:
    authenticator = Authenticator(MUFASA)
    found = best_challenge([f'Digest realm="a", nonce="{NONCE}", qop="auth"'])
    assert found is not None
    authenticator.accept(found)
    headers = [authenticator.header("GET", "/") or "" for _ in range(3)]
    assert [f"nc={n:08x}" in header for n, header in enumerate(headers, 1)] == [True] * 3
    assert len({header.split('cnonce="')[1][:32] for header in headers}) == 3


def test_basic_has_the_pair_in_utf_8() -> None:
    header = answer('Basic realm="a"', Credentials("us er:x", "pä"))
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == "us er:x:pä"


def test_a_quote_in_a_user_name_stays_within_its_field() -> None:
    header = answer(f'Digest realm="a", nonce="{NONCE}"', Credentials('a", uri="x', "b"))
    assert header.startswith('Digest username="a\\", uri=\\"x", realm="a"')


@pytest.mark.parametrize(
    ("headers", "strength"),
    [
        (['Basic realm="a"', 'Digest realm="a", nonce="b"'], 1),
        (['Digest realm="a", nonce="b", Digest nonce="c", algorithm=SHA-256, Basic realm="x"'], 2),
        (['Digest realm="Basic realm, Digest x", nonce="b"'], 1),
        (['Digest realm="a", nonce="b", algorithm=SHA-512-256', "basic realm=a"], 0),
        (['Digest realm="a", nonce="b", qop="auth-int"', "basic realm=a"], 0),
        (['DIGEST realm="a",nonce="b",stale=FALSE'], 1),
    ],
)  # fmt: skip
def test_the_strongest_challenge_is_answered(headers: list[str], strength: int) -> None:
    found = best_challenge(headers)
    assert found is not None
    assert found.strength == strength


@pytest.mark.parametrize(
    "header",
    ["", "Negotiate", 'Bearer realm="a"', 'Digest realm="a", nonce="b", qop="auth-int"',
     f'Digest realm="a", nonce="{"b" * 2000}"', "Digest"],
)  # fmt: skip
def test_a_challenge_that_cannot_be_answered(header: str) -> None:
    found = best_challenge([header])
    assert found is None or header == "Digest"


@given(st.text(st.characters(codec="latin-1"), max_size=200))
def test_any_header_is_parsed_and_its_answer_is_one_line(text: str) -> None:
    for value in (text, f'Digest {text}, nonce="a"', f'Digest realm="{text}", nonce="a"'):
        line = value.replace("\r", "").replace("\n", "")  # the parser of messages splits lines
        found = best_challenge([line])
        if found is not None:
            authenticator = Authenticator(MUFASA)
            authenticator.accept(found)
            header = authenticator.header("GET", "/") or ""
            assert not {"\r", "\n"} & set(header)
            assert MUFASA.password not in header


def test_credentials_do_not_show() -> None:
    assert "Circle" not in repr(MUFASA)
    assert "Mufasa" not in f"{MUFASA!r} {MUFASA!s}"
