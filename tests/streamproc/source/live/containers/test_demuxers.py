"""Pictures of TS, FLV and fragmented MP4 that libav wrote: the same that libav reads from them."""

import random
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamproc.source.errors import SourceError
from streamproc.source.live.containers.demuxer import Demuxer
from streamproc.source.live.containers.flv import FlvStream
from streamproc.source.live.containers.fragmented_mp4 import FragmentedMp4
from streamproc.source.live.containers.transport_stream import TransportStream
from streamproc.source.live.rtp.depacketizer import AccessUnit
from tests.streamproc.source.live.containers.muxed import FPS, GOP, Muxed, muxed, shown

FRAGMENTS = (("movflags", "empty_moov+default_base_moof+frag_keyframe"),)
KINDS: dict[str, tuple[str, Callable[[str], Demuxer], tuple[tuple[str, str], ...]]] = {
    "ts": ("mpegts", TransportStream, ()),
    "flv": ("flv", FlvStream, ()),
    "mp4": ("mp4", FragmentedMp4, FRAGMENTS),
}
CASES = [("ts", "h264"), ("ts", "hevc"), ("flv", "h264"), ("mp4", "h264"), ("mp4", "hevc")]


def written(kind: str, codec: str, **more: object) -> Muxed:
    container, _, options = KINDS[kind]
    return muxed(container, codec, options=options, **more)


def demuxed(
    kind: str, data: bytes, cuts: list[int] | None = None
) -> tuple[Demuxer, list[AccessUnit]]:
    demuxer = KINDS[kind][1]("cam")
    units: list[AccessUnit] = []
    for number, (start, end) in enumerate(pairwise(sorted({0, *(cuts or ()), len(data)}))):
        units += demuxer.push(data[start:end], float(number))
    units += demuxer.end(0.0)
    return demuxer, units


def times_s(demuxer: Demuxer, units: list[AccessUnit]) -> list[float]:
    return [unit.timestamp / demuxer.clock_hz for unit in units]


@pytest.mark.parametrize(("kind", "codec"), CASES)
@pytest.mark.parametrize("b_frames", [0, 2])
def test_each_picture_is_the_one_that_libav_reads(kind: str, codec: str, b_frames: int) -> None:
    source = written(kind, codec, b_frames=b_frames, with_sound=kind != "mp4")
    demuxer, units = demuxed(kind, source.data)
    assert demuxer.codec == codec
    assert demuxer.size == (176, 144)
    offset = times_s(demuxer, units)[0] - source.times_s[0]
    assert times_s(demuxer, units) == pytest.approx([t + offset for t in source.times_s], abs=1e-3)
    assert [unit.is_key for unit in units] == list(source.keys)
    assert not any(unit.is_damaged or unit.follows_loss for unit in units)
    assert shown(codec, [unit.data for unit in units]) == list(source.pictures)


@pytest.mark.parametrize(("kind", "codec"), CASES)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(seed=st.integers(0, 1 << 30), n_cuts=st.integers(0, 400))
def test_how_the_bytes_are_cut_does_not_matter(
    kind: str, codec: str, seed: int, n_cuts: int
) -> None:
    source = written(kind, codec)
    cuts = random.Random(seed).sample(range(len(source.data)), n_cuts)
    whole = [unit._replace(arrival_s=0) for unit in demuxed(kind, source.data)[1]]
    assert [unit._replace(arrival_s=0) for unit in demuxed(kind, source.data, cuts)[1]] == whole


@pytest.mark.parametrize(("kind", "codec"), CASES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(seed=st.integers(0, 1 << 30), n_faults=st.integers(1, 30))
def test_damaged_bytes_give_pictures_or_a_source_error(
    kind: str, codec: str, seed: int, n_faults: int
) -> None:
    chance = random.Random(seed)
    data = bytearray(written(kind, codec).data)
    for _ in range(n_faults):
        at = chance.randrange(len(data))
        match chance.randrange(3):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randrange(400)]
            case _:
                data[at:at] = chance.randbytes(chance.randrange(400))
    with suppress(SourceError):
        _, units = demuxed(kind, bytes(data))
        assert len(units) <= 40


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sets(st.integers(0, 300), min_size=1, max_size=12))
def test_a_missing_packet_of_a_transport_stream_marks_what_it_damages(missing: set[int]) -> None:
    """What is passed as whole is whole: each unmarked picture is one that was sent."""
    source = written("ts", "h264")
    packets = [source.data[at : at + 188] for at in range(0, len(source.data), 188)]
    gone = {number % len(packets) for number in missing} - {0, 1, 2, 3}
    kept = b"".join(packet for n, packet in enumerate(packets) if n not in gone)
    demuxer, units = demuxed("ts", kept)
    sent = {unit.data for unit in demuxed("ts", source.data)[1]}
    for unit in units:
        assert unit.is_damaged or unit.data in sent
    video = [n for n in gone if int.from_bytes(packets[n][1:3], "big") & 0x1FFF == 256]
    # The last picture's end, and more than 15 packets in a row, cannot be told from nothing.
    if len([n for n in video if n < len(packets) - 8]) > 0:
        assert demuxer.n_lost > 0
        assert any(unit.is_damaged or unit.follows_loss for unit in units)


def test_times_of_a_transport_stream_go_on_over_the_wrap_of_their_clock() -> None:
    source = written("ts", "h264")
    demuxer = TransportStream("cam")
    start = (1 << 33) - 90_000
    data = bytearray(source.data)
    for at in range(0, len(data), 188):
        head = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        if data[at + 1] & 0x40 and data[head : head + 3] == b"\0\0\1" and data[head + 7] & 0x80:
            time = (_ticks(data[head + 9 : head + 14]) + start) % (1 << 33)
            data[head + 9 : head + 14] = _field(time, data[head + 9] >> 4)
    units = [*demuxer.push(bytes(data), 0.0), *demuxer.end(0.0)]
    assert len(units) == 32
    assert units[-1].timestamp > 1 << 33
    steps = [b.timestamp - a.timestamp for a, b in pairwise(units)]
    assert set(steps) == {90_000 // FPS}


def _ticks(field: bytearray) -> int:
    a, b, c = field[0], int.from_bytes(field[1:3], "big"), int.from_bytes(field[3:5], "big")
    return (a >> 1 & 7) << 30 | b >> 1 << 15 | c >> 1


def _field(time: int, head: int) -> bytes:
    first = head << 4 | (time >> 30 & 7) << 1 | 1
    rest = ((time >> 15 & 0x7FFF) << 1 | 1) << 16 | (time & 0x7FFF) << 1 | 1
    return bytes([first]) + rest.to_bytes(4, "big")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_such_container_is_refused_within_bounds(kind: str) -> None:
    noise = random.Random(1).randbytes(20 << 20)
    with pytest.raises(SourceError, match="cam"):
        demuxed(kind, noise, cuts=[*range(0, len(noise), 64 * 1024)])


def test_keyframes_carry_their_parameter_sets() -> None:
    """A decoder can start at any of them."""
    for kind, codec in CASES:
        _, units = demuxed(kind, written(kind, codec).data)
        late = [unit.data for unit in units[GOP:]]
        assert shown(codec, late) == list(written(kind, codec).pictures[GOP:]), (kind, codec)
