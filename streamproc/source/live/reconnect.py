"""When to connect to a source again, and when to give it up. Sans-IO.

before the first picture   what can be temporary is tried again for `START_PATIENCE_S`
after it                   for ever, or until `give_up_s` have passed without a picture
a refused password         before the first picture: the end; after it, or too many connections:
                           slowly, because cameras lock accounts and count open sessions; then the
                           jitter only makes a wait longer
never again                a forbidden address, no video, an unsupported codec, too large pictures
"""

from collections.abc import Callable
from typing import Final

from streamproc.source.errors import (
    SourceBusyError,
    SourceError,
    SourceForbiddenError,
    SourceLostError,
    SourceNotVideoError,
    SourceRedirectError,
    SourceTooLargeError,
    SourceUnauthorizedError,
    SourceUnsupportedError,
)

START_PATIENCE_S: Final = 60.0
QUICK_S: Final = (0.2, 0.5, 1.0, 2.0)
"""Waits after a loss; the last one is repeated for a minute."""
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_WAIT_AFTER_A_MINUTE_S: Final = 5.0
_WAIT_AFTER_AN_HOUR_S: Final = 15.0
SLOW_S: Final = (60.0, 120.0, 300.0)
"""Waits after a refusal by a source that has worked; the last one is repeated."""
JITTER: Final = 0.2
_FATAL: Final = (
    SourceForbiddenError,
    SourceNotVideoError,
    SourceRedirectError,
    SourceTooLargeError,
    SourceUnsupportedError,
)
_REFUSALS: Final = (SourceUnauthorizedError, SourceBusyError)


class Reconnects:
    """The attempts to reach one source; times are seconds of one monotonic clock."""

    def __init__(
        self,
        started_s: float,
        *,
        give_up_s: float | None,
        random: Callable[[], float],
        has_worked: bool = False,
    ) -> None:
        """`give_up_s`: None to try for ever. `random` returns numbers from 0 to 1.

        `has_worked`: there were pictures of the source before, in another process.
        """
        self._lost_s = started_s
        self._give_up_s = give_up_s
        self._random = random
        self._has_worked = has_worked
        self._n_failed = 0
        self._n_refused = 0

    @property
    def n_failed(self) -> int:
        """Failed attempts since the source was lost."""
        return self._n_failed

    def seen(self, now_s: float) -> None:
        """Note a picture: the source works."""
        self._has_worked = True
        self._lost_s = now_s
        self._n_failed = self._n_refused = 0

    def wait_s(self, failure: SourceError, now_s: float) -> float:
        """Return how long to wait before the next attempt. Raises the error that ends the source.

        An error before the first picture is raised itself. After it, `SourceLostError` ends a
        source that was away for `give_up_s`.
        """
        if isinstance(failure, _FATAL):
            raise failure
        away_s = now_s - self._lost_s
        is_refusal = isinstance(failure, _REFUSALS)
        if not self._has_worked and (
            isinstance(failure, SourceUnauthorizedError) or away_s >= START_PATIENCE_S
        ):
            raise failure
        if self._has_worked and self._give_up_s is not None and away_s >= self._give_up_s:
            raise SourceLostError(f"no picture for {self._give_up_s:g} s: {failure}") from failure
        if is_refusal and self._has_worked:
            wait_s = SLOW_S[min(self._n_refused, len(SLOW_S) - 1)]
            wait_s *= 1 + JITTER * self._random()
            self._n_refused += 1
        else:
            wait_s = self._usual_wait_s(away_s) * (1 + JITTER * (2 * self._random() - 1))
        self._n_failed += 1
        return self._not_beyond_the_end(wait_s, away_s)

    def _usual_wait_s(self, away_s: float) -> float:
        if away_s >= _HOUR_S:
            return _WAIT_AFTER_AN_HOUR_S
        if away_s >= _MINUTE_S:
            return _WAIT_AFTER_A_MINUTE_S
        return QUICK_S[min(self._n_failed, len(QUICK_S) - 1)]

    def _not_beyond_the_end(self, wait_s: float, away_s: float) -> float:
        """Shorten a wait that would end after the source is given up anyway."""
        if self._give_up_s is None or not self._has_worked:
            return wait_s
        return min(wait_s, max(self._give_up_s - away_s, 0.0))
