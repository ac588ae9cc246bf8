"""A playlist of HTTP Live Streaming as a connection: fetched by a thread, read at its own pace.

A thread loads the playlist and its segments. They wait in a queue that is bounded in bytes, and
`receive` returns each picture when it is due.
"""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from streamproc.source.errors import (
    SourceError,
    SourceForbiddenError,
    SourceNotVideoError,
    SourceProtocolError,
    SourceStatusError,
    SourceTooLargeError,
    SourceUnsupportedError,
    StreamEnd,
)
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.connection import VideoTrack
from streamproc.source.live.containers.fragmented_mp4 import FragmentedMp4
from streamproc.source.live.containers.transport_stream import TransportStream
from streamproc.source.live.credentials import Credentials
from streamproc.source.live.hls.follower import Follower
from streamproc.source.live.hls.pacer import Pacer
from streamproc.source.live.hls.place import Known, Place, name_of
from streamproc.source.live.hls.playlist import (
    MAX_BYTES,
    Loaded,
    Master,
    Media,
    PlaylistError,
    Segment,
    Variant,
    parse,
)
from streamproc.source.live.hls.segments import Segments
from streamproc.source.live.http_requests import Requests, read_up_to
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtp.packet import SenderReport
from streamproc.source.live.rtp.picture_size import Size
from streamproc.source.live.sender_time import ReceivedReport
from streamproc.source.live.stall import OPEN_TIMEOUT_S

CLOCK_HZ: Final = 90_000
REQUEST_TIMEOUT_S: Final = 30.0
MAX_QUEUED_BYTES: Final = 48 << 20
MAX_FAILED: Final = 3
"""Segments in a row that cannot be read, after which the source is lost."""
_FATAL: Final = (
    SourceForbiddenError,
    SourceNotVideoError,
    SourceTooLargeError,
    SourceUnsupportedError,
)
_WANTED_PIXELS: Final = 1920 * 1080
_MAX_NESTED: Final = 2
_TICK_S: Final = 0.05


class _Queued(NamedTuple):
    """A picture. `starts_anew`: its times have another base."""

    unit: AccessUnit
    media_s: float
    arrived_s: float
    starts_anew: bool
    captured_s: float | None


