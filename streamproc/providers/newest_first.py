"""Frames of a live task on their way through perception: few at a time, the newest first.

At most `IN_PERCEPTION` are in the shared pool, or done and not taken. One waits for a place; a
newer one replaces it. A result that was done `max_lag_s` ago is dropped. So what is taken is never
older than three times what perception of one frame takes, and `max_lag_s`.

Frames of a new shape wait outside of perception until the networks for it are ready (`warm_up`).
Then the newest one is the first.
"""

import threading
import time
from collections import deque
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Final

from models.sizes import SourceShape
from streamproc.contract.chunk import DropReason, Gap
from streamproc.providers.warm_up import WarmUp
from streamproc.source.live_source.gaps import stronger
from streamproc.source.live_source.pictures import LiveFrame
from streamproc.stages.frame_tracker import perceive_and_release
from streamproc.stages.perception import Perception, Plan, View

IN_PERCEPTION: Final = 2


@dataclass(slots=True)
class Perceived:
    """A frame in perception. `dropped`: what was dropped here before it, by reason.

    `gap`: the frame's, and those of dropped ones before it. `done_s`: when the result was there.
    """

    frame: LiveFrame
    result: Future[Perception]
    dropped: dict[str, int]
    gap: Gap | None
    done_s: float | None = None


class NewestFirst:
    """One thread offers frames, another takes results."""

    def __init__(
        self,
        plan: Plan,
        pool: Executor,
        warm_up: WarmUp,
        *,
        max_lag_s: float,
        max_frames: int | None,
    ) -> None:
        """`max_frames`: that may be taken; None: any number."""
        self.changed = threading.Condition()
        """Notified when there may be something to take."""
        self._plan, self._pool, self._max_lag_s = plan, pool, max_lag_s
        self._warm_up = warm_up
        self._prepared: tuple[SourceShape, Future[None]] | None = None
        self._places: deque[Perceived] = deque()
        self._waiting: LiveFrame | None = None
        self._owed: Gap | None = None
        self._dropped: dict[str, int] = {}
        self._n_left = max_frames

    @property
    def is_full(self) -> bool:
        """Whether as many frames as may be taken have been, or are on their way."""
        return self._n_left == 0

    @property
    def is_empty(self) -> bool:
        return not self._places and self._waiting is None

    @property
    def has_next(self) -> bool:
        return bool(self._places) and self._places[0].done_s is not None

    @property
    def n_dropped(self) -> int:
        return sum(self._dropped.values())

    def offer(self, frame: LiveFrame) -> None:
        """Begin with a frame, or let it wait instead of an older one."""
        with self.changed:
            if self.is_full:
                self._drop(frame, "sampling")
                return
            older, self._waiting = self._waiting, frame
            if older is not None:
                self._waiting = replace(frame, gap=stronger(older.gap, frame.gap))
                self._drop(older, "overload" if self._is_ready(older.shape) else "warm_up")
            self._advance()

    def take(self) -> Perceived | None:
        """Return the next result that is fresh enough, None if there is none now."""
        with self.changed:
            self._drop_stale()
            found = self._places.popleft() if self.has_next else None
            self._advance()
            return found

    def close(self) -> None:
        """Drop what waits; what is in perception ends by itself."""
        with self.changed:
            for one in self._places:
                one.result.cancel()
            self._places.clear()
            if self._waiting is not None:
                self._waiting.slot.release()
                self._waiting = None

    def _advance(self) -> None:
        """Begin with the frame that waits, if it can be perceived now."""
        waiting = self._waiting
        if waiting is None:
            return
        if self.is_full:
            self._waiting = None
            self._drop(waiting, "sampling")
        elif self._is_ready(waiting.shape) and len(self._places) < IN_PERCEPTION:
            self._waiting = None
            self._submit(waiting)

    def _is_ready(self, shape: SourceShape) -> bool:
        """Whether frames of this shape can be perceived; if not, see to it."""
        if self._prepared is None or self._prepared[0] != shape:
            prepared = self._warm_up.prepared(self._plan, shape)
            self._prepared = shape, prepared
            if not prepared.done():
                prepared.add_done_callback(lambda _: self._resume())
        return self._prepared[1].done()

    def _resume(self) -> None:
        with self.changed:
            self._advance()

    def _submit(self, frame: LiveFrame) -> None:
        if self._n_left is not None:
            self._n_left -= 1
        view = View(frame.slot.image, frame.slot.scaled, frame.shape)
        gap, self._owed = stronger(self._owed, frame.gap), None
        result = self._pool.submit(perceive_and_release, view, self._plan, frame.slot.release)
        one = Perceived(frame, result, dict(self._dropped), gap)
        self._places.append(one)
        result.add_done_callback(lambda _: self._done(one))

    def _done(self, one: Perceived) -> None:
        with self.changed:
            one.done_s = time.monotonic()
            self.changed.notify_all()

    def _drop_stale(self) -> None:
        now_s = time.monotonic()
        while self._places:
            done_s = self._places[0].done_s
            if done_s is None or now_s - done_s <= self._max_lag_s:
                return
            stale = self._places.popleft()
            self._drop(stale.frame, "late")
            if self._places:
                self._places[0].gap = stronger(stale.gap, self._places[0].gap)
                self._places[0].dropped = dict(self._dropped)
            else:
                self._owed = stronger(self._owed, stale.gap)
            if self._n_left is not None:
                self._n_left += 1

    def _drop(self, frame: LiveFrame, reason: DropReason) -> None:
        frame.slot.release()
        self._dropped[reason] = self._dropped.get(reason, 0) + 1
