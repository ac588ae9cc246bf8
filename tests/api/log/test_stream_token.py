"""Stream tokens: bound to a project, a task and a key, for a while."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.log.stream_token import TokenExpiredError, sign, verify

KEY = "key_0123456789abcdef0123"
OTHER_KEY = "key_0123456789abcdef0124"


def as_before(secret: str, project: str, task: str, expires_s: int) -> str:
    """Return a token as it was signed before it named a key."""
    signed = f"framewire stream token v1\n{project}\n{task}\n{expires_s}".encode()
    mac = hmac.digest(secret.encode(), signed, hashlib.sha256)
    parts = [
        base64.urlsafe_b64encode(data).rstrip(b"=").decode() for data in (project.encode(), mac)
    ]
    return f"v1.{expires_s}.{parts[0]}.{parts[1]}"


@given(project=st.text(min_size=1, max_size=30), task=st.text(min_size=1, max_size=30))
def test_a_token_names_its_project_and_key_until_it_expires(project: str, task: str) -> None:
    token = sign("secret", project, task, 1000, KEY)
    assert verify("secret", token, task, 999.9) == (project, KEY)
    with pytest.raises(TokenExpiredError):
        verify("secret", token, task, 1000)
    assert verify("other", token, task, 1000) is None
    assert verify("other", token, task, 1) is None
    assert verify("secret", token, task + "x", 1) is None


@given(project=st.text(min_size=1, max_size=30), task=st.text(min_size=1, max_size=30))
def test_a_token_of_before_is_good_until_it_expires_and_names_no_key(
    project: str, task: str
) -> None:
    token = as_before("secret", project, task, 1000)
    assert verify("secret", token, task, 999.9) == (project, None)
    with pytest.raises(TokenExpiredError):
        verify("secret", token, task, 1000)
    assert verify("other", token, task, 1000) is None
    assert verify("other", token, task, 1) is None


@pytest.mark.parametrize(
    "token",
    [
        *("", "v1", "v1...", "v1.1.a.b", "v2.9.YQ.x", "v1.9.YQ." + "a" * 600),
        *(
            "v2.9.YQ.key_.x",
            "v2.9.YQ.key_zz.x",
            "v3.9.YQ.key_1.x",
            "v2.9.YQ.key_" + "1" * 99 + ".x",
        ),
    ],
)
def test_junk_is_no_token(token: str) -> None:
    assert verify("secret", token, "t", 0) is None


def test_no_field_can_be_changed() -> None:
    version, expires, project, key, mac = sign("secret", "a", "t", 1000, KEY).split(".")
    old_mac = as_before("secret", "a", "t", 1000).rpartition(".")[2]
    other_mac = mac[:-1] + ("A" if mac[-1] != "A" else "B")
    for changed in (
        f"{version}.9999.{project}.{key}.{mac}",
        f"{version}.{expires}.Yg.{key}.{mac}",
        f"{version}.{expires}.{project}.{OTHER_KEY}.{mac}",
        f"{version}.{expires}.{project}.{key}.{other_mac}",
        f"{version}.{expires}.{project}.{mac}",
        f"{version}.{expires}.{project}.{old_mac}",
        f"v1.{expires}.{project}.{key}.{mac}",
        f"v1.{expires}.{project}.{mac}",
        f"v1.{expires}.{project}.{key}.{old_mac}",
    ):
        assert verify("secret", changed, "t", 0) is None
