"""Signed tokens for clients that cannot send headers (`EventSource`): one task, a short life.

A token is `v1.<expiry, Unix s>.<project>.<HMAC-SHA256>`, base64url. It opens the stream of one
task and nothing else. It travels in URLs: never write it to a log.
"""

import base64
import hashlib
import hmac
import re

DEFAULT_TTL_S = 3600
MAX_LENGTH = 512

_FORM = re.compile(r"v1\.(?P<expires>[0-9]{1,12})\.(?P<project>[A-Za-z0-9_-]+)\.(?P<mac>[\w-]+)")


def sign(secret: str, project: str, task: str, expires_s: int) -> str:
    """Return a token that opens the task's stream until `expires_s` (Unix time)."""
    return f"v1.{expires_s}.{_encode(project.encode())}.{_mac(secret, project, task, expires_s)}"


def verify(secret: str, token: str, task: str, now_s: float) -> str | None:
    """Return the project that a token opens the task's stream for, None for a bad token."""
    form = _FORM.fullmatch(token) if len(token) <= MAX_LENGTH else None
    if form is None:
        return None
    expires_s = int(form["expires"])
    try:
        project = base64.urlsafe_b64decode(form["project"] + "=" * (-len(form["project"]) % 4))
        expected = _mac(secret, project.decode(), task, expires_s)
    except ValueError:
        return None
    if not hmac.compare_digest(expected.encode(), form["mac"].encode()) or now_s >= expires_s:
        return None
    return project.decode()


def _mac(secret: str, project: str, task: str, expires_s: int) -> str:
    signed = "\n".join(("framewire stream token v1", project, task, str(expires_s)))
    return _encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
