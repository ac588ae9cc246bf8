"""A task's log as a client reads it: counts every byte, splits events, resumes after a cut.

No I/O: `Following` says what to ask for, takes what came, and says how long to wait after a cut.
"""

from collections.abc import Mapping
from random import Random
from typing import NamedTuple

import msgspec

from api.contract.resources import TaskResource
from console.client import calls
from console.errors import LogMismatchError, UnreachableError
from streamproc.contract.framing import DONE, Event, event_lines

FIRST_PAUSE_S = 0.25
MAX_PAUSE_S = 10.0
PATIENCE_S = 120.0
START_OFFSET = "stream-start-offset"
_RETRY = b"retry:"
_PASSING = {429, 502, 503, 504}  # statuses that another attempt may mend


class Piece(NamedTuple):
    """Log bytes `[offset, offset + len(data))` and the events that they complete."""

    offset: int
    data: bytes
    events: tuple[Event, ...]


class HeartbeatFilter:
    """Leaves out of an answer with heartbeats what is no log byte.

    That is the answer's first line, `retry:`, and every line that is a colon alone, each with the
    blank line behind it.
    """

    def __init__(self) -> None:
        self._pending = b""  # the start of a line of which it is not clear yet what it is
        self._is_first = True
        self._in_line = False
        self._behind = False  # a line that was left out

    def feed(self, data: bytes) -> bytes:
        """Return the log bytes of `data`; what is not clear yet comes with the next."""
        data = self._pending + data
        kept: list[bytes] = []
        at = 0
        while at < len(data):
            stop = data.find(b"\n", at) + 1
            if self._behind:
                self._behind = False
                at += data.startswith(b"\n", at)
                continue
            if not self._in_line:
                left_out = self._left_out(data[at : stop or len(data)])
                if left_out is None:
                    break
                self._is_first = False
                if left_out:
                    self._behind = True
                    at = stop
                    continue
            kept.append(data[at : stop or len(data)])
            self._in_line = not stop
            at = stop or len(data)
        self._pending = data[at:]
        return b"".join(kept)

    def _left_out(self, line: bytes) -> bool | None:
        """Return whether a line is left out, given with its end or as far as it came; or None."""
        if line in {b":", b":\n"}:
            return None if line == b":" else True
        if self._is_first and line.startswith(_RETRY):
            return True if line.endswith(b"\n") else None
        return None if self._is_first and _RETRY.startswith(line) else False


class EventSplitter:
    """Splits log bytes into events, checking that each stands where it says.

    A log may be joined inside an event: that event is left out.
    """

    def __init__(self, offset: int) -> None:
        self._at = offset
        self._pending = bytearray()
        self._joined_inside = offset > 0

    def feed(self, data: bytes) -> tuple[Event, ...]:
        """Return the events that `data` completes; raises `LogMismatchError`."""
        self._pending += data
        events: list[Event] = []
        start = 0
        while (stop := self._pending.find(b"\n\n", start)) >= 0:
            event = self._event(bytes(self._pending[start:stop]), stop + 2 - start)
            if event is not None:
                events.append(event)
            start = stop + 2
        del self._pending[:start]
        return tuple(events)

    def _event(self, block: bytes, size: int) -> Event | None:
        start, end = self._at, self._at + size
        self._at = end
        joined_inside, self._joined_inside = self._joined_inside, False
        if joined_inside and block.startswith(b"\n"):  # an event's last byte, then a whole one
            start, block = start + 1, block[1:]
        lines = event_lines(block)
        if lines is not None and lines[1] == b"%d" % end:
            data = lines[0]
            if not joined_inside or _is_whole(data):
                return Event(start, end, data)
        if joined_inside:
            return None
        raise LogMismatchError(f"the stream's bytes at {start} are not an event of this log")


class Following:
    """One reader of one task's log, over as many connections as it takes.

    `offset` is the log offset of the next byte; `finished` once the log's last byte was read.
    With `heartbeat_s` the server is asked to say something after so many seconds of silence.
    """

    def __init__(
        self,
        task_id: str,
        offset: int = 0,
        *,
        patience_s: float = PATIENCE_S,
        heartbeat_s: int | None = None,
        jitter: Random | None = None,
    ) -> None:
        self.task_id = task_id
        self.offset = offset
        self.finished = False
        self._splitter = EventSplitter(offset)
        self._heartbeat_s = heartbeat_s
        self._filter: HeartbeatFilter | None = None
        self._patience_s = patience_s
        self._jitter = jitter or Random()  # noqa: S311 - spreads reconnects, guards nothing
        self._n_cuts = 0
        self._cut_since_s: float | None = None
        self._answered = False

    def call(self) -> calls.Call[bytes]:
        """Return the request for the rest of the log."""
        return calls.stream(self.task_id, self.offset, heartbeat_s=self._heartbeat_s)

    def opened(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the answer's body is to be read as log bytes.

        204 ends the log. False with `finished` unset: a passing refusal, treat it as a cut.
        Raises `LogMismatchError` when the answer starts elsewhere than asked. Not for refusals.
        """
        if status == 204:
            self.finished = True
            return False
        self._answered = True
        if status in _PASSING:
            return False
        start = headers.get(START_OFFSET)
        if start is not None and start != str(self.offset):
            raise LogMismatchError(f"asked for byte {self.offset}, the stream starts at {start}")
        self._filter = None if self._heartbeat_s is None else HeartbeatFilter()
        return True

    @staticmethod
    def is_refusal(status: int) -> bool:
        """Return whether the answer is a problem that asking again would not mend."""
        return status >= 300 and status not in _PASSING

    def feed(self, data: bytes) -> Piece:
        """Take the next bytes of an answer; raises `LogMismatchError`."""
        if self._filter is not None:
            data = self._filter.feed(data)
        piece = Piece(self.offset, data, self._splitter.feed(data))
        self.offset += len(data)
        self._n_cuts = 0
        self._cut_since_s = None
        if piece.events and piece.events[-1].data == DONE:
            self.finished = True
        return piece

    def idle(self) -> None:
        """A connection was silent for long and was closed by us: asking again costs nothing."""
        self._n_cuts = 0
        self._cut_since_s = None

    def cut(self, now_s: float, reason: str) -> float:
        """A connection ended early; return the seconds to wait before the next.

        Raises `UnreachableError` when the first connection already failed, and when no byte came
        for `patience_s`.
        """
        if not self._answered:
            raise UnreachableError(reason)
        if self._cut_since_s is None:
            self._cut_since_s = now_s
        if now_s - self._cut_since_s >= self._patience_s:
            raise UnreachableError(
                f"the stream broke off at byte {self.offset} and could not be resumed: {reason}"
            )
        pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._n_cuts, 16))
        self._n_cuts += 1
        return pause_s * self._jitter.uniform(0.5, 1.0)


def _is_whole(data: bytes) -> bool:
    """Return whether this is an event's whole data: what a text in it says may look like its start.

    Every data but `[DONE]` is a JSON object, and no end of one is another one.
    """
    if data == DONE:
        return True
    try:
        return isinstance(msgspec.json.decode(data), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def is_final(task: TaskResource) -> bool:
    """Return whether the task's status will not change any more."""
    return task.status in {"succeeded", "failed", "cancelled"}
