"""From coded pictures of a live source to its frames: decoded, sampled, each one counted.

A decoder has one codec and one size: another one needs a new decoder, from a keyframe on. So does a
decoder that ended, and one that has used up most of its CPU time.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from models.sizes import SourceShape
from streamproc.contract.chunk import Gap, GapReason
from streamproc.source.errors import DecoderCrashedError
from streamproc.source.live.backlog import Waiting
from streamproc.source.live.reconnect import Reconnects
from streamproc.source.live.stream import Arrived
from streamproc.source.live_source.accounts import Accounts, Totals
from streamproc.source.live_source.decoder import Decoded, Described, LiveDecoder, Slot
from streamproc.source.live_source.gaps import Gaps
from streamproc.source.live_source.task_clock import TaskClock
from streamproc.source.types import Image

MAX_AGE_S: Final = 86_400.0
MAX_STARTS: Final = 5
START_WINDOW_S: Final = 5.0
"""At most so many decoders are started in this time, whatever a source does."""
_MAX_HELD: Final = 64


class Choice(Enum):
    """What becomes of a decoded picture."""

    TAKE = "take"
    LEAVE = "leave"
    END = "end"


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """A frame to process. `time_s`: media time since the task's first frame, always rising.

    `totals` include it. `gap`: the time without frames that ends with it. `slot` has its images.
    `still`: as in `Decoded`.
    """

    index: int
    time_s: float
    arrived: Arrived
    is_key: bool
    shape: SourceShape
    totals: Totals
    slot: Slot
    gap: Gap | None
    still: Image | None = None


class _Shown(NamedTuple):
    arrived: Arrived
    time_s: float
    totals: Totals
    gap: Gap | None


class Pictures:
    """Decodes what `Backlog` gives, in its order. One thread, but `close` from any."""

    def __init__(
        self,
        open_decoder: Callable[[str], LiveDecoder],
        choose: Callable[[int, float, bool], Choice],
        restarts: Reconnects,
        *,
        clock: TaskClock,
        totals: Totals,
        max_lag_s: float,
        shows_damaged: bool,
        only_keys: bool,
        max_busy_s: float,
        now_s: Callable[[], float] = time.monotonic,
        numbered: Callable[[Arrived, int], None] = lambda _, __: None,
    ) -> None:
        """`choose(index, time_s, is_key)` samples; after END nothing more is decoded.

        `numbered` is told the index of each picture that came out of the decoder, or that is not
        wanted; not of those that are lost or damaged.

        `only_keys`: other pictures than keyframes are not wanted, and not decoded.
        `restarts` says when a decoder may be started again after one has ended.
        """
        self.has_ended = False
        self._open_decoder, self._choose, self._restarts = open_decoder, choose, restarts
        self._clock, self._accounts = clock, Accounts(totals)
        self._max_lag_s, self._shows_damaged = max_lag_s, shows_damaged
        self._only_keys, self._numbered = only_keys, numbered
        self._max_busy_s, self._now_s = max_busy_s, now_s
        self._starts_s: deque[float] = deque(maxlen=MAX_STARTS)
        self._decoder: LiveDecoder | None = None
        self._announced: tuple[int, int] | None = None
        self._not_before_s = now_s()
        self._needs_key = True
        self._number = 0
        self._held: dict[int, Arrived] = {}
        """Pictures that were sent to the decoder and did not come out yet, by number."""
        self._shown: dict[int, _Shown] = {}
        self._gaps = Gaps()

    @property
    def totals(self) -> Totals:
        return self._accounts.totals

    def close(self) -> None:
        """End the decoder; frames stay until they are released."""
        if self._decoder is not None:
            self._decoder.close()

    def decoded(self, waiting: Waiting) -> list[LiveFrame]:
        """Decode a picture; return the frames that came out of it and are to be processed.

        Raises the `SourceError` that ends the source.
        """
        self._accounts.drop("damaged", waiting.n_damaged)
        self._accounts.drop("late", waiting.n_late)
        found: list[LiveFrame] = []
        is_fresh = waiting.gap_s is not None or waiting.n_late > 0
        if is_fresh:
            self._give_up_held()
            self._gaps.open("overload" if waiting.gap_s is None else "source_lost")
        if waiting.arrived.unit.starts_anew:
            self._gaps.open("discontinuity")
        if self._is_another(waiting):
            found += self._drained()
            self._end_decoder("discontinuity")
        elif self._is_worn_out() and waiting.arrived.unit.is_key:
            found += self._drained()
            self._end_decoder(None)
        return found + self._fed(waiting, is_fresh=is_fresh)

    def rest(self) -> list[LiveFrame]:
        """Return the frames that are still in the decoder: no picture follows."""
        return self._drained()

    def _fed(self, waiting: Waiting, *, is_fresh: bool) -> list[LiveFrame]:
        unit = waiting.arrived.unit
        if self._needs_key and not unit.is_key:
            self._lose(waiting.arrived)
            return []
        if self._only_keys and not unit.is_key:
            if not unit.is_known:
                self._accounts.drop("sampling")
                self._numbered(waiting.arrived, self._accounts.next_index - 1)
            return []
        for _ in range(2):  # the second time in a decoder for its size
            decoder = self._decoder or self._started(waiting)
            if decoder is None:
                break
            found = self._decode(decoder, waiting.arrived, is_fresh=is_fresh or self._only_keys)
            if found is None:
                return []
            frames = [one for one in map(self._frame, found) if one is not None]
            if all(one.described.shape == decoder.shape for one in found):
                return frames
            self._end_decoder("discontinuity")
            self._needs_key = True
            if not unit.is_key:
                self._lose(waiting.arrived)
                return frames
        self._lose(waiting.arrived)
        return []

    def _decode(
        self, decoder: LiveDecoder, arrived: Arrived, *, is_fresh: bool
    ) -> list[Decoded] | None:
        """Return what came out; None if the picture, or the decoder, is of no use."""
        self._number += 1
        number = self._number
        self._held[number] = arrived
        if len(self._held) > _MAX_HELD:
            self._lose(self._held.pop(next(iter(self._held))))
        try:
            found = decoder.decode(number, arrived.unit.data, self._wants, is_fresh=is_fresh)
            if self._only_keys and found is not None:
                found += decoder.drain(self._wants) if number in self._held else []
        except DecoderCrashedError as exc:
            self._end_decoder("discontinuity")
            self._not_before_s = self._now_s() + self._restarts.wait_s(exc, self._now_s())
            return None
        if found is None:
            self._withdraw_shown()
            if self._held.pop(number, None) is not None:
                self._lose(arrived)
            self._needs_key = not self._shows_damaged
            return None
        if arrived.unit.is_key:
            self._needs_key = False
        if any(one.described.shape != decoder.shape for one in found):
            self._held.pop(number, None)
        return found

    def _wants(self, described: Described) -> bool:
        """Count a picture that came out; return whether it is to be painted."""
        arrived = self._held.pop(described.number, None)
        if arrived is None or self.has_ended:
            return False
        now_s = self._now_s()
        self._restarts.seen(now_s)
        self._count_lost(described.number, arrived)
        if arrived.unit.is_known:
            return False
        if described.is_damaged and not self._shows_damaged:
            self._accounts.drop("undecodable")
            return False
        time_s = self._clock.time_s(arrived.tied_s)
        self._gaps.note(time_s)
        if now_s - arrived.due_s > self._max_lag_s:
            self._numbered(arrived, self._accounts.decoded("late"))
            return False
        choice = self._choose(self._accounts.next_index, time_s, described.is_key)
        if choice is Choice.END:
            self.has_ended = True
        elif choice is Choice.LEAVE:
            self._numbered(arrived, self._accounts.decoded("sampling"))
        else:
            self._numbered(arrived, self._accounts.decoded())
            totals, gap = self._accounts.totals, self._gaps.take()
            self._shown[described.number] = _Shown(arrived, time_s, totals, gap)
            return True
        return False

    def _frame(self, decoded: Decoded) -> LiveFrame | None:
        shown = self._shown.pop(decoded.described.number, None)
        if shown is None:
            return None
        if decoded.slot is None:
            self._withdraw(shown)
            return None
        described = decoded.described
        return LiveFrame(
            index=shown.totals.index,
            time_s=shown.time_s,
            arrived=shown.arrived,
            is_key=described.is_key,
            shape=described.shape,
            totals=shown.totals,
            slot=decoded.slot,
            gap=shown.gap,
            still=decoded.still,
        )

    def _withdraw_shown(self) -> None:
        """Pictures that were to be painted were not: the decoder failed meanwhile."""
        for shown in self._shown.values():
            self._withdraw(shown)
        self._shown.clear()

    def _withdraw(self, shown: _Shown) -> None:
        self._accounts.withdraw("overload")
        self._gaps.give_back(shown.gap)

    def _count_lost(self, number: int, arrived: Arrived) -> None:
        """Count pictures that come out no more: one that is later in both orders has."""
        lost = [n for n, one in self._held.items() if n < number and one.tied_s < arrived.tied_s]
        self._lose(*(self._held.pop(one) for one in lost))

    def _is_another(self, waiting: Waiting) -> bool:
        if self._decoder is None:
            return False
        size = waiting.arrived.size
        is_resized = None not in {size, self._announced} and size != self._announced
        return waiting.track.codec != self._decoder.codec or is_resized

    def _is_worn_out(self) -> bool:
        decoder = self._decoder
        if decoder is None:
            return False
        is_old = self._now_s() - decoder.started_s > MAX_AGE_S
        return is_old or decoder.busy_s > self._max_busy_s

    def _started(self, waiting: Waiting) -> LiveDecoder | None:
        """Start a decoder; None if that is not possible now."""
        now_s = self._now_s()
        is_often = len(self._starts_s) == MAX_STARTS and now_s - self._starts_s[0] < START_WINDOW_S
        if is_often or now_s < self._not_before_s:
            return None
        self._starts_s.append(now_s)
        try:
            self._decoder = self._open_decoder(waiting.track.codec)
        except DecoderCrashedError as exc:
            self._not_before_s = now_s + self._restarts.wait_s(exc, now_s)
            return None
        self._announced = waiting.arrived.size
        return self._decoder

    def _drained(self) -> list[LiveFrame]:
        """Return the frames that the decoder holds back; it is then of no use."""
        if self._decoder is None or not self._held:
            return []
        try:
            found = self._decoder.drain(self._wants)
        except DecoderCrashedError:
            self._withdraw_shown()
            return []
        return [one for one in map(self._frame, found) if one is not None]

    def _end_decoder(self, reason: GapReason | None) -> None:
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.close()
        self._withdraw_shown()
        self._give_up_held()
        self._needs_key = True
        if reason is not None:
            self._gaps.open(reason)

    def _give_up_held(self) -> None:
        self._lose(*self._held.values())
        self._held.clear()

    def _lose(self, *pictures: Arrived) -> None:
        """Count pictures that do not come out, but those that the task has had."""
        n_new = sum(not one.unit.is_known for one in pictures)
        self._accounts.drop("undecodable", n_new)
