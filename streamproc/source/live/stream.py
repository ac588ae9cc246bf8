"""A camera as a stream without an end: sessions one after the other, with their times and gaps.

    for event in LiveStream(opens, reconnects, interrupt).events(): …

Whatever ends a session is a loss, and the next one is opened when `Reconnects` says so. The
iterator ends by the error that ends the source, or where the source says that it has ended. Not
thread-safe: one thread reads it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final, NamedTuple

from streamproc.source.errors import (
    SourceError,
    SourceProtocolError,
    SourceTimeoutError,
    SourceUnreachableError,
    SourceUnresolvedError,
    StreamEnd,
)
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.live.connection import LiveConnection, VideoTrack
from streamproc.source.live.media_clock import Captured, CatchUp, MediaClock, WallClock
from streamproc.source.live.reconnect import Reconnects
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.keyframe_gate import KEYFRAME_TIMEOUT_S, KeyframeGate, OnLoss
from streamproc.source.live.rtp.picture_size import Size

_AT_ONCE: Final = frozenset({"tcp", "udp", "rtmp"})
"""Transports that send a picture when it is taken; over HTTP, bursts are usual."""


class Connected(NamedTuple):
    """A session plays. `host`: of the last redirect. `size`: as the stream announces it."""

    host: str
    track: VideoTrack
    size: Size | None = None


class Arrived(NamedTuple):
    """A picture to decode.

    `time_s`: media time on the monotonic clock, always rising, also over sessions. `tied_s`: the
    same, but falling where pictures are sent in another order than they are shown. `size`: as the
    stream announces it. `gap_s`: time without pictures before it, if a loss ended with it.
    `serial`: how many pictures arrived before it. `late_s`: for how long it was kept back, as one
    of a burst.
    """

    unit: AccessUnit
    time_s: float
    tied_s: float
    captured: Captured
    size: Size | None
    gap_s: float | None
    serial: int = 0
    late_s: float = 0.0

    @property
    def due_s(self) -> float:
        """When it would have arrived if nothing had kept it back: its lag counts from then."""
        return self.unit.arrival_s - self.late_s


class Lost(NamedTuple):
    """A session ended, or could not be opened.

    `away_s`: since the last picture, or the start. `n_failed`: attempts since then. `wait_s`: until
    the next one.
    """

    failure: SourceError
    away_s: float
    n_failed: int
    wait_s: float


Event = Connected | Arrived | Lost


class LiveStream:
    """One camera, for as long as it is wanted."""

    def __init__(
        self,
        opens: Callable[[], LiveConnection],
        reconnects: Reconnects,
        interrupt: Interrupt,
        *,
        on_loss: OnLoss = OnLoss.SKIP,
        has_worked: bool = False,
    ) -> None:
        """`opens` connects and plays, or raises a `SourceError`.

        `has_worked`: it has given pictures before, so a loss before the first one makes a gap.
        """
        self.gate = KeyframeGate(on_loss)
        """Counts what it leaves out, over all sessions."""
        self.n_sessions = 0
        self.n_arrived = 0
        self.n_lost_packets = 0
        """In sessions that are over."""
        self._opens = opens
        self._reconnects = reconnects
        self._interrupt = interrupt
        self._clock: MediaClock | None = None
        self._catch_up = CatchUp()
        self._seen_s = time.monotonic()
        self._was_lost = False
        self._has_worked = has_worked

    def events(self) -> Iterator[Event]:
        """Yield what happens, to the end of a source that has one.

        Raises the `SourceError` that ends the source, or the interrupt's.
        """
        while True:
            try:
                yield from self._session()
            except StreamEnd:
                return
            except SourceError as exc:
                self._interrupt.raise_if_set()
                now_s, failure = time.monotonic(), self._failure(exc)
                wait_s = self._reconnects.wait_s(failure, now_s)
                self._was_lost = True
                yield Lost(failure, now_s - self._seen_s, self._reconnects.n_failed, wait_s)
                self._interrupt.wait(wait_s)
                self._interrupt.raise_if_set()

    def _failure(self, exc: SourceError) -> SourceError:
        """Return what a failure means: the name of a source that has worked is no secret."""
        if self._has_worked and isinstance(exc, SourceUnresolvedError):
            failure = SourceUnreachableError("the name of the source has no address now")
            failure.__cause__ = exc
            return failure
        return exc

    def _session(self) -> Iterator[Event]:
        with closing(self._opens()) as session:
            self.n_sessions += 1
            track = session.video
            clock, wall = self._tied_clock(track.clock_hz), WallClock(track.clock_hz)
            self.gate.restart()
            try:
                yield Connected(session.host, track, session.size)
                yield from self._pictures(session, track, clock, wall)
            finally:
                self.n_lost_packets += session.n_lost

    def _pictures(
        self, session: LiveConnection, track: VideoTrack, clock: MediaClock, wall: WallClock
    ) -> Iterator[Event]:
        admitted_s = time.monotonic()
        while True:
            units = session.receive()
            if session.video.codec != track.codec:
                raise SourceProtocolError(f"{session.host} changed its codec")
            for unit in units:
                if unit.is_known and not (unit.is_key or self.gate.is_open):
                    continue
                if self.gate.admits(unit):
                    admitted_s = unit.arrival_s
                    yield self._arrived(session, unit, clock, wall)
            if time.monotonic() - admitted_s >= KEYFRAME_TIMEOUT_S:
                raise SourceTimeoutError(
                    f"{session.host} sent no whole keyframe within {KEYFRAME_TIMEOUT_S:g} s"
                )

    def _arrived(
        self, session: LiveConnection, unit: AccessUnit, clock: MediaClock, wall: WallClock
    ) -> Arrived:
        gap_s = unit.arrival_s - self._seen_s if self._was_lost and self._has_worked else None
        self._was_lost, self._has_worked = False, True
        self._seen_s = unit.arrival_s
        serial, self.n_arrived = self.n_arrived, self.n_arrived + 1
        self._reconnects.seen(unit.arrival_s)
        arrival_wall_s = time.time() - (time.monotonic() - unit.arrival_s)
        n_restarts, tied_s = clock.n_restarts, clock.tied_s(unit.timestamp, unit.arrival_s)
        if clock.n_restarts > n_restarts:
            wall.forget()
        if session.report is not None:
            wall.note(session.report.report, session.report.timestamp)
        return Arrived(
            unit=unit,
            time_s=clock.rising_s(tied_s),
            tied_s=tied_s,
            captured=wall.captured(unit.timestamp, arrival_wall_s),
            size=session.size,
            gap_s=gap_s,
            serial=serial,
            late_s=self._catch_up.late_s(tied_s, unit.arrival_s)
            if session.transport in _AT_ONCE
            else 0.0,
        )

    def _tied_clock(self, clock_hz: int) -> MediaClock:
        """Return the clock of all sessions, tied anew; another rate of timestamps is adopted."""
        if self._clock is None:
            self._clock = MediaClock(clock_hz)
        else:
            self._clock.restart(clock_hz)
        return self._clock
