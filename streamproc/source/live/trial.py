"""A trial of a camera: connect, watch it for some seconds, and report what it sends.

What is reported is read from the stream's headers; the first keyframe is kept, to be decoded.
"""

import time
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

import msgspec

from streamproc.source.errors import SourceTimeoutError
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.live.connection import LiveConnection
from streamproc.source.live.media_clock import MAX_CLOCK_ERROR_S
from streamproc.source.live.named_sources import Camera
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.keyframe_gate import KEYFRAME_TIMEOUT_S, KeyframeGate


class TrialReport(msgspec.Struct, frozen=True):
    """What a camera sent during a trial.

    `host`: of the last redirect. `keyframe_interval_s`: None if fewer than two came.
    `first_picture_s`: from the start to the first keyframe. `clock_offset_s`: by how much the
    camera's wall clock is ahead of ours, None if it tells none. `n_damaged`: pictures that were
    damaged, or built on one that was. `decoded_size`: (width, height) of the decoded keyframe,
    None if none was decoded.
    """

    host: str
    transport: str
    is_tls: bool
    codec: str
    width: int | None
    height: int | None
    fps: float
    declared_fps: float | None
    keyframe_interval_s: float | None
    first_picture_s: float
    bits_per_s: int
    watched_s: float
    n_pictures: int
    n_lost_packets: int
    n_damaged: int
    n_other_tracks: int
    clock_offset_s: float | None
    decoded_size: tuple[int, int] | None = None

    @property
    def has_usable_clock(self) -> bool:
        """Whether the times of pictures are taken from the camera's own clock."""
        return self.clock_offset_s is not None and abs(self.clock_offset_s) <= MAX_CLOCK_ERROR_S


class Trial(NamedTuple):
    """The report of a trial, and the keyframe that it began with."""

    report: TrialReport
    keyframe: AccessUnit


class _Watched:
    """Counts of a trial, from its first keyframe on."""

    def __init__(self, clock_hz: int) -> None:
        self.gate = KeyframeGate()
        self.n_pictures = 0
        self.first: AccessUnit | None = None
        self.last_s = 0.0
        self.n_bytes = 0
        self._clock_hz = clock_hz
        self._span = (0, 0)
        self._key_span = (0, 0)
        self._n_keys = 0

    def add(self, unit: AccessUnit) -> None:
        if not self.gate.admits(unit) and self.first is None:
            return
        at = unit.timestamp
        if self.first is None:
            self.first, self._span, self._key_span = unit, (at, at), (at, at)
        self.last_s = unit.arrival_s
        self.n_pictures += 1
        self.n_bytes += len(unit.data)
        self._span = (min(self._span[0], at), max(self._span[1], at))
        if unit.is_key:
            self._n_keys += 1
            self._key_span = (self._key_span[0], at)

    @property
    def first_s(self) -> float | None:
        return None if self.first is None else self.first.arrival_s

    @property
    def fps(self) -> float:
        """The rate by the camera's timestamps; by arrivals if those are not plausible."""
        if self.n_pictures < 2 or self.first_s is None:
            return 0.0
        span_s = (self._span[1] - self._span[0]) / self._clock_hz
        arrived_s = self.last_s - self.first_s
        is_plausible = span_s > 0 and arrived_s / 2 <= span_s <= 2 * arrived_s + 1
        counted_s = span_s if is_plausible else max(arrived_s, 1e-3)
        return round((self.n_pictures - 1) / counted_s, 2)

    @property
    def keyframe_interval_s(self) -> float | None:
        if self._n_keys < 2:
            return None
        first, last = self._key_span
        return round((last - first) / self._clock_hz / (self._n_keys - 1), 3)


def try_source(
    camera: Camera,
    *,
    watch_s: float = 5.0,
    interrupt: Interrupt | None = None,
    wall_s: Callable[[], float] = time.time,
) -> Trial:
    """Watch a camera for `watch_s` after its first keyframe. Raises a `SourceError`."""
    started_s = time.monotonic()
    interrupt = interrupt or Interrupt()
    with closing(camera.open(interrupt)) as session:
        watched, keyframe = _watch(session, watch_s)
        spent_s = watched.last_s - keyframe.arrival_s
        size = session.size or (None, None)
        track = session.video
        report = TrialReport(
            host=session.host,
            transport=session.transport,
            is_tls=camera.url.is_tls,
            codec=track.codec,
            width=size[0],
            height=size[1],
            fps=watched.fps,
            declared_fps=track.declared_fps,
            keyframe_interval_s=watched.keyframe_interval_s,
            first_picture_s=round(keyframe.arrival_s - started_s, 3),
            bits_per_s=round(8 * watched.n_bytes / spent_s) if spent_s > 0 else 0,
            watched_s=round(spent_s, 3),
            n_pictures=watched.n_pictures,
            n_lost_packets=session.n_lost,
            n_damaged=watched.gate.n_damaged,
            n_other_tracks=session.n_other_tracks,
            clock_offset_s=_clock_offset_s(session, wall_s),
        )
        return Trial(report, keyframe)


def _watch(session: LiveConnection, watch_s: float) -> tuple[_Watched, AccessUnit]:
    watched = _Watched(session.video.clock_hz)
    started_s = time.monotonic()
    while True:
        for unit in session.receive():
            watched.add(unit)
        now_s = time.monotonic()
        if watched.first is not None and now_s - watched.first.arrival_s >= watch_s:
            return watched, watched.first
        if watched.first is None and now_s - started_s >= KEYFRAME_TIMEOUT_S:
            raise SourceTimeoutError(
                f"{session.host} sent no whole keyframe within {KEYFRAME_TIMEOUT_S:g} s"
            )


def _clock_offset_s(session: LiveConnection, wall_s: Callable[[], float]) -> float | None:
    """Compare the newest sender report with our clock, at its arrival."""
    newest = session.report
    if newest is None:
        return None
    came_s = wall_s() - (time.monotonic() - newest.arrival_s)
    return round(newest.report.wall_s - came_s, 3) + 0.0  # no minus before a zero
