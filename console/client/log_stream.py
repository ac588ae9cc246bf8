"""Resumable reader of a task's log (SSE): counts bytes, splits events, resumes after a cut.

No I/O: `Following` returns the next request, accepts the received bytes, and returns the backoff
after a cut.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

import msgspec

from api.contract.tasks import TaskResource
from console.client import calls
from console.errors import LogMismatchError, UnreachableError
from streamproc.contract.framing import DONE, Event, event_lines

FIRST_PAUSE_S = 0.25
MAX_PAUSE_S = 10.0
PATIENCE_S = 120.0
START_OFFSET = "stream-start-offset"
FIRST_OFFSET = "stream-first-offset"
_RETRY = b"retry:"
_GONE = 410
_PASSING = {429, 502, 503, 504}  # transient: a retry may succeed


def first_kept(status: int, headers: Mapping[str, str]) -> int | None:
    """Return where the log begins now, of an answer to a request for bytes that have expired."""
    start = headers.get(FIRST_OFFSET, "")
    return int(start) if status == _GONE and start.isdecimal() else None


def start_offset(headers: Mapping[str, str]) -> int | None:
    """Return the log offset of an answer's first byte; None if the answer does not have it."""
    start = headers.get(START_OFFSET, "")
    return int(start) if start.isdecimal() else None


class Piece(NamedTuple):
    """Log bytes `[offset, offset + len(data))` and the events that they complete."""

    offset: int
    data: bytes
    events: tuple[Event, ...]


class HeartbeatFilter:
    """Filter that removes everything but log bytes from an answer with heartbeats.

    It removes the answer's first line, `retry:`, and every line that is only a colon, each with the
    blank line after it.
    """

    def __init__(self) -> None:
        self._pending = b""  # the start of a line that cannot be classified yet
        self._is_first = True
        self._in_line = False
        self._behind = False  # directly after a removed line, where a blank line follows

    def feed(self, data: bytes) -> bytes:
        """Return the log bytes of `data`; an undecided rest is returned by a later call."""
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
        """Return whether to remove a complete or partial line; None if it is not yet decidable."""
        if line in {b":", b":\n"}:
            return None if line == b":" else True
        if self._is_first and line.startswith(_RETRY):
            return True if line.endswith(b"\n") else None
        return None if self._is_first and _RETRY.startswith(line) else False


class EventSplitter:
    """SSE event splitter that checks the byte offset of each event.

    If reading starts inside an event, that event is left out.
    """

    def __init__(self, offset: int) -> None:
        self._at = offset
        self._pending = bytearray()
        self._joined_inside = offset > 0

    def feed(self, data: bytes) -> tuple[Event, ...]:
        """Return the events that `data` completes; raises `LogMismatchError` at a wrong offset."""
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
        if joined_inside and block.startswith(b"\n"):  # an event's last byte, then a complete one
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
    """One reader of one task's log, over any number of connections.

    It begins at `start`: a log offset, `end` or a time, as in `calls.stream`. If the first bytes of
    the log have expired, it begins at the first one that is kept and calls `on_expired` with its
    offset; without `on_expired`, the api's answer is raised as any other refusal.
    `offset` is the log offset of the next byte; `finished` is set once the last byte was read.
    With `heartbeat_s`, the server is asked to send a heartbeat after that many seconds of silence.
    """

    def __init__(
        self,
        task_id: str,
        start: int | str = 0,
        *,
        on_expired: Callable[[int], object] | None = None,
        patience_s: float = PATIENCE_S,
        heartbeat_s: int | None = None,
        jitter: Random | None = None,
    ) -> None:
        self.task_id = task_id
        self.offset = start if isinstance(start, int) else 0
        self.finished = False
        self._start: str | None = start if isinstance(start, str) else None  # not yet answered
        self._on_expired = on_expired
        self._has_moved = False
        self._splitter = EventSplitter(self.offset)
        self._heartbeat_s = heartbeat_s
        self._filter: HeartbeatFilter | None = None
        self._patience_s = patience_s
        self._jitter = jitter or Random()  # noqa: S311 - spreads reconnects, no security use
        self._n_cuts = 0
        self._cut_since_s: float | None = None
        self._answered = False
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Whether the last request was answered with bytes of the log."""
        return self._is_open

    def call(self) -> calls.Call[bytes]:
        """Return the request for the rest of the log."""
        self._is_open = False
        start = self.offset if self._start is None else self._start
        return calls.stream(self.task_id, start, heartbeat_s=self._heartbeat_s)

    def expired(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the answer says where the log begins now; then ask again at once."""
        first = first_kept(status, headers)
        if self._on_expired is None or first is None or first <= self.offset:
            return False
        self._move(first)
        self._has_moved = True
        self._on_expired(self.offset)
        return True

    def take_move(self) -> bool:
        """Return whether the reader has moved to another offset since the last call."""
        moved, self._has_moved = self._has_moved, False
        return moved

    def _move(self, offset: int) -> None:
        self.offset = offset
        self._splitter = EventSplitter(offset)

    def opened(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the answer's body contains log bytes.

        204 ends the log. False with `finished` unset is a transient error: treat it as a cut.
        Raises `LogMismatchError` if the answer starts at another offset than requested. Do not call
        it for statuses of `is_refusal`.
        """
        if status == 204:
            self.finished = True
            return False
        self._answered = True
        if status in _PASSING:
            return False
        start = start_offset(headers)
        if self._start is not None and start is not None:
            self._move(start)
            self._start = None
        if start is not None and start != self.offset:
            raise LogMismatchError(f"asked for byte {self.offset}, the stream starts at {start}")
        self._filter = None if self._heartbeat_s is None else HeartbeatFilter()
        self._is_open = True
        return True

    @staticmethod
    def is_refusal(status: int) -> bool:
        """Return whether the status is a permanent error, for which a retry is useless."""
        return status >= 300 and status not in _PASSING

    def feed(self, data: bytes) -> Piece:
        """Accept the next bytes of an answer and reset the backoff; raises `LogMismatchError`."""
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
        """Report that the client closed a silent connection: it reconnects without backoff."""
        self._n_cuts = 0
        self._cut_since_s = None

    def cut(self, now_s: float, reason: str) -> float:
        """Report that a connection ended early; return the seconds to wait before the next one.

        Exponential backoff with jitter, 0.25 s to 10 s. Raises `UnreachableError` if no connection
        was ever answered, or if no byte arrived for `patience_s`.
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
    """Return whether this is the complete data of an event, not a part that text made look so.

    All data except `[DONE]` is a JSON object, and no proper suffix of a JSON object is another one.
    """
    if data == DONE:
        return True
    try:
        return isinstance(msgspec.json.decode(data), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def is_final(task: TaskResource) -> bool:
    """Return whether the task's status is final."""
    return task.status in {"succeeded", "failed", "cancelled"}