class HlsStream:
    """A playlist that plays; made by `open_hls`. `receive` and `close` belong to one thread."""

    transport = "hls"
    n_other_tracks = 0
    clock_hz = CLOCK_HZ

    def __init__(
        self,
        url: str,
        policy: FetchPolicy,
        interrupt: Interrupt,
        *,
        stall_s: float,
        credentials: Credentials | None = None,
        place: Place | None = None,
        loaded: Loaded | None = None,
    ) -> None:
        self.host = ""
        self._place, self._loaded = place, loaded
        self.report: ReceivedReport | None = None
        self._url = url
        self._outer, self._interrupt = interrupt, Interrupt()
        self._requests = Requests(
            url, credentials, policy, self._interrupt, stall_s=stall_s, total_s=REQUEST_TIMEOUT_S
        )
        self._demuxer: TransportStream | FragmentedMp4 | None = None
        self._segments = Segments(self._requests.get)
        self._queue: queue.SimpleQueue[_Queued | BaseException] = queue.SimpleQueue()
        self._n_queued = 0  # bytes
        self._room = threading.Condition()
        self._next: tuple[float, _Queued] | None = None
        """The next picture, and when it is due."""
        self._pacer = Pacer()
        self._known: Known | None = None
        self._thread = threading.Thread(target=self._run, name="playlist", daemon=True)
        self._thread.start()

    @property
    def video(self) -> VideoTrack:
        return VideoTrack(self.codec or "", self.clock_hz)

    @property
    def codec(self) -> str | None:
        return None if self._demuxer is None else self._demuxer.codec

    @property
    def size(self) -> Size | None:
        return None if self._demuxer is None else self._demuxer.size

    @property
    def n_lost(self) -> int:
        """Packets that are known to be missing."""
        return 0 if self._demuxer is None else self._demuxer.n_lost

    def start(self) -> None:
        """Wait for the first picture. Raises a `SourceError`, or `StreamEnd` if there is none."""
        deadline_s = time.monotonic() + OPEN_TIMEOUT_S
        while self._next is None and time.monotonic() < deadline_s:
            self._outer.raise_if_set()
            self._take(_TICK_S)
        if self._next is None:
            raise SourceProtocolError(f"{self.host} has sent no picture in time")

    def receive(self) -> list[AccessUnit]:
        """Return the pictures that are due, after a short wait maybe none.

        Raises a `SourceError` at a loss, `StreamEnd` after the last picture of an ended playlist.
        """
        self._outer.raise_if_set()
        if self._next is None:
            self._take(_TICK_S)
        if self._next is None:
            return []
        due_s, queued = self._next
        wait_s = due_s - time.monotonic()
        if wait_s > 0:
            self._outer.wait(min(wait_s, _TICK_S))
            self._outer.raise_if_set()
        if due_s > time.monotonic():
            return []
        self._next = None
        unit = queued.unit._replace(arrival_s=due_s, starts_anew=queued.starts_anew)
        if queued.captured_s is not None:
            told = SenderReport(0, queued.captured_s, unit.timestamp % (1 << 32))
            self.report = ReceivedReport(told, unit.timestamp, due_s)
        return [unit]

    def close(self) -> None:
        """Stop the thread; idempotent."""
        self._interrupt.set()
        with self._room:
            self._room.notify_all()
        self._thread.join()

    def _take(self, timeout_s: float) -> None:
        with suppress(queue.Empty):
            queued = self._queue.get(timeout=timeout_s)
            if isinstance(queued, BaseException):
                self._queue.put(queued)  # for the next call
                raise queued
            with self._room:
                self._n_queued -= len(queued.unit.data)
                self._room.notify_all()
            if queued.starts_anew:
                self._pacer.restart()
            if queued.unit.is_known:  # it is only decoded on
                self._next = queued.arrived_s, queued
            else:
                self._next = self._pacer.due_s(queued.media_s, queued.arrived_s), queued

    def _run(self) -> None:
        try:
            self._follow()
        except BaseException as exc:  # noqa: BLE001 - the thread's edge: `receive` raises it
            self._queue.put(exc)

    def _follow(self) -> None:
        url, media = self._media(self._url)
        follower = Follower(self.host, time.monotonic(), self._place)
        n_failed = 0
        while True:
            begun_s = time.monotonic()
            segments = follower.take(media, begun_s)
            if follower.resumed is not None and self._known is None:
                self._known = Known(follower.resumed)
            for segment in segments:
                n_failed = self._played(segment, n_failed)
            if follower.is_over:
                raise StreamEnd
            self._interrupt.wait(max(0.0, begun_s + follower.wait_s - time.monotonic()))
            self._interrupt.raise_if_set()
            url, media = self._media(url)

    def _played(self, segment: Segment, n_failed: int) -> int:
        """Queue a segment's pictures; return how many segments in a row could not be read."""
        try:
            if segment.is_missing:
                raise SourceStatusError("the playlist says that a segment is missing")
            self._play(segment)
        except _FATAL:
            raise
        except SourceError:
            self._interrupt.raise_if_set()
            n_failed += 1
            if n_failed >= MAX_FAILED:
                raise
            if self._demuxer is not None:
                self._demuxer.restart()
            return n_failed
        return 0

    def _play(self, segment: Segment) -> None:
        data = self._segments.media(segment)
        arrived_s = time.monotonic()
        demuxer = self._demuxer_for(segment, data)
        starts_anew = segment.starts_anew
        if starts_anew:
            demuxer.restart()
        elif isinstance(demuxer, TransportStream):
            demuxer.restart_counter()
        if segment.header is not None:
            list(demuxer.push(self._segments.header(segment.header), arrived_s))
        captured_s, name, known = segment.captured_s, name_of(segment), self._known
        if known is not None:
            known.begin(starts_anew=starts_anew)
        for unit in self._units(demuxer, data, arrived_s):
            time_s = unit.timestamp / demuxer.clock_hz
            timestamp = round(time_s * CLOCK_HZ)
            is_known = known is not None and known.has(timestamp)
            placed = unit._replace(timestamp=timestamp, segment=name, is_known=is_known)
            self._put(_Queued(placed, time_s, arrived_s, starts_anew, captured_s))
            starts_anew, captured_s = False, None

    def _units(
        self, demuxer: TransportStream | FragmentedMp4, data: bytes, arrived_s: float
    ) -> Iterator[AccessUnit]:
        yield from demuxer.push(data, arrived_s)
        yield from demuxer.end(arrived_s)

    def _demuxer_for(self, segment: Segment, data: bytes) -> TransportStream | FragmentedMp4:
        kind: type[TransportStream | FragmentedMp4] = TransportStream
        if segment.header is not None or data[4:8] in {b"ftyp", b"styp", b"moof", b"sidx"}:
            kind = FragmentedMp4
        elif data[:1] != b"\x47":
            raise SourceNotVideoError(f"{self.host} sends segments that are no MPEG-TS and no MP4")
        if not isinstance(self._demuxer, kind):
            self._demuxer = kind(self.host)
        return self._demuxer

    def _put(self, queued: _Queued) -> None:
        with self._room:
            while self._n_queued > MAX_QUEUED_BYTES and not self._interrupt.is_set:
                self._room.wait(1.0)
            self._n_queued += len(queued.unit.data)
        if not self._interrupt.is_set:
            self._queue.put(queued)

    def _media(self, url: str) -> tuple[str, Media]:
        """Return (URL, contents) of a media playlist, by way of a list of variants."""
        for _ in range(_MAX_NESTED):
            loaded, self._loaded = self._loaded or self._load(url), None
            self.host = loaded.host
            try:
                found = parse(loaded.data, loaded.url)
            except PlaylistError as exc:
                raise SourceProtocolError(f"{self.host} sent {exc}") from exc
            if isinstance(found, Media):
                return url, found
            url = _chosen(found, self.host).url
        raise SourceProtocolError(f"{self.host} lists variants within variants")

    def _load(self, url: str) -> Loaded:
        answer = self._requests.get(url)
        try:
            return Loaded(answer.url, answer.host, read_up_to(answer, MAX_BYTES))
        finally:
            answer.close()


def open_hls(
    url: str,
    policy: FetchPolicy,
    interrupt: Interrupt,
    *,
    stall_s: float,
    credentials: Credentials | None = None,
    place: Place | None = None,
    loaded: Loaded | None = None,
) -> HlsStream:
    """Load the playlist and its first segment. Raises a `SourceError`; the interrupt ends it.

    `place` is shared by the sessions of one source, one after the other. `loaded`: the playlist at
    `url`, if it was requested just now.
    """
    stream = HlsStream(
        url,
        policy,
        interrupt,
        stall_s=stall_s,
        credentials=credentials,
        place=place,
        loaded=loaded,
    )
    try:
        stream.start()
    except BaseException:
        stream.close()
        raise
    return stream


def _chosen(master: Master, host: str) -> Variant:
    """Return the variant with the largest picture up to 1920 x 1080, else the smallest."""
    if not master.variants:
        raise SourceNotVideoError(f"{host} lists no variant")

    def rank(variant: Variant) -> tuple[bool, float]:
        pixels = 0 if variant.size is None else variant.size[0] * variant.size[1]
        fits = pixels <= _WANTED_PIXELS
        size = pixels or variant.bandwidth / 1e12
        return fits, size if fits else -size

    return max(master.variants, key=rank)
