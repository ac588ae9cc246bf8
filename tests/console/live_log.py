"""The log of a live source: frames, a loss with two notices, its return, and no end yet."""

from typing import Any

from streamproc.contract.chunk import Gap
from tests.streamproc.sinks.logs import LogBuilder, target

GAP = Gap("source_lost", 22.3)


def live_log(task: str) -> LogBuilder:
    """Return a log of three frames, captured from 12:00:00.250 UTC on; the third after a loss."""
    log = LogBuilder(task)

    def frame(number: int, second: float, *seen: Any, **info: Any) -> None:
        at = f"2026-11-22T12:00:{second:06.3f}Z"
        info |= {"captured_at": at, "lag_ms": 150, "time_s": second - 0.25, "total_frames": None}
        info |= {"elapsed_ms": round(1000 * second) + 900, "dropped_frames": max(0, number - 1)}
        log.chunk(*seen, frame=number, **info)

    frame(0, 0.25, target(1), size=(1280, 720), clock="source")
    frame(29, 1.25, target(1), target(2, class_name="bus", confidence=0.75))
    lost: dict[str, Any] = {"total_frames": None, "dropped_frames": 28}
    log.notice("source_timeout", elapsed_ms=9_150, **lost)
    log.notice("source_unreachable", elapsed_ms=12_150, **lost)
    frame(30, 23.55, target(1), gap=GAP)
    return log
