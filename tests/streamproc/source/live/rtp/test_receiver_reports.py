"""Receiver reports: their fields, as a sender would read them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.live.rtp.packet import RtpPacket, SenderReport, parse_rtcp
from streamproc.source.live.rtp.receiver_reports import INTERVAL_S, ReceiverReports

HZ = 90_000


def packet(number: int, time_s: float = 0.0, sender: int = 9) -> RtpPacket:
    stamp = int(time_s * HZ) % (1 << 32)
    return RtpPacket(96, False, number % 65536, stamp, sender, memoryview(b"x"))


def fields(data: bytes | None) -> dict[str, int]:
    """The report's block; the parts of the compound packet are checked on the way."""
    assert data is not None
    flags, kind, n_words, _own = struct.unpack(">BBHI", data[:8])
    assert (flags, kind, n_words) == (0x81, 201, 7)
    flags, kind, n_words = struct.unpack(">BBH", data[32:36])
    assert (flags, kind) == (0x81, 202)
    assert len(data) == 32 + 4 * (n_words + 1)
    assert data[-1] == 0
    assert list(parse_rtcp(data)) == []
    sender, lost, highest, jitter, last, delay = struct.unpack(">IIIIII", data[8:32])
    return {"sender": sender, "fraction": lost >> 24, "lost": lost & 0xFFFFFF,
            "highest": highest, "jitter": jitter, "last": last, "delay": delay}  # fmt: skip


def after(reports: ReceiverReports, now_s: float) -> dict[str, int]:
    assert reports.due(now_s) is None
    return fields(reports.due(now_s + INTERVAL_S))


def test_none_before_the_first_packet_and_one_every_five_seconds() -> None:
    reports = ReceiverReports(HZ)
    assert reports.due(0.0) is None
    assert reports.due(100.0) is None
    reports.note(packet(1), 100.0)
    assert reports.due(100.0) is None
    assert reports.due(104.9) is None
    assert reports.due(105.0) is not None
    assert reports.due(105.1) is None
    assert reports.due(110.0) is not None


@given(st.integers(0, 65535), st.sets(st.integers(1, 198)))
def test_losses_are_counted_over_a_wrap(start: int, missing: set[int]) -> None:
    reports = ReceiverReports(HZ)
    for number in range(200):
        if number not in missing:
            reports.note(packet(start + number), 0.0)
    found = after(reports, 0.0)
    assert found["sender"] == 9
    assert found["lost"] == len(missing)
    assert found["fraction"] == len(missing) * 256 // 200
    assert found["highest"] == start + 199
    reports.note(packet(start + 200), 6.0)
    again = fields(reports.due(20.0))
    assert (again["lost"], again["fraction"]) == (len(missing), 0)


def test_jitter_is_that_of_the_arrivals() -> None:
    even, uneven = ReceiverReports(HZ), ReceiverReports(HZ)
    for number in range(500):
        even.note(packet(number, number / 50), 1.0 + number / 50)
        uneven.note(packet(number, number / 50), 1.0 + number / 50 + number % 2 / 100)
    assert after(even, 11.0)["jitter"] <= 1
    assert after(uneven, 11.0)["jitter"] == pytest.approx(HZ / 100, rel=0.05)


def test_the_senders_report_and_its_age_are_returned() -> None:
    reports = ReceiverReports(HZ)
    reports.note(packet(1), 0.0)
    reports.note_report(SenderReport(9, 1000.5, 7), 1.0)
    reports.note_report(SenderReport(8, 2000.5, 7), 1.0)
    found = after(reports, 0.0)
    assert found["last"] == ((1000 + 2_208_988_800) << 16 | 0x8000) & 0xFFFFFFFF
    assert found["delay"] == 4 * 65536


def test_another_sender_starts_anew() -> None:
    reports = ReceiverReports(HZ)
    for number in (1, 2, 500):
        reports.note(packet(number), 0.0)
    reports.note(packet(7, sender=4), 0.0)
    found = after(reports, 0.0)
    assert (found["sender"], found["lost"], found["highest"]) == (4, 0, 7)
