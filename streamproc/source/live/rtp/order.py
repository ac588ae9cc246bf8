"""Order of RTP packets: gaps, repeats and restarts; for UDP, packets that overtook others.

A sender may start its sequence anew, without a sign. Two packets in a row that follow each other
and not the old sequence are taken as that (RFC 3550, A.1).
"""

from typing import Final, NamedTuple

from streamproc.source.live.rtp.packet import SEQUENCES, RtpPacket

_HALF: Final = SEQUENCES // 2
MAX_WAITING: Final = 128
MAX_WAIT_S: Final = 0.1


class Ordered(NamedTuple):
    """A packet, and whether packets before it are missing."""

    packet: RtpPacket
    follows_loss: bool


class Sequence:
    """Order of a connection: what comes is in order, but cameras leave packets out."""

    def __init__(self) -> None:
        self.n_lost = 0
        self._next: int | None = None
        self._restart: int | None = None
        self._has_restarted = False
        self._sender: int | None = None

    @property
    def following(self) -> int | None:
        """The sequence number of the packet that comes next; None before the first."""
        return self._next

    def push(self, packet: RtpPacket, now_s: float) -> list[Ordered]:  # noqa: ARG002
        """Return the packets that are next: this one, or none if it is a repeat."""
        step = self.step(packet)
        if step is None:
            return []
        self.n_lost += step
        follows_loss = step > 0 or self._has_restarted or self.is_other_sender(packet)
        self._has_restarted = False
        self._sender = packet.sender
        self._next = (packet.sequence + 1) % SEQUENCES
        return [Ordered(packet, follows_loss)]

    def expired(self, now_s: float) -> list[Ordered]:  # noqa: ARG002
        """Nothing waits within a connection."""
        return []

    def step(self, packet: RtpPacket) -> int | None:
        """Return how many packets are missing before this one; None for a repeat or a late one."""
        if self._next is None or self.is_other_sender(packet):
            return 0
        step = (packet.sequence - self._next) % SEQUENCES
        if step < _HALF:
            self._restart = None
            return step
        if packet.sequence == self._restart:
            self._next, self._restart, self._has_restarted = packet.sequence, None, True
            return 0
        self._restart = (packet.sequence + 1) % SEQUENCES
        return None

    def is_other_sender(self, packet: RtpPacket) -> bool:
        return self._sender is not None and packet.sender != self._sender


class ReorderBuffer:
    """Order of datagrams: holds what came too early, for `MAX_WAIT_S` and `MAX_WAITING` packets."""

    def __init__(self) -> None:
        self._sequence = Sequence()
        self._waiting: dict[int, tuple[RtpPacket, float]] = {}

    @property
    def n_lost(self) -> int:
        return self._sequence.n_lost

    def push(self, packet: RtpPacket, now_s: float) -> list[Ordered]:
        """Return the packets that are next, in order."""
        if self._sequence.is_other_sender(packet):
            self._waiting.clear()
        step = self._sequence.step(packet)
        if step is None:
            return []
        if step == 0:
            found = self._sequence.push(packet, now_s)
        else:
            self._waiting.setdefault(packet.sequence, (packet, now_s))
            found = []
        found += self._in_turn(now_s)
        while len(self._waiting) > MAX_WAITING:
            found += self._give_up(now_s)
        return found + self.expired(now_s)

    def expired(self, now_s: float) -> list[Ordered]:
        """Return the packets that no longer wait for those before them."""
        found: list[Ordered] = []
        while any(now_s - since_s >= MAX_WAIT_S for _, since_s in self._waiting.values()):
            found += self._give_up(now_s)
        return found

    def _give_up(self, now_s: float) -> list[Ordered]:
        """Go on with the next packet that is there; those before it are lost."""
        following = self._sequence.following or 0
        distances = {(number - following) % SEQUENCES: number for number in self._waiting}
        nearest = min(distances)
        packet, _ = self._waiting.pop(distances[nearest])
        if nearest >= _HALF:
            return []
        return self._sequence.push(packet, now_s) + self._in_turn(now_s)

    def _in_turn(self, now_s: float) -> list[Ordered]:
        found: list[Ordered] = []
        while (number := self._sequence.following) is not None and number in self._waiting:
            packet, _ = self._waiting.pop(number)
            found += self._sequence.push(packet, now_s)
        return found
