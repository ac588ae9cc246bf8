"""LRU cache of warm sessions: kept between slices, closed when idle or over the limit."""

import threading
import time
from collections import Counter, OrderedDict

from streamproc.worker.session import Session

_IDLE_S = 30.0
_LIVE_IDLE_S = 5.0
"""For live tasks: some cameras take only one connection, which the next worker needs."""


class SessionCache:
    """SessionCache that no slot uses at the moment; thread-safe.

    Evicts the least recently used session among those that have produced a frame: one without a
    first frame would have to start again, and would never get there among many such sessions.
    Sessions of live tasks make no room for others, nor others for them: each is back in a slot in a
    moment, and their number is bounded there.
    """

    def __init__(self, limit: int) -> None:
        """`limit`: maximum number of sessions that are not live."""
        self._limit = limit
        self._kept: OrderedDict[str, tuple[Session, float]] = OrderedDict()
        self._lock = threading.Lock()

    def has(self, task: str) -> bool:
        """Return whether the task has a session here; it may be closed before it is taken."""
        with self._lock:
            return task in self._kept

    def by_project(self) -> Counter[str]:
        """Count the sessions of each project, without live ones."""
        with self._lock:
            return Counter(
                session.submitted.project for session, _ in self._kept.values() if _is_file(session)
            )

    def take(self, task: str) -> Session | None:
        """Remove and return the task's session; the caller owns it from now on."""
        with self._lock:
            kept = self._kept.pop(task, None)
        return None if kept is None else kept[0]

    def keep(self, task: str, session: Session) -> None:
        with self._lock:
            old = self._kept.pop(task, None)
            self._kept[task] = (session, time.monotonic())
            cold = [old[0]] if old else []
            files = {task: one for task, (one, _) in self._kept.items() if _is_file(one)}
            while len(files) > self._limit:
                begun = (task for task, one in files.items() if one.has_begun)
                coldest = next(begun, None) or next(iter(files))
                del self._kept[coldest]
                cold.append(files.pop(coldest))
        for one in cold:
            one.close()

    def discard(self, task: str) -> None:
        session = self.take(task)
        if session is not None:
            session.close()

    def sweep(self) -> None:
        """Close the idle sessions: their task has continued on another worker."""
        now_s = time.monotonic()
        with self._lock:
            idle = [
                task
                for task, (session, kept_s) in self._kept.items()
                if now_s - kept_s > (_IDLE_S if _is_file(session) else _LIVE_IDLE_S)
            ]
            cold = [self._kept.pop(task)[0] for task in idle]
        for one in cold:
            one.close()

    def close(self) -> None:
        with self._lock:
            cold = [session for session, _ in self._kept.values()]
            self._kept.clear()
        for one in cold:
            one.close()


def _is_file(session: Session) -> bool:
    return session.submitted.spec.live is None
