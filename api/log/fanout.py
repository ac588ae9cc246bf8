"""Fan-out at the live end of a log: new bytes are framed once and written to all subscribers.

A reader that has caught up registers its connection here, and its asyncio task sleeps. So another
reader costs one write per batch of records: no task wakes up, and no framing or counting is done
per reader. A slow reader is released to its task, which reads at its own pace and joins again;
nothing is queued for it here. No clock and no socket (sans-IO): connections are passed in.
"""

from collections.abc import Callable
from typing import Protocol

from api.log.task_tail import TailView

MAX_WAITING_BYTES = 64 * 1024
MAX_PUSH_BYTES = 256 * 1024


class WriteTransport(Protocol):
    """A connection with a response in chunked encoding, currently between two chunks."""

    def write(self, data: bytes) -> None: ...

    def is_closing(self) -> bool: ...

    def get_write_buffer_size(self) -> int: ...


class Source(Protocol):
    """The source of log bytes: `api.log.tail_cache.TailCache`."""

    def view(self, task: str) -> TailView | None: ...

    def read(self, task: str, offset: int, limit_bytes: int) -> bytes: ...


class Subscriber:
    """One connection at the live end of a task; `release` is called when it has to leave.

    `offset` is the next byte for the connection; it is valid only after it has left.
    """

    __slots__ = ("offset", "release", "task", "wire")

    def __init__(
        self, task: str, offset: int, wire: WriteTransport, release: Callable[[], None]
    ) -> None:
        self.task = task
        self.offset = offset
        self.wire = wire
        self.release = release


class _End:
    """A task's live end: all members have the log up to `offset`, last written at `pushed_s`."""

    __slots__ = ("members", "offset", "pushed_s")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.pushed_s = 0.0
        self.members: dict[Subscriber, None] = {}


class Broadcast:
    """The live ends of all tasks that have subscribers."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ends: dict[str, _End] = {}

    def n_members(self, task: str) -> int:
        """Return the number of connections at the task's live end."""
        end = self._ends.get(task)
        return 0 if end is None else len(end.members)

    def join(
        self, task: str, offset: int, wire: WriteTransport, release: Callable[[], None]
    ) -> Subscriber | None:
        """Add a connection that has the log up to `offset`; None unless `offset` is the live end.

        Call `leave` once for every member.
        """
        view = self._source.view(task)
        if view is None or view.end != offset:
            return None
        end = self._ends.get(task)
        if end is None:
            end = self._ends[task] = _End(offset)
        elif end.offset != offset:
            return None
        member = Subscriber(task, offset, wire, release)
        end.members[member] = None
        return member

    def leave(self, member: Subscriber) -> int:
        """Remove the connection; return the offset of its next byte."""
        end = self._ends.get(member.task)
        if end is not None and member in end.members:
            member.offset = end.offset
            del end.members[member]
            if not end.members:
                del self._ends[member.task]
        return member.offset

    def pushed_s(self, member: Subscriber) -> float:
        """Return when bytes were last written to the member, 0 for never."""
        end = self._ends.get(member.task)
        return 0.0 if end is None or member not in end.members else end.pushed_s

    def push(self, task: str, now_s: float) -> None:
        """Write the log's new bytes to all members; release those that must read by themselves.

        A member is released if its write buffer holds more than `MAX_WAITING_BYTES` or its
        connection is closing. All are released if the log is closed, if the source does not have
        the bytes, or if there are more than `MAX_PUSH_BYTES` of them.
        """
        end = self._ends.get(task)
        if end is None:
            return
        view = self._source.view(task)
        if view is None or view.start > end.offset or view.end - end.offset > MAX_PUSH_BYTES:
            self._release(end, list(end.members))
            return
        behind: list[Subscriber] = []
        if view.end > end.offset:
            data = self._data(task, end.offset, view.end)
            framed = b"%x\r\n%b\r\n" % (len(data), data)
            for member in end.members:
                wire = member.wire
                if wire.get_write_buffer_size() > MAX_WAITING_BYTES or wire.is_closing():
                    behind.append(member)
                else:
                    wire.write(framed)
            self._release(end, behind)
            end.offset = view.end
            end.pushed_s = now_s
        if view.closed:
            self._release(end, list(end.members))

    def stop(self) -> None:
        """Release all members."""
        for end in list(self._ends.values()):
            self._release(end, list(end.members))

    def _release(self, end: _End, members: list[Subscriber]) -> None:
        for member in members:
            member.offset = end.offset
            del end.members[member]
            member.release()
        if members and not end.members:
            del self._ends[members[0].task]

    def _data(self, task: str, offset: int, end: int) -> bytes:
        data = self._source.read(task, offset, end - offset)
        if len(data) == end - offset:
            return data
        pieces = [data]
        at = offset + len(data)
        while at < end:
            pieces.append(self._source.read(task, at, end - at))
            at += len(pieces[-1])
        return b"".join(pieces)
