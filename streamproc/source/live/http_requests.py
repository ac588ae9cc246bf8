"""Requests of one live source over HTTP: within the guard, with its login where it is asked for.

A login is sent only after the source has asked for it (401), by Digest if it offers that, and only
to the origin that the source's URL names: not to a redirect's, and not to another host that a
playlist names. A refusal is a `SourceUnauthorizedError`, as that of a camera.
"""

import time
from typing import Final
from urllib.parse import SplitResult

import msgspec

from streamproc.source.errors import (
    SourceForbiddenError,
    SourceStatusError,
    SourceTimeoutError,
    SourceUnauthorizedError,
)
from streamproc.source.fetch.http_client import Answer, Fetcher
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.fetch.response_headers import origin, request_target, split_url
from streamproc.source.fetch.transfer_rate import Pace
from streamproc.source.live.credentials import Credentials
from streamproc.source.live.rtsp.authentication import Authenticator, best_challenge

FOREVER_S: Final = 10 * 365 * 86_400.0
BODY_TIMEOUT_S: Final = 30.0
_READ_BYTES: Final = 256 * 1024
_REFUSED: Final = frozenset({401, 403})


class Requests:
    """One thread at a time; the interrupt ends them from any."""

    def __init__(
        self,
        url: str,
        credentials: Credentials | None,
        policy: FetchPolicy,
        interrupt: Interrupt,
        *,
        stall_s: float,
        total_s: float = FOREVER_S,
    ) -> None:
        """`url`: of the source. `total_s`: for a whole answer; `stall_s`: for any byte of it.

        Raises `SourceForbiddenError` if the URL is invalid.
        """
        self._origin = origin(_split(url))
        self._login = None if credentials is None else Authenticator(credentials)
        self._interrupt, self._stall_s = interrupt, stall_s
        self._policy = msgspec.structs.replace(
            policy, total_timeout_s=total_s, stall_timeout_s=stall_s, min_bytes_per_s=0.0
        )

    def get(self, url: str, headers: dict[str, str] | None = None) -> Answer:
        """Send a GET; the status of the answer is 200, 206, 412 or 416. Raises a `SourceError`."""
        parts = _split(url)
        login = self._login if origin(parts) == self._origin else None
        target = request_target(parts)
        try:
            return self._sent(url, headers, None if login is None else login.header("GET", target))
        except SourceStatusError as exc:
            if exc.status not in _REFUSED:
                raise
            had_answer = login is not None and login.challenge is not None
            challenge = best_challenge(exc.challenges)
            if login is None or challenge is None or (had_answer and not challenge.is_stale):
                raise SourceUnauthorizedError(str(exc)) from exc
            login.accept(challenge)
        try:
            return self._sent(url, headers, login.header("GET", target))
        except SourceStatusError as exc:
            if exc.status in _REFUSED:
                raise SourceUnauthorizedError(str(exc)) from exc
            raise

    def _sent(self, url: str, headers: dict[str, str] | None, login: str | None) -> Answer:
        pace = Pace(0.0, self._stall_s)
        return Fetcher(url, self._policy, self._interrupt, pace).get(headers or {}, login)


def read_up_to(answer: Answer, most_bytes: int, first: bytes = b"") -> bytes:
    """Return a body that begins with `first`; of a larger one, a little more than `most_bytes`.

    Raises a `SourceError`, also if it takes longer than `BODY_TIMEOUT_S`.
    """
    deadline_s = time.monotonic() + BODY_TIMEOUT_S
    data = bytearray(first)
    while len(data) <= most_bytes and (piece := answer.read(_READ_BYTES)):
        data += piece
        if time.monotonic() > deadline_s:
            raise SourceTimeoutError(f"{answer.host} did not send a playlist in time")
    return bytes(data)


def _split(url: str) -> SplitResult:
    try:
        return split_url(url)
    except ValueError as exc:
        raise SourceForbiddenError("the source's URL is invalid") from exc
