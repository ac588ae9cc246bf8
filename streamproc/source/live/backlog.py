"""Coded pictures that wait for the decoder: in order, bounded in time and size. Sans-IO.

Pictures build on those before them, so the decoder cannot begin anywhere. When it falls behind by
`max_lag_s`, it goes on at the newest keyframe that waits. Without one, it catches up as fast as it
can; if it is far behind, or too much waits, all of them are left out until the next keyframe.
"""

from collections import deque
from typing import Final, NamedTuple

from streamproc.source.live.connection import VideoTrack
from streamproc.source.live.stream import Arrived

MAX_BYTES: Final = 64 << 20
MAX_PICTURES: Final = 4096
HOPELESS: Final = 3.0
"""This many times `max_lag_s` behind, catching up is given up."""


class Waiting(NamedTuple):
    """A picture to decode. `n_damaged`: pictures before it that came damaged.

    `n_late`: pictures before it that were left out here. `gap_s`: as in `Arrived`, also if the
    picture that ended the gap was left out.
    """

    arrived: Arrived
    track: VideoTrack
    n_damaged: int = 0
    n_late: int = 0
    gap_s: float | None = None


class Backlog:
    """A queue with one writer and one reader, which share a lock of theirs."""

    def __init__(self, max_lag_s: float) -> None:
        self._max_lag_s = max_lag_s
        self._waiting: deque[Waiting] = deque()
        self._n_bytes = 0
        self._awaits_key = False
        self._n_damaged = self._n_late = 0
        self._gap_s: float | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def n_bytes(self) -> int:
        return self._n_bytes

    def put(self, arrived: Arrived, track: VideoTrack, n_damaged: int = 0) -> None:
        """Add a picture; `n_damaged` came damaged between the last one and this one."""
        if self._awaits_key and not arrived.unit.is_key:
            self._leave_out(Waiting(arrived, track, n_damaged, 0, arrived.gap_s))
            return
        self._awaits_key = False
        self._waiting.append(Waiting(arrived, track, n_damaged, 0, arrived.gap_s))
        self._n_bytes += len(arrived.unit.data)
        if self._n_bytes > MAX_BYTES or len(self._waiting) > MAX_PICTURES:
            self._jump()

    def take(self, now_s: float) -> Waiting | None:
        """Return the picture to decode next, None if none waits."""
        if self._waiting:
            lag_s = now_s - self._waiting[0].arrived.due_s
            is_hopeless = lag_s > HOPELESS * self._max_lag_s
            if is_hopeless or (lag_s > self._max_lag_s and self._newest_key()):
                self._jump()
        if not self._waiting:
            return None
        first = self._waiting.popleft()
        self._n_bytes -= len(first.arrived.unit.data)
        found = first._replace(
            n_damaged=self._n_damaged + first.n_damaged,
            n_late=self._n_late,
            gap_s=first.gap_s if self._gap_s is None else self._gap_s,
        )
        self._n_damaged = self._n_late = 0
        self._gap_s = None
        return found

    def _newest_key(self) -> int:
        """Return the place of the newest keyframe, 0 if only the first one is, or none."""
        for place in range(len(self._waiting) - 1, 0, -1):
            if self._waiting[place].arrived.unit.is_key:
                return place
        return 0

    def _jump(self) -> None:
        """Leave out all before the newest keyframe; without one, all until the next."""
        n_left_out = self._newest_key() or len(self._waiting)
        for _ in range(n_left_out):
            left_out = self._waiting.popleft()
            self._n_bytes -= len(left_out.arrived.unit.data)
            self._leave_out(left_out)
        self._awaits_key = not self._waiting

    def _leave_out(self, one: Waiting) -> None:
        self._n_damaged += one.n_damaged
        self._n_late += not one.arrived.unit.is_known
        self._gap_s = one.gap_s if self._gap_s is None else self._gap_s
