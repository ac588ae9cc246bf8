"""How long a connection may go without a picture. Sans-IO."""

from typing import Final

from streamproc.source.errors import SourceTimeoutError

OPEN_TIMEOUT_S: Final = 20.0
"""Longest time from the connection to its first picture, or until it plays."""


class Stall:
    """Notes the pictures of one connection; times are monotonic seconds."""

    def __init__(self, host: str, limit_s: float, now_s: float) -> None:
        """`host` is named in the error."""
        self._host, self._limit_s, self._heard_s = host, limit_s, now_s

    def restart(self, now_s: float) -> None:
        """Wait for the next picture from now on."""
        self._heard_s = now_s

    def check(self, now_s: float, *, has_pictures: bool) -> None:
        """Note whether pictures came. Raises `SourceTimeoutError` when none did for the limit."""
        if has_pictures:
            self._heard_s = now_s
        elif now_s - self._heard_s >= self._limit_s:
            raise SourceTimeoutError(f"{self._host} has sent no picture for {self._limit_s:g} s")
