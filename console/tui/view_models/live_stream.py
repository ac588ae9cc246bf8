"""View model of the Live tab: folds a task's events to one frozen snapshot. No I/O, no UI.

Memory is bounded for a stream of any length: log lines by number and bytes, tracks by number, and
the indexes of frames and times by halving their resolution.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from console.tui.view_models.capture import (
    Capture,
    CaptureFold,
    last_time_of_day_ms,
)
from console.tui.view_models.frame_index import FrameIndex
from console.tui.view_models.log_line import LogLine, line_of, time_ms
from streamproc.contract.chunk import Chunk, StreamInfo, Target, decode_chunk
from streamproc.contract.framing import DONE, Event
from streamproc.contract.text_vote import Spelling, add_reading, count

MAX_LINES = 2000
MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_TRACKS = 2000
MAX_SPANS = 24
SERIES_S = 60
GAPS = 120


class TrackLife(msgspec.Struct, frozen=True, gc=False):
    """Summary of one track; `spans` are the closed intervals of frames in which it was seen.

    `text` is the winner of the vote over `spellings`, the readings so far.
    """

    track_id: int
    class_name: str
    first_frame: int
    last_frame: int
    n_seen: int
    best_confidence: float
    text: str | None
    spans: tuple[tuple[int, int], ...]
    spellings: tuple[Spelling, ...] = ()


class LiveSnapshot(msgspec.Struct, frozen=True):
    """State of a stream up to byte `offset`.

    `rates`: chunks per second in the last `SERIES_S` whole seconds, oldest first, in the task's own
    time: a log that was there before is read in an instant. `gaps_ms`: times between the last
    chunks, for processing and for waiting. `n_lost_lines`: lines that were dropped from `lines`.
    """

    offset: int = 0
    n_chunks: int = 0
    info: StreamInfo | None = None
    targets: tuple[Target, ...] = ()
    provider: str | None = None
    finish: str | None = None
    error: str | None = None
    processing_ms: int | None = None
    lines: tuple[LogLine, ...] = ()
    n_lost_lines: int = 0
    tracks: tuple[TrackLife, ...] = ()
    n_tracks: int = 0
    classes_now: Mapping[str, int] = MappingProxyType({})
    classes_ever: Mapping[str, int] = MappingProxyType({})
    first_frame: int = 0
    last_frame: int = 0
    rates: tuple[float, ...] = ()
    gaps_ms: tuple[float, ...] = ()
    capture: Capture = Capture()

    @property
    def ended(self) -> bool:
        return self.finish is not None


def targets_of(chunk: Chunk) -> tuple[Target, ...]:
    return tuple(target for result in chunk.delta.results for target in result.targets)


class LiveFold:
    """Reducer of one stream, from the event on that is applied first. Not for concurrent use."""

    def __init__(self, *, max_lines: int = MAX_LINES, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.index = FrameIndex()
        self.times_ms = FrameIndex()
        self._frame_times = FrameIndex()
        self._frame_elapsed = FrameIndex(may_repeat=True)
        self._max_lines = max_lines
        self._max_line_bytes = max_line_bytes
        self._lines: deque[LogLine] = deque()
        self._line_bytes = 0
        self._n_lost = 0
        self._offset = 0
        self._n_chunks = 0
        self._last: Chunk | None = None
        self._finish: Chunk | None = None
        self._provider: str | None = None
        self._read_s = 0.0
        self._first_frame: int | None = None
        self._step = 1
        self._tracks: OrderedDict[int, TrackLife] = OrderedDict()
        self._n_tracks = 0
        self._classes: Counter[str] = Counter()
        self._rates: deque[tuple[int, int]] = deque(maxlen=SERIES_S)
        self._gaps: deque[float] = deque(maxlen=GAPS)
        self._capture = CaptureFold()

    @property
    def offset(self) -> int:
        """The offset after the last complete event."""
        return self._offset

    def time_ms(self, frame: int) -> int:
        """Return the frame's time in the video in milliseconds, as its neighbours' times say.

        Of a live source it is the time of capture, in Unix milliseconds.
        """
        return self._frame_times.interpolated(frame)

    @property
    def is_live(self) -> bool:
        """Whether the source is live, as far as its log says so."""
        return self._capture.is_live

    def sought_ms(self, typed_ms: int) -> int:
        """Return a time as lines and indexes have it: of a live source, it was a time of day."""
        if self._last is None or not self._capture.is_live:
            return typed_ms
        return last_time_of_day_ms(typed_ms, time_ms(self._last.stream_info))

    def wall_ms(self, frame: int, started_ms: int | None) -> int | None:
        """Return when the frame's chunk was made, in Unix milliseconds; None if it is unknown.

        `started_ms` is the task's start. A live source's frames have the time of their capture.
        """
        if started_ms is None or self._capture.is_live or not len(self._frame_elapsed):
            return None
        return started_ms + self._frame_elapsed.interpolated(frame)

    def apply(self, events: Iterable[Event], now_s: float) -> None:
        """Apply the next events, read at the monotonic time `now_s`.

        Raises `msgspec.DecodeError` for data that is no chunk.
        """
        for event in events:
            self._offset = event.end
            chunk = None if event.data == DONE else decode_chunk(event.data)
            self._keep(line_of(event, chunk))
            if chunk is not None:
                self._take(chunk, event.start)
                self._read_s = now_s

    def snapshot(self, now_s: float) -> LiveSnapshot:
        last, finish = self._last, self._finish
        targets = () if last is None else targets_of(last)
        info = (finish or last).stream_info if finish or last else None  # type: ignore[union-attr]
        failure = finish.error if finish is not None else msgspec.UNSET
        usage = finish.usage if finish is not None else msgspec.UNSET
        return LiveSnapshot(
            offset=self._offset,
            n_chunks=self._n_chunks,
            info=info,
            targets=targets,
            provider=self._provider,
            finish=None if finish is None else finish.finish_reason,
            error=f"{failure.message} ({failure.code})" if failure else None,
            processing_ms=usage.processing_time_ms if usage else None,
            lines=tuple(self._lines),
            n_lost_lines=self._n_lost,
            tracks=tuple(self._tracks.values()),
            n_tracks=self._n_tracks,
            classes_now=Counter(target.class_name for target in targets),
            classes_ever=dict(self._classes),
            first_frame=self._first_frame or 0,
            last_frame=0 if last is None else last.stream_info.frame_index,
            rates=self._rate_series(now_s),
            gaps_ms=tuple(self._gaps),
            capture=self._capture.state(),
        )

    def _keep(self, line: LogLine) -> None:
        self._lines.append(line)
        self._line_bytes += line.size_bytes
        while len(self._lines) > self._max_lines or (
            self._line_bytes > self._max_line_bytes and len(self._lines) > 1
        ):
            self._line_bytes -= self._lines.popleft().size_bytes
            self._n_lost += 1

    def _take(self, chunk: Chunk, start: int) -> None:
        if chunk.provider:
            self._provider = chunk.provider
        if chunk.finish_reason is not None:
            self._finish = chunk
            return
        self._capture.take(chunk.stream_info)
        if chunk.stream_info.is_notice:
            return
        frame = chunk.stream_info.frame_index
        if self._last is not None:
            self._step = max(1, frame - self._last.stream_info.frame_index)
            passed_ms = chunk.stream_info.elapsed_ms - self._last.stream_info.elapsed_ms
            self._gaps.append(float(max(0, passed_ms)))
        if self._first_frame is None:
            self._first_frame = frame
        self.index.add(frame, start)
        self.times_ms.add(time_ms(chunk.stream_info), start)
        self._frame_times.add(frame, time_ms(chunk.stream_info))
        self._frame_elapsed.add(frame, chunk.stream_info.elapsed_ms)
        self._n_chunks += 1
        self._last = chunk
        second = chunk.stream_info.elapsed_ms // 1000
        if self._rates and self._rates[-1][0] == second:
            self._rates[-1] = (second, self._rates[-1][1] + 1)
        else:
            self._rates.append((second, 1))
        for target in targets_of(chunk):
            if target.track_id > 0:
                self._see(target, frame)

    def _see(self, target: Target, frame: int) -> None:
        known = self._tracks.get(target.track_id)
        spellings = () if known is None else known.spellings
        if isinstance(target.text, str):
            confidence = target.text_confidence
            sure = confidence if isinstance(confidence, float | int) else 0.0
            spellings = add_reading(spellings, target.text, sure)
        vote = count(spellings)
        text = None if vote is None else vote.text
        if known is None:
            self._n_tracks += 1
            self._classes[target.class_name] += 1
            self._tracks[target.track_id] = TrackLife(
                target.track_id,
                target.class_name,
                frame,
                frame,
                1,
                target.confidence,
                text,
                ((frame, frame),),
                spellings,
            )
            if len(self._tracks) > MAX_TRACKS:
                self._tracks.popitem(last=False)
            return
        self._tracks[target.track_id] = TrackLife(
            known.track_id,
            target.class_name,
            known.first_frame,
            frame,
            known.n_seen + 1,
            max(known.best_confidence, target.confidence),
            text,
            _with_frame(known.spans, frame, self._step),
            spellings,
        )

    def _rate_series(self, now_s: float) -> tuple[float, ...]:
        """Return the rates of the last whole seconds of the task.

        The running second is left out if there are others: it would look like a drop. A task that
        has ended has none.
        """
        counts = dict(self._rates)
        if self._last is None or not counts:
            return ()
        second = self._last.stream_info.elapsed_ms // 1000
        if self._finish is None:
            passed_s = max(0.0, now_s - self._read_s)
            second = int(self._last.stream_info.elapsed_ms / 1000 + passed_s)
        first = max(min(counts), second - SERIES_S)
        whole = tuple(float(counts.get(at, 0)) for at in range(first, second))
        return whole or (float(counts.get(second, 0)),)


def _with_frame(
    spans: tuple[tuple[int, int], ...], frame: int, step: int
) -> tuple[tuple[int, int], ...]:
    """Extend the last span, or start a new one after a gap; the last of `MAX_SPANS` is extended."""
    first, last = spans[-1]
    if frame - last <= 2 * step or len(spans) >= MAX_SPANS:
        return (*spans[:-1], (first, frame))
    return (*spans, (frame, frame))
