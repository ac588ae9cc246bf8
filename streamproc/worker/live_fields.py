"""What a chunk says of a live frame, and the notice of a lost source. Sans-IO.

One `LiveFields` per session. `clock` and `size` are repeated in its first chunk, because a reader
may not know the session before. `captured_at` never goes backwards in a log, also not when another
worker continues it or when the source's clock is set: as long as the log is ahead, its times go on
at half the pace.
"""

import msgspec
from msgspec import UNSET

from streamproc.contract.chunk import Gap, Notice, StreamInfo
from streamproc.contract.timestamps import rfc3339
from streamproc.providers.engine import LiveMark, SourceNotice

_OF_ONE_CHUNK = dict.fromkeys(("clock", "lag_ms", "size", "gap", "recording_lost", "source"), UNSET)


class LiveFields:
    """Fills in the fields of live chunks, in the order of the log."""

    def __init__(self, last: StreamInfo | None) -> None:
        """`last`: of the log's last chunk, if this session continues a log."""
        self._captured_ms = None if last is None else last.captured_ms
        self._measured_ms: int | None = None
        self._continues = last is not None
        self._clock: str | None = None
        self._size: tuple[int, int] | None = None

    def of_frame(self, info: StreamInfo, mark: LiveMark, now_ms: int) -> StreamInfo:
        """Return `info` with the frame's live fields; `now_ms` is Unix ms."""
        captured_ms = round(mark.captured_wall_s * 1000)
        gap = mark.gap
        if self._continues:
            away_ms = 0 if self._captured_ms is None else captured_ms - self._captured_ms
            gap = Gap("worker_lost", round(max(away_ms, 0) / 1000, 3))
            self._continues = False
        captured_ms = self._rising(captured_ms)
        clock = "source" if mark.is_source_clock else "server"
        changed = msgspec.structs.replace(
            info,
            captured_at=rfc3339(captured_ms),
            clock=UNSET if clock == self._clock else clock,
            lag_ms=max(now_ms - captured_ms, 0),
            size=UNSET if mark.size == self._size else mark.size,
            gap=UNSET if gap is None else gap,
            recording_lost=UNSET if mark.recording_lost is None else mark.recording_lost,
        )
        self._clock, self._size = clock, mark.size
        return changed

    def _rising(self, measured_ms: int) -> int:
        """Return a time for the log that is not before the last one."""
        last_ms, before_ms = self._captured_ms, self._measured_ms
        found_ms = measured_ms
        if last_ms is not None and measured_ms < last_ms:
            step_ms = 0 if before_ms is None else max(0, measured_ms - before_ms)
            found_ms = max(measured_ms, last_ms + step_ms // 2)
        self._captured_ms, self._measured_ms = found_ms, measured_ms
        return found_ms


def of_notice(last: StreamInfo, notice: SourceNotice, elapsed_ms: int) -> StreamInfo:
    """Return a notice's information: the last frame's, and why the source is lost."""
    return msgspec.structs.replace(
        repeated(last),
        elapsed_ms=elapsed_ms,
        source=Notice(notice.state, notice.code, notice.n_attempts),
    )


def repeated(info: StreamInfo) -> StreamInfo:
    """Return the last frame's counters and times for a chunk that adds no frame."""
    return msgspec.structs.replace(info, **_OF_ONE_CHUNK)
