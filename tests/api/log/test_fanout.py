"""The live end's rules one by one; the machine next door proves them together."""

import pytest

from api.log.fanout import MAX_PUSH_BYTES, MAX_WAITING_BYTES, Broadcast, Subscriber
from api.log.task_tail import TailView

TASK = "vt_1"
AT_S = 5.0


class MemorySource:
    """A log in memory, of which bytes before `start` are gone; given out a few bytes at a time."""

    def __init__(self, log: bytes = b"") -> None:
        self.log = log
        self.start = 0
        self.closed = False
        self.known = True

    def view(self, task: str) -> TailView | None:
        assert task == TASK
        return TailView(self.start, len(self.log), self.closed) if self.known else None

    def read(self, task: str, offset: int, limit_bytes: int) -> bytes:
        assert task == TASK
        return self.log[offset : offset + min(limit_bytes, 100)]


class MemoryWire:
    """A connection that keeps what is written, and whose peer may take nothing or be gone."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.waiting_bytes = 0
        self.gone = False
        self.released = False

    def write(self, data: bytes) -> None:
        assert not self.gone, "written to a connection that is gone"
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.gone

    def get_write_buffer_size(self) -> int:
        return self.waiting_bytes

    def release(self) -> None:
        self.released = True


def joined(broadcast: Broadcast, wire: MemoryWire, offset: int = 0) -> Subscriber:
    member = broadcast.join(TASK, offset, wire, wire.release)
    assert member is not None
    return member


def test_all_get_the_same_bytes_object_framed_once() -> None:
    source = MemorySource()
    broadcast = Broadcast(source)
    wires = [MemoryWire() for _ in range(3)]
    members = [joined(broadcast, wire) for wire in wires]
    source.log += b"x" * 250
    broadcast.push(TASK, AT_S)
    assert [wire.written for wire in wires] == [[b"fa\r\n" + b"x" * 250 + b"\r\n"]] * 3
    assert len({id(wire.written[0]) for wire in wires}) == 1
    assert [broadcast.pushed_s(member) for member in members] == [AT_S] * 3
    assert not any(wire.released for wire in wires)
    assert [broadcast.leave(member) for member in members] == [250] * 3


def test_nothing_new_writes_nothing() -> None:
    source = MemorySource(b"abc")
    broadcast = Broadcast(source)
    wire = MemoryWire()
    member = joined(broadcast, wire, 3)
    broadcast.push(TASK, AT_S)
    broadcast.push("vt_of_nobody", AT_S)
    assert wire.written == []
    assert broadcast.pushed_s(member) == 0


@pytest.mark.parametrize("trouble", ["full", "gone"])
def test_who_cannot_take_more_goes_on_alone_from_where_it_is(trouble: str) -> None:
    source = MemorySource()
    broadcast = Broadcast(source)
    slow, quick = MemoryWire(), MemoryWire()
    member = joined(broadcast, slow)
    joined(broadcast, quick)
    source.log += b"ab"
    broadcast.push(TASK, AT_S)
    slow.gone = trouble == "gone"
    slow.waiting_bytes = MAX_WAITING_BYTES + 1
    source.log += b"cd"
    broadcast.push(TASK, AT_S)
    assert slow.released
    assert broadcast.leave(member) == 2
    assert not quick.released
    assert quick.written == [b"2\r\nab\r\n", b"2\r\ncd\r\n"]


@pytest.mark.parametrize("why", ["forgotten", "evicted", "too much"])
def test_all_go_on_alone_when_the_bytes_are_not_to_be_had_here(why: str) -> None:
    source = MemorySource(b"abc")
    broadcast = Broadcast(source)
    wire = MemoryWire()
    member = joined(broadcast, wire, 3)
    source.known = why != "forgotten"
    source.start = 4 if why == "evicted" else 0
    source.log += b"x" * (MAX_PUSH_BYTES + 1 if why == "too much" else 5)
    broadcast.push(TASK, AT_S)
    assert wire.released
    assert wire.written == []
    assert broadcast.leave(member) == 3


def test_the_end_of_a_log_is_sent_and_releases_all() -> None:
    source = MemorySource()
    broadcast = Broadcast(source)
    wire = MemoryWire()
    member = joined(broadcast, wire)
    source.log, source.closed = b"end", True
    broadcast.push(TASK, AT_S)
    assert wire.written == [b"3\r\nend\r\n"]
    assert wire.released
    assert broadcast.leave(member) == 3


def test_nobody_joins_anywhere_but_at_the_live_end() -> None:
    source = MemorySource(b"abc")
    broadcast = Broadcast(source)
    wire = MemoryWire()
    for offset in (0, 2, 4):
        assert broadcast.join(TASK, offset, wire, wire.release) is None
    joined(broadcast, wire, 3)
    source.known = False
    assert broadcast.join(TASK, 3, wire, wire.release) is None


def test_a_stop_releases_all() -> None:
    broadcast = Broadcast(MemorySource(b"abc"))
    wire = MemoryWire()
    member = joined(broadcast, wire, 3)
    broadcast.stop()
    assert wire.released
    assert broadcast.leave(member) == 3
