"""A camera watched for as long as one likes: a line for each loss, return and change of it."""

import json
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from streamproc.source.errors import SourceClosedError, SourceError
from streamproc.source.live.media_clock import Captured
from streamproc.source.live.rtp.picture_size import Size
from streamproc.source.live.stream import Arrived, Connected, Event, LiveStream

SUMMARY_S: Final = 60.0
"""Time between two lines about a camera to which nothing happens."""


class Line(NamedTuple):
    """What to tell: the kind of the event, a sentence, and its values."""

    event: str
    text: str
    values: dict[str, Any]

    def shown(self, wall_s: float) -> str:
        return f"{time.strftime('%H:%M:%S', time.localtime(wall_s))} {self.text}"

    def as_json(self, wall_s: float) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_s))
        return json.dumps({"at": at, "event": self.event, **self.values})


class Watch:
    """Turns the events of a stream into lines. Sans-IO."""

    def __init__(self, stream: LiveStream, now_s: float) -> None:
        self._stream = stream
        self._size: Size | None = None
        self._is_source_clock: bool | None = None
        self._told_s = now_s
        self._n_pictures = 0
        self._n_damaged = 0
        self.n_losses = 0
        self._is_away = False

    def lines(self, event: Event, now_s: float) -> Iterator[Line]:
        """Yield what an event has to tell."""
        match event:
            case Connected(host, track, _):
                found = {"host": host, "codec": track.codec}
                yield Line("connected", f"connected to {host}: {track.codec}", found)
            case Arrived():
                yield from self._arrived(event, now_s)
            case _:
                self.n_losses += not self._is_away
                self._is_away = True
                reason = f"{event.failure} ({event.failure.code})"
                values = {
                    "code": event.failure.code,
                    "message": str(event.failure),
                    "attempts": event.n_failed,
                    "retry_in_s": round(event.wait_s, 1),
                }
                yield Line("lost", f"{reason}; next attempt in {event.wait_s:.1f} s", values)

    def _arrived(self, event: Arrived, now_s: float) -> Iterator[Line]:
        if event.gap_s is not None:
            gap_s = round(event.gap_s, 1)
            yield Line("back", f"back after {gap_s} s without pictures", {"gap_s": gap_s})
        self._is_away = False
        if event.size != self._size and event.size is not None:
            self._size = event.size
            width, height = event.size
            yield Line("size", f"pictures are {width} x {height}", {"size": [width, height]})
        yield from self._clock(event.captured)
        self._n_pictures += 1
        if now_s - self._told_s >= SUMMARY_S:
            yield self._summary(now_s)

    def _clock(self, captured: Captured) -> Iterator[Line]:
        if captured.is_source != self._is_source_clock:
            self._is_source_clock = captured.is_source
            whose = "the camera's clock" if captured.is_source else "this machine's clock"
            values = {"clock": "source" if captured.is_source else "server"}
            yield Line("clock", f"times are by {whose}", values)

    def _summary(self, now_s: float) -> Line:
        n_damaged = self._stream.gate.n_damaged - self._n_damaged
        fps = round(self._n_pictures / (now_s - self._told_s), 1)
        self._told_s, self._n_damaged, self._n_pictures = now_s, self._stream.gate.n_damaged, 0
        text = f"{fps} pictures/s, {n_damaged} damaged, {self.n_losses} losses so far"
        values = {"fps": fps, "damaged": n_damaged, "losses": self.n_losses}
        return Line("live", text, values)


def watched_lines(stream: LiveStream, deadline_s: float) -> Iterator[Line]:
    """Yield the lines of a stream until a time of the monotonic clock.

    An interrupt at the deadline is the normal end. Raises the `SourceError` that ends the source.
    """
    watch = Watch(stream, time.monotonic())
    try:
        for event in stream.events():
            now_s = time.monotonic()
            yield from watch.lines(event, now_s)
            if now_s >= deadline_s:
                break
    except SourceClosedError:
        pass
    except SourceError as exc:
        yield Line("ended", f"{exc} ({exc.code})", {"code": exc.code, "message": str(exc)})
        raise
