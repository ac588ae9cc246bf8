"""RTP and RTCP headers, wraps, and the sizes that parameter sets announce."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.live.rtp.packet import (
    TIMESTAMPS,
    Bye,
    SenderReport,
    Unwrapper,
    is_rtcp,
    parse_rtcp,
    parse_rtp,
)
from streamproc.source.live.rtp.picture_size import h264_size, h265_size
from tests.streamproc.source.live.rtp.muxed import muxed


def test_csrc_extension_and_padding_are_left_out() -> None:
    head = bytes([0x80 | 0x20 | 0x10 | 2, 0x80 | 96, 1, 2, 0, 0, 1, 0, 0, 0, 0, 9])
    packet = head + bytes(8) + b"\xbe\xde\0\1" + bytes(4) + b"payload" + b"\0\0\3"
    found = parse_rtp(packet)
    assert found is not None
    assert bytes(found.payload) == b"payload"
    assert (found.payload_type, found.is_last) == (96, True)
    assert (found.sequence, found.timestamp, found.sender) == (258, 256, 9)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_packet_or_none(data: bytes) -> None:
    found = parse_rtp(data)
    assert found is None or 0 < len(found.payload) <= len(data) - 12
    assert len(list(parse_rtcp(data))) <= 20


def test_libavs_sender_report_has_the_time_of_now() -> None:
    muxed.cache_clear()
    before_s = time.time()
    reports = [packet for packet in muxed("h264", 3).packets if is_rtcp(packet)]
    found = [one for packet in reports for one in parse_rtcp(packet)]
    assert isinstance(found[0], SenderReport)
    assert before_s - 1 <= found[0].wall_s <= time.time() + 1


def test_a_compound_packet_that_ends_with_a_bye() -> None:
    report = bytes([0x80, 200, 0, 6]) + bytes(24)
    parts = report + bytes([0x81, 202, 0, 1]) + bytes(4) + bytes([0x81, 203, 0, 1]) + bytes(4)
    assert [type(part) for part in parse_rtcp(parts)] == [SenderReport, Bye]
    assert [type(part) for part in parse_rtcp(parts[:-1])] == [SenderReport]


@given(st.integers(0, 2**40), st.lists(st.integers(-(2**31) + 1, 2**31 - 1)))
def test_numbers_are_continued_over_wraps(start: int, steps: list[int]) -> None:
    unwrapped = Unwrapper(TIMESTAMPS)
    true, offset = start, start - unwrapped(start % TIMESTAMPS)
    for step in steps:
        true += step
        assert unwrapped.near(true % TIMESTAMPS) == true - offset
        assert unwrapped(true % TIMESTAMPS) == true - offset


@pytest.mark.parametrize("size", [(16, 16), (178, 146), (322, 178), (1920, 1080)])
@pytest.mark.parametrize(("codec", "parse"), [("h264", h264_size), ("hevc", h265_size)])
def test_sizes_as_libav_encodes_them(codec: str, parse: object, size: tuple[int, int]) -> None:
    if codec == "hevc" and size == (16, 16):
        size = (64, 48)
    sets = muxed(codec, 1, size, is_global=True).track.parameter_sets
    assert callable(parse)
    assert size in {parse(nal) for nal in sets}


@given(st.binary(max_size=200))
def test_any_parameter_set_gives_a_possible_size_or_none(data: bytes) -> None:
    for size in (h264_size(data), h265_size(data)):
        assert size is None or all(0 < side <= 65_536 for side in size)
