"""Consumer lag that has lasted: tasks that wait, and consumers that fall behind. Pure."""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import NamedTuple

from api.contract.system import SystemResource
from streamproc.contract.topics import LIVE, WORKER_GROUP

LASTS_S = 30.0
MAX_READINGS = 120
TITLES = {
    "framewire-archive": "archive is behind",
    "framewire-index": "index is behind",
    "framewire-audit": "audit is behind",
}


class Backlog(NamedTuple):
    """Lag of a group on a topic (`key`: group/topic) that has lasted for `since_s`.

    `is_waiting`: tasks that no worker has taken. Otherwise a consumer whose lag grows.
    """

    key: str
    title: str
    messages: int
    since_s: float
    is_waiting: bool


class LagWatch:
    """Lag of each group and topic over the last `LASTS_S` at least.

    Tasks wait if at each reading more were in Kafka than workers were busy with. Other consumers
    always have some lag, as they read in batches; they fall behind if all readings of the newer
    half are above all of the older half, and recover once the lag is below what it was then.
    """

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, int]]] = defaultdict(
            lambda: deque(maxlen=MAX_READINGS)
        )
        self._raised: dict[str, tuple[float, int]] = {}

    def take(self, system: SystemResource, at_s: float) -> Sequence[Backlog]:
        """Take a reading at monotonic time `at_s`; return what lasts."""
        totals: dict[str, int] = defaultdict(int)
        for part in system.lag:
            totals[f"{part.group}/{part.topic}"] += part.lag or 0
        found: list[Backlog] = []
        for key, total in totals.items():
            group = key.partition("/")[0]
            is_waiting = group == WORKER_GROUP
            lag = max(0, total - _at_work(system, key)) if is_waiting else total
            since_s = self._since(key, lag, at_s, is_waiting=is_waiting)
            if since_s is not None:
                title = TITLES.get(group, f"{group} is behind")
                found.append(Backlog(key, title, lag, at_s - since_s, is_waiting))
        return found

    def _since(self, key: str, lag: int, at_s: float, *, is_waiting: bool) -> float | None:
        """Return since when the lag lasts; None if it does not."""
        seen = self._seen[key]
        seen.append((at_s, lag))
        while len(seen) > 1 and seen[1][0] <= at_s - LASTS_S:
            seen.popleft()
        if is_waiting:
            return self._waiting_since(key, lag, at_s)
        if key in self._raised:
            since_s, before = self._raised[key]
            if lag and lag >= before:
                return since_s
            del self._raised[key]
            seen.clear()
            return None
        middle_s = at_s - LASTS_S / 2
        older = [n for seen_s, n in seen if seen_s < middle_s]
        newer = [n for seen_s, n in seen if seen_s >= middle_s]
        if at_s - seen[0][0] < LASTS_S or not older or min(newer) <= max(older):
            return None
        self._raised[key] = seen[0][0], max(older)
        return seen[0][0]

    def _waiting_since(self, key: str, lag: int, at_s: float) -> float | None:
        if not lag:
            self._raised.pop(key, None)
            return None
        since_s, _ = self._raised.setdefault(key, (at_s, lag))
        return since_s if at_s - since_s >= LASTS_S else None


def n_waiting(system: SystemResource) -> int:
    """Return how many tasks no worker has taken: Kafka counts those at work as well."""
    totals: dict[str, int] = defaultdict(int)
    for part in system.lag:
        if part.group == WORKER_GROUP:
            totals[f"{part.group}/{part.topic}"] += part.lag or 0
    return sum(max(0, total - _at_work(system, key)) for key, total in totals.items())


def _at_work(system: SystemResource, key: str) -> int:
    """Return how many messages of a topic of tasks (`key`: group/topic) are at workers."""
    alive = [worker for worker in system.workers if worker.alive]
    if key.endswith(f"/{LIVE}"):
        return sum(worker.live_busy for worker in alive)
    return sum(worker.busy for worker in alive)
