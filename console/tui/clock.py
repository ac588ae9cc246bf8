"""Wall clock and monotonic clock of the console, replaceable in tests."""

import time
from datetime import UTC, datetime


class Clock:
    """The system clocks."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def local(self, ms: int) -> datetime:
        """Return a moment in Unix milliseconds in the user's time zone."""
        return datetime.fromtimestamp(ms / 1000, UTC).astimezone()

    def monotonic_s(self) -> float:
        """Return monotonic seconds since an arbitrary fixed time."""
        return time.monotonic()
