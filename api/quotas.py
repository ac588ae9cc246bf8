"""Rate limiter and quotas per project: rates, counts and bytes, refused with 429 above a limit.

Each api process counts its own traffic (submissions per minute, uploads per day, open streams)
and the open tasks that it knows of. So with n processes a project can use up to n times a limit.
In return no request needs a shared store, which could be down. Stored bytes are counted by the
index: that limit is the same for all processes.
"""

import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from api.errors import ProblemError, TooLargeError
from api.kafka.global_table import GlobalTable
from api.settings import Settings
from streamproc.contract.bounds import MAX_LIMIT, MAX_WEIGHT, clamped

MINUTE_S = 60
DAY_S = 86_400
_STORED_S = 60.0
_STREAMS_RETRY_S = 5
_TASKS_RETRY_S = 5
_STORED_RETRY_S = 3600


class LimitReachedError(ProblemError):
    """A project has reached a limit; `limit` is its name in the settings and in the admin API."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "limit_reached"
    title = "Too Many Requests"

    def __init__(self, limit: str, most: int, what: str, retry_after_s: float) -> None:
        seconds = max(1, math.ceil(retry_after_s))
        super().__init__(
            f"{what} (limit {limit}: {most}).",
            extra={"limit": limit, "limit_value": most},
            headers={"Retry-After": str(seconds)},
        )


@dataclass(slots=True)
class Bucket:
    """A token bucket: `size` tokens, refilled completely in `period_s`."""

    size: int
    period_s: float
    tokens: float
    at_s: float

    def take(self, now_s: float, amount: int = 1) -> float:
        """Take the tokens and return 0, or take none and return the seconds to wait for them."""
        self.fill(now_s)
        if self.tokens >= amount:
            self.tokens -= amount
            return 0.0
        return (amount - self.tokens) * self.period_s / self.size

    def fill(self, now_s: float) -> None:
        self.tokens += (now_s - self.at_s) * self.size / self.period_s
        self.tokens = min(self.tokens, float(self.size))
        self.at_s = now_s

    def headers(self) -> dict[str, str]:
        """Return the RateLimit header fields of the IETF draft."""
        missing = self.size - self.tokens
        return {
            "RateLimit-Limit": str(self.size),
            "RateLimit-Remaining": str(int(self.tokens)),
            "RateLimit-Reset": str(math.ceil(missing * self.period_s / self.size)),
            "RateLimit-Policy": f"{self.size};w={self.period_s:g}",
        }


class Quotas:
    """The quota counters of one process. Use from one event loop."""

    def __init__(
        self,
        settings: Settings,
        directory: GlobalTable,
        stored_bytes: Callable[[str], Awaitable[int]],
        open_tasks: Callable[[str], int],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`stored_bytes` queries the index for the bytes that a project has stored.

        `open_tasks` returns how many of its tasks wait or run.
        """
        self._defaults: Mapping[str, int] = settings.limits
        self._directory = directory
        self._ask_stored = stored_bytes
        self._open_tasks = open_tasks
        self._entering: dict[str, int] = {}
        self._clock_s = clock_s
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._streams: dict[str, int] = {}
        self._stored: dict[str, tuple[float, int]] = {}

    def limit(self, project: str, name: str) -> int:
        """Return the project's own limit, or else the setting's. 0 means no limit."""
        found = self._directory.projects.get(project)
        own: int | None = None if found is None else getattr(found.limits, name)
        return clamped(self._defaults[name] if own is None else own, 0, MAX_LIMIT)

    def weight(self, project: str) -> int:
        """Return the project's share of the workers, relative to the default of 1."""
        found = self._directory.projects.get(project)
        own = None if found is None else found.limits.weight
        return clamped(1 if own is None else own, 1, MAX_WEIGHT)

    async def admit(self, project: str) -> dict[str, str]:
        """Check a submission before its body is read; return headers for its response.

        Raises LimitReachedError.
        """
        headers = self._spend(project, "submissions_per_minute", MINUTE_S, 1)
        self._check_open_tasks(project)
        most = self.limit(project, "stored_bytes")
        if most and await self._stored_bytes(project, self._clock_s()) >= most:
            raise LimitReachedError("stored_bytes", most, "Too much is stored", _STORED_RETRY_S)
        return headers

    def admit_upload(self, project: str, size_bytes: int) -> None:
        """Count the bytes of an uploaded video. Raises LimitReachedError."""
        most = self.limit(project, "upload_bytes_per_day")
        if most and size_bytes > most:
            raise TooLargeError(
                f"The video has {size_bytes} bytes (limit upload_bytes_per_day: {most}).",
                extra={"limit": "upload_bytes_per_day", "limit_value": most},
            )
        if size_bytes:
            self._spend(project, "upload_bytes_per_day", DAY_S, size_bytes)

    @contextmanager
    def entering_task(self, project: str) -> Iterator[None]:
        """Count a task while it is being written to Kafka. Raises LimitReachedError."""
        self._check_open_tasks(project)
        self._entering[project] = self._entering.get(project, 0) + 1
        try:
            yield
        finally:
            self._entering[project] -= 1
            if not self._entering[project]:
                del self._entering[project]

    def enter_stream(self, project: str) -> Callable[[], None]:
        """Count an open stream; return the function to call when it ends.

        Raises LimitReachedError.
        """
        most = self.limit(project, "open_streams")
        if most and self._streams.get(project, 0) >= most:
            raise LimitReachedError(
                "open_streams", most, "Too many streams are open", _STREAMS_RETRY_S
            )
        self._streams[project] = self._streams.get(project, 0) + 1
        return lambda: self._leave_stream(project)

    def _check_open_tasks(self, project: str) -> None:
        most = self.limit(project, "open_tasks")
        if most and self._open_tasks(project) + self._entering.get(project, 0) >= most:
            raise LimitReachedError(
                "open_tasks", most, "Too many tasks wait or run", _TASKS_RETRY_S
            )

    def _leave_stream(self, project: str) -> None:
        self._streams[project] -= 1
        if not self._streams[project]:
            del self._streams[project]

    def _spend(self, project: str, name: str, period_s: float, amount: int) -> dict[str, str]:
        """Take `amount` from the project's token bucket of this name; return its header fields.

        Raises LimitReachedError with the seconds until the bucket holds enough.
        """
        most = self.limit(project, name)
        if not most:
            return {}
        now_s = self._clock_s()
        bucket = self._buckets.get((project, name))
        if bucket is None or bucket.size != most:
            bucket = self._buckets[project, name] = Bucket(most, period_s, float(most), now_s)
        wait_s = bucket.take(now_s, amount)
        if wait_s > 0:
            error = LimitReachedError(name, most, "Rate limit exceeded", wait_s)
            error.headers |= bucket.headers()
            raise error
        return bucket.headers()

    async def _stored_bytes(self, project: str, now_s: float) -> int:
        known = self._stored.get(project)
        if known is None or known[0] < now_s - _STORED_S:
            known = self._stored[project] = (now_s, await self._ask_stored(project))
        return known[1]
