"""A live source as an iterator of frames: one thread reads the camera, another one decodes.

    for frame in LiveSource(stream, pictures, watch, interrupt, max_lag_s=2.0): …

The thread that reads never waits for the decoder: what is too late is left out between them.
"""

import threading
import time
from collections.abc import Callable, Iterator
from random import SystemRandom
from typing import Final

import structlog

from streamproc.source.errors import SourceError, StreamEnd
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.backlog import Backlog, Waiting
from streamproc.source.live.connection import LiveConnection, VideoTrack
from streamproc.source.live.reconnect import Reconnects
from streamproc.source.live.recording.piece_maker import PieceMaker
from streamproc.source.live.rtp.keyframe_gate import OnLoss
from streamproc.source.live.rtp.picture_size import Size
from streamproc.source.live.source_watch import SourceWatch
from streamproc.source.live.stream import Arrived, Connected, Event, LiveStream
from streamproc.source.live_source.accounts import Totals
from streamproc.source.live_source.decoder import LiveDecoder
from streamproc.source.live_source.pictures import Choice, LiveFrame, Pictures
from streamproc.source.live_source.task_clock import TaskClock
from streamproc.source.types import FrameOutputs

_POLL_S: Final = 0.5
_CPU_SHARE: Final = 0.8
"""A decoder is replaced at a keyframe when it has used this share of its CPU time."""
_log = structlog.get_logger()


class LiveSource:
    """A running camera. One thread iterates; the others' methods say that they may be called."""

    def __init__(
        self,
        stream: LiveStream,
        pictures: Pictures,
        watch: SourceWatch,
        interrupt: Interrupt,
        *,
        max_lag_s: float,
        recording: PieceMaker | None = None,
        announced: Callable[[Size], object] = lambda _: None,
    ) -> None:
        """Start to connect, in a thread of its own. `watch` is changed under `lock`.

        `recording` gets all pictures as they arrive. `announced` is told the size of the pictures
        as soon as the stream says it, and each other one.
        """
        self.lock = threading.Lock()
        self._stream, self._pictures, self._watch = stream, pictures, watch
        self._interrupt, self._recording = interrupt, recording
        self._announced = announced
        self._size: Size | None = None
        self._changed = threading.Condition(self.lock)
        self._backlog = Backlog(max_lag_s)
        self._failure: BaseException | None = None
        self._track: VideoTrack | None = None
        self._n_damaged = 0
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[LiveFrame]:
        """Yield frames until the range, or a source that has an end, ends.

        Raises the `SourceError` that ends the source.
        """
        while not self._pictures.has_ended:
            try:
                waiting = self._next()
            except StreamEnd:
                yield from self._pictures.rest()
                return
            yield from self._pictures.decoded(waiting)

    @property
    def totals(self) -> Totals:
        """Counts of all pictures so far; only for the thread that iterates."""
        return self._pictures.totals

    @property
    def declared_fps(self) -> float | None:
        track = self._track
        return None if track is None else track.declared_fps

    def close(self) -> None:
        """Stop at once: hang up, end the decoder. Any thread; idempotent."""
        self._interrupt.set()
        with self.lock:
            self._changed.notify_all()
        self._pictures.close()
        self._thread.join()

    def _next(self) -> Waiting:
        with self.lock:
            while True:
                self._interrupt.raise_if_set()
                waiting = self._backlog.take(time.monotonic())
                if waiting is not None:
                    return waiting
                if self._failure is not None:
                    raise self._failure
                self._changed.wait(_POLL_S)

    def _read(self) -> None:
        end: BaseException = StreamEnd()
        try:
            for event in self._stream.events():
                self._announce(event)
                self._record(event)
                with self.lock:
                    self._note(event)
                    self._changed.notify_all()
        except BaseException as exc:  # noqa: BLE001 - the thread's edge: the iterator raises it again
            if not isinstance(exc, SourceError):
                _log.exception("the thread of a camera failed")
            end = exc
        with self.lock:
            self._failure = end
            self._changed.notify_all()

    def _announce(self, event: Event) -> None:
        size = event.size if isinstance(event, Arrived | Connected) else None
        if size is not None and size != self._size:
            self._size = size
            self._announced(size)

    def _record(self, event: Event) -> None:
        """Record a picture before the decoder can know its index."""
        if isinstance(event, Arrived) and self._recording is not None and self._track is not None:
            self._recording.add(event, self._track.codec)

    def _note(self, event: Event) -> None:
        match event:
            case Connected(_, track, _):
                self._track = track
                self._watch.connected()
            case Arrived(unit):
                gate = self._stream.gate
                n_damaged = gate.n_before_first + gate.n_damaged
                self._watch.seen(unit.arrival_s, event.tied_s, is_key=unit.is_key)
                if self._track is not None:
                    self._backlog.put(event, self._track, n_damaged - self._n_damaged)
                self._n_damaged = n_damaged
            case _:
                self._watch.lost(event.failure.code, event.n_failed, time.monotonic())


def open_live_source(
    opens: Callable[[], LiveConnection],
    outputs: FrameOutputs,
    policy: FetchPolicy,
    choose: Callable[[int, float, bool], Choice],
    interrupt: Interrupt,
    *,
    clock: TaskClock,
    totals: Totals,
    on_loss: OnLoss,
    max_lag_s: float,
    give_up_s: float | None,
    has_worked: bool,
    only_keys: bool = False,
    wants_still: Callable[[], bool] = lambda: False,
    recording: PieceMaker | None = None,
    announced: Callable[[Size], object] = lambda _: None,
) -> tuple[LiveSource, SourceWatch]:
    """Start to read a camera; returns at once. `opens` connects and plays.

    `has_worked`: the task has had frames of it before: it is tried for ever, or for `give_up_s`.
    `only_keys`: nothing but keyframes is decoded. `wants_still`: whether the next frame is to have
    a still; the thread that iterates asks. `recording`: what arrives is recorded there.
    `announced`: as in `LiveSource`.
    """
    now_s = time.monotonic()
    random = SystemRandom().random

    def attempts() -> Reconnects:
        return Reconnects(now_s, give_up_s=give_up_s, random=random, has_worked=has_worked)

    stream = LiveStream(opens, attempts(), interrupt, on_loss=on_loss, has_worked=has_worked)
    pictures = Pictures(
        lambda codec: LiveDecoder(codec, outputs, policy, wants_still),
        choose,
        attempts(),
        clock=clock,
        totals=totals,
        max_lag_s=max_lag_s,
        shows_damaged=on_loss is OnLoss.CONCEAL,
        only_keys=only_keys,
        max_busy_s=policy.cpu_limit_s * _CPU_SHARE,
        numbered=(lambda _, __: None) if recording is None else recording.number,
    )
    watch = SourceWatch(now_s, has_worked=has_worked)
    source = LiveSource(
        stream,
        pictures,
        watch,
        interrupt,
        max_lag_s=max_lag_s,
        recording=recording,
        announced=announced,
    )
    return source, watch
