"""Times of capture, losses and returns of a live source, from its chunks. Pure."""

from collections import deque
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET

from streamproc.contract.chunk import Gap, Notice, StreamInfo

MAX_HOLES = 200
N_LAGS = 120


class Hole(msgspec.Struct, frozen=True, gc=False):
    """Time without frames before `frame`."""

    frame: int
    seconds: float
    reason: str


class Loss(msgspec.Struct, frozen=True):
    """A live source is away, by the last notice; `at_ms` is when that was written, if known."""

    code: str
    attempts: int
    at_ms: int | None

    @property
    def words(self) -> str:
        return f"lost: {self.code}, {self.attempts} attempt{'s' * (self.attempts != 1)}"


class Capture(msgspec.Struct, frozen=True):
    """What is known of a live source; `is_live` is False for files, and before the first chunk.

    `holes` are the last ones, of `n_holes` with `away_s` in all. `lags_ms`: of the last frames.
    """

    is_live: bool = False
    loss: Loss | None = None
    holes: tuple[Hole, ...] = ()
    n_holes: int = 0
    away_s: float = 0.0
    lags_ms: tuple[float, ...] = ()


class CaptureFold:
    """Reducer of the chunks of one stream. Memory is bounded."""

    def __init__(self) -> None:
        self._is_live = False
        self._started_ms: int | None = None
        """When `elapsed_ms` was 0, by the last frame."""
        self._loss: Loss | None = None
        self._holes: deque[Hole] = deque(maxlen=MAX_HOLES)
        self._n_holes = 0
        self._away_s = 0.0
        self._lags: deque[float] = deque(maxlen=N_LAGS)

    @property
    def is_live(self) -> bool:
        return self._is_live

    def take(self, info: StreamInfo) -> int | None:
        """Take the next chunk; return when its frame was captured, or the notice written."""
        if isinstance(info.source, Notice):
            return self._lose(info, info.source)
        self._loss = None
        captured_ms = info.captured_ms
        if captured_ms is None:
            return None
        self._is_live = True
        lag_ms = 0 if info.lag_ms is UNSET else max(0, info.lag_ms)
        self._started_ms = captured_ms + lag_ms - info.elapsed_ms
        self._lags.append(float(lag_ms))
        if isinstance(info.gap, Gap):
            self._holes.append(Hole(info.frame_index, info.gap.seconds, info.gap.reason))
            self._n_holes += 1
            self._away_s += max(0.0, info.gap.seconds)
        return captured_ms

    def state(self) -> Capture:
        return Capture(
            is_live=self._is_live,
            loss=self._loss,
            holes=tuple(self._holes),
            n_holes=self._n_holes,
            away_s=self._away_s,
            lags_ms=tuple(self._lags),
        )

    def _lose(self, info: StreamInfo, notice: Notice) -> int | None:
        self._is_live = True
        at_ms = None if self._started_ms is None else self._started_ms + info.elapsed_ms
        self._loss = Loss(notice.code, notice.attempts, at_ms)
        return at_ms


def last_time_of_day_ms(of_day_ms: int, newest_ms: int) -> int:
    """Return the last moment at or before `newest_ms` with this local time of day."""
    newest = datetime.fromtimestamp(newest_ms / 1000).astimezone()
    midnight = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    found = midnight + timedelta(milliseconds=of_day_ms)
    if found > newest:
        found -= timedelta(days=1)
    return round(found.timestamp() * 1000)
