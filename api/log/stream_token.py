"""Signed, short-lived tokens for one task, for clients that cannot send headers (`EventSource`).

A token is `v2.<expiry, Unix s>.<project>.<key id>.<HMAC-SHA256>`, base64url. It gives access to the
stream of one task and nothing else, as long as the key that it was created with is valid. It is
part of URLs: never log it. `v1` had no key id; such tokens live for a day at most and are accepted
until they expire.
"""

import base64
import hashlib
import hmac
import re
from typing import NamedTuple

DEFAULT_TTL_S = 3600
MAX_LENGTH = 512

_FORM = re.compile(
    r"(?:v1|v2)\.(?P<expires>[0-9]{1,12})\.(?P<project>[A-Za-z0-9_-]+)"
    r"(?:\.(?P<key>key_[0-9a-f]{1,64}))?\.(?P<mac>[\w-]+)"
)


class TokenExpiredError(Exception):
    """The token was valid for the requested stream, but has expired."""


class Grant(NamedTuple):
    """The rights of a token: its bearer reads as `project`, with `key` (an id, None in v1)."""

    project: str
    key: str | None


def sign(secret: str, project: str, task: str, expires_s: int, key: str) -> str:
    """Return a token that gives access to the task's stream until `expires_s` (Unix time)."""
    mac = _mac(secret, project, task, expires_s, key)
    return f"v2.{expires_s}.{_encode(project.encode())}.{key}.{mac}"


def verify(secret: str, token: str, task: str, now_s: float) -> Grant | None:
    """Return the grant of a token for the task's stream, None for an invalid token.

    Raises `TokenExpiredError` for one that was valid before. The caller has to check whether its
    key is still valid.
    """
    form = _FORM.fullmatch(token) if len(token) <= MAX_LENGTH else None
    if form is None or token.startswith("v2.") != (form["key"] is not None):
        return None
    expires_s = int(form["expires"])
    try:
        project = base64.urlsafe_b64decode(form["project"] + "=" * (-len(form["project"]) % 4))
        expected = _mac(secret, project.decode(), task, expires_s, form["key"])
    except ValueError:
        return None
    if not hmac.compare_digest(expected.encode(), form["mac"].encode()):
        return None
    if now_s >= expires_s:
        raise TokenExpiredError
    return Grant(project.decode(), form["key"])


def _mac(secret: str, project: str, task: str, expires_s: int, key: str | None) -> str:
    version, bound = ("v1", ()) if key is None else ("v2", (key,))
    signed = "\n".join((f"framewire stream token {version}", project, task, str(expires_s), *bound))
    return _encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
