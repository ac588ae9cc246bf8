"""Times of packets are noted until the first frame is found, not for a whole video."""

from typing import Any

from av import Packet

from streamproc.source.video.frame_numbers import noting


def _packet(pts: int | None) -> Any:
    packet = Packet(b"data")
    packet.pts = pts
    return packet


def test_times_are_noted_until_it_is_over_and_every_packet_is_passed_on() -> None:
    packets = [_packet(pts) for pts in (3, None, 1, 2, 5, 4)]
    noted: list[int] = []
    over = iter([False] * 3 + [True])

    assert list(noting(iter(packets), noted, lambda: next(over))) == packets
    assert noted == [3, 1]


def test_without_an_end_all_times_are_noted() -> None:
    noted: list[int] = []

    assert len(list(noting(map(_packet, range(4)), noted, lambda: False))) == 4
    assert noted == [0, 1, 2, 3]
