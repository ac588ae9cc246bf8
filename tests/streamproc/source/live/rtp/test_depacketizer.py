"""Pictures from packets that libav made, whole and with losses, repeats, wraps and restarts."""

import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.source.live.rtp.depacketizer import AccessUnit, Depacketizer
from streamproc.source.live.rtp.keyframe_gate import KeyframeGate, OnLoss
from streamproc.source.live.rtp.nal_units import MAX_BYTES
from streamproc.source.live.rtsp.sdp import Track
from tests.streamproc.source.live.rtp.muxed import FPS, GOP, Muxed, coded, decoded, muxed

CODECS = ["h264", "hevc", "mjpeg"]


def depacketized(
    track: Track, packets: Iterable[bytes], *, is_udp: bool = False
) -> list[AccessUnit]:
    """The units of all packets, 1 ms apart; the last one ends with a packet of a new picture."""
    machine = Depacketizer(track, is_udp=is_udp)
    units: list[AccessUnit] = []
    for number, packet in enumerate(packets):
        units += machine.push(packet, number / 1000)
    return units


def rtp_only(source: Muxed) -> list[bytes]:
    return [packet for packet in source.packets if packet[1] & 127 == source.track.payload_type]


def renumbered(packets: Iterable[bytes], *, sequence: int, timestamp: int) -> list[bytes]:
    """The same packets from other starts: modulo their width, as a sender counts."""
    found, first = [], None
    for packet in packets:
        number = int.from_bytes(packet[2:4], "big")
        time = int.from_bytes(packet[4:8], "big")
        first = first or (number, time)
        number = (number - first[0] + sequence) % (1 << 16)
        time = (time - first[1] + timestamp) % (1 << 32)
        found.append(packet[:2] + number.to_bytes(2, "big") + time.to_bytes(4, "big") + packet[8:])
    return found


def admitted(units: Iterable[AccessUnit], on_loss: OnLoss = OnLoss.SKIP) -> list[AccessUnit]:
    gate = KeyframeGate(on_loss)
    return [unit for unit in units if gate.admits(unit)]


@pytest.mark.parametrize("codec", CODECS)
def test_every_picture_of_libavs_packets_is_the_same(codec: str) -> None:
    source = muxed(codec)
    units = depacketized(source.track, source.packets)
    assert tuple(decoded(codec, coded(units))) == source.pictures
    assert not any(unit.is_damaged or unit.follows_loss for unit in units)
    keys = [number for number, unit in enumerate(units) if unit.is_key]
    assert keys == list(range(0, len(units), 1 if codec == "mjpeg" else GOP))
    steps = {b.timestamp - a.timestamp for a, b in pairwise(units)}
    assert steps == {90_000 // FPS}


@pytest.mark.parametrize("codec", CODECS)
def test_the_size_is_known_from_the_stream(codec: str) -> None:
    source = muxed(codec, 3, (322, 178) if codec != "mjpeg" else (328, 184))
    machine = Depacketizer(source.track, is_udp=False)
    assert machine.size is None
    for packet in source.packets:
        list(machine.push(packet, 0.0))
    assert machine.size == source.size


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_parameter_sets_of_the_description_are_put_before_keyframes(codec: str) -> None:
    source = muxed(codec, is_global=True)
    assert source.track.parameter_sets
    units = depacketized(source.track, source.packets)
    assert tuple(decoded(codec, coded(units))) == source.pictures
    later = [unit for unit in units if unit.is_key][1]
    start = units.index(later)
    assert tuple(decoded(codec, coded(units[start:]))) == source.pictures[start:]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_decoding_can_begin_at_any_keyframe(codec: str) -> None:
    source = muxed(codec)
    units = depacketized(source.track, source.packets)
    for start in range(len(units)):
        gate_units = admitted(units[start:])
        n_left_out = len(units) - start - len(gate_units)
        assert n_left_out == min(-start % GOP, len(units) - start)
        assert decoded(codec, coded(gate_units)) == list(source.pictures[start + n_left_out :])


@pytest.mark.parametrize("codec", CODECS)
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.002, 0.01, 0.1, 0.5]))
@settings(max_examples=20)
def test_lost_packets_never_give_a_wrong_picture(codec: str, seed: int, rate: float) -> None:
    source = muxed(codec)
    chance = random.Random(seed)
    kept = [packet for packet in source.packets if chance.random() >= rate]
    units = admitted(depacketized(source.track, kept))
    good = set(source.pictures)
    assert all(picture in good for picture in decoded(codec, coded(units)))


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_keyframe_whose_parameter_sets_never_came_is_none(codec: str) -> None:
    source = muxed(codec)
    packets = rtp_only(source)
    sets = next(n for n, packet in enumerate(packets) if not packet[1] & 128)
    units = admitted(depacketized(source.track, packets[sets + 1 :]))
    assert tuple(decoded(codec, coded(units))) == source.pictures[GOP:]


def test_a_loss_between_pictures_spares_the_keyframe_after_it() -> None:
    """Only whole pictures are missing: decoding goes on with the keyframe, not a GOP later."""
    source = muxed("h264")
    packets = rtp_only(source)
    ends = [number for number, packet in enumerate(packets) if packet[1] & 128]
    kept = packets[: ends[GOP - 3] + 1] + packets[ends[GOP - 1] + 1 :]
    units = admitted(depacketized(source.track, kept))
    assert len(units) == len(source.pictures) - 2
    wanted = source.pictures[: GOP - 2] + source.pictures[GOP:]
    assert tuple(decoded("h264", coded(units))) == wanted


def test_with_conceal_everything_after_the_first_keyframe_is_decoded() -> None:
    source = muxed("h264")
    packets = rtp_only(source)
    del packets[len(packets) // 2]
    units = depacketized(source.track, packets)
    gate = KeyframeGate(OnLoss.CONCEAL)
    assert sum(map(gate.admits, units)) == len(units) == len(source.pictures)
    skipping = KeyframeGate()
    n_left = sum(map(skipping.admits, units))
    assert 0 < skipping.n_damaged < GOP
    assert n_left + skipping.n_damaged == len(units)
    assert skipping.n_before_first == 0


@pytest.mark.parametrize("codec", CODECS)
def test_wraps_of_sequence_and_timestamp_do_not_show(codec: str) -> None:
    source = muxed(codec)
    packets = renumbered(rtp_only(source), sequence=(1 << 16) - 40, timestamp=(1 << 32) - 3 * 6000)
    units = depacketized(source.track, packets)
    assert tuple(decoded(codec, coded(units))) == source.pictures
    steps = {b.timestamp - a.timestamp for a, b in pairwise(units)}
    assert steps == {6000}
    assert not any(unit.follows_loss for unit in units)


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_a_sender_that_starts_anew_costs_one_gop_at_most(
    start: int, again: int, timestamp: int
) -> None:
    source = muxed("h264")
    packets = rtp_only(source)
    first = renumbered(packets, sequence=start, timestamp=0)
    second = renumbered(packets, sequence=again, timestamp=timestamp)
    units = admitted(depacketized(source.track, first + second))
    assert len(units) >= 2 * len(source.pictures) - GOP - 1
    assert set(decoded("h264", coded(units))) <= set(source.pictures)


@pytest.mark.parametrize("codec", CODECS)
@given(seed=st.integers(0, 1000), distance=st.integers(1, 40))
@settings(max_examples=15)
def test_datagrams_that_overtook_and_repeated_give_every_picture(
    codec: str, seed: int, distance: int
) -> None:
    source = muxed(codec)
    chance = random.Random(seed)
    packets = rtp_only(source)
    mixed = sorted(
        [(number + chance.uniform(0, distance), packet) for number, packet in enumerate(packets)]
        + [(number + chance.uniform(0, 90), packets[number]) for number in range(0, 200, 7)]
    )
    mixed.insert(0, (-1.0, packets[0]))
    machine = Depacketizer(source.track, is_udp=True)
    units = [unit for _, packet in mixed for unit in machine.push(packet, 0.0)]
    units += machine.tick(10.0)
    assert machine.n_lost == 0
    assert tuple(decoded(codec, coded(units))) == source.pictures


@given(seed=st.integers(0, 1000))
@settings(max_examples=15)
def test_datagrams_that_never_come_are_waited_for_a_short_time(seed: int) -> None:
    source = muxed("h264")
    chance = random.Random(seed)
    kept = [packet for packet in rtp_only(source) if chance.random() > 0.01]
    machine = Depacketizer(source.track, is_udp=True)
    units: list[AccessUnit] = []
    for number, packet in enumerate(kept):
        units += machine.push(packet, number / 1000)
        assert len(machine._order._waiting) <= 128  # type: ignore[union-attr]
    units += machine.tick(100.0)
    assert set(decoded("h264", coded(admitted(units)))) <= set(source.pictures)
    assert len(units) >= len(source.pictures) - 3


@pytest.mark.parametrize("marks", ["all", "none"])
def test_markers_that_are_wrong_cost_no_picture_but_the_first(marks: str) -> None:
    source = muxed("h264", options=(("slices", "4"),))
    packets = []
    for packet in rtp_only(source):
        marker = 128 if marks == "all" else 0
        packets.append(packet[:1] + bytes([packet[1] & 127 | marker]) + packet[2:])
    units = depacketized(source.track, packets)
    shown = decoded("h264", coded(admitted(units)))
    good = set(source.pictures)
    assert sum(picture in good for picture in shown) >= len(source.pictures) - GOP - 1
    if marks == "none":
        assert tuple(shown) == source.pictures[:-1]


def test_a_picture_that_never_ends_is_bounded() -> None:
    source = muxed("h264")
    machine = Depacketizer(source.track, is_udp=False)
    start = next(packet for packet in rtp_only(source) if packet[12] & 31 == 28)
    body = b"\x7c\x05" + bytes(60_000)
    n_bytes = 0
    for number in range(400):
        head = start[:2] + (number % 65536).to_bytes(2, "big") + start[4:12]
        payload = start[12:] if number == 0 else body
        list(machine.push(head[:1] + bytes([head[1] & 127]) + head[2:] + payload, 0.0))
        n_bytes = max(n_bytes, len(machine._pictures._data))  # type: ignore[union-attr]
    assert n_bytes <= MAX_BYTES + 60_004


@pytest.mark.parametrize("codec", CODECS)
@given(seed=st.integers(0, 1 << 30), n_packets=st.integers(1, 60), is_udp=st.booleans())
@settings(max_examples=40)
def test_any_packets_give_units_and_no_error(
    codec: str, seed: int, n_packets: int, is_udp: bool
) -> None:
    source = muxed(codec)
    packets, chance = rtp_only(source), random.Random(seed)
    machine = Depacketizer(source.track, is_udp=is_udp)
    now_s = 0.0
    for _ in range(n_packets):
        packet = bytearray(chance.choice(packets))
        for _ in range(chance.randrange(5)):
            packet[chance.randrange(min(40, len(packet)))] = chance.randrange(256)
        now_s += chance.uniform(0, 0.2)
        cut = chance.choice([0, chance.randint(0, len(packet))])
        for unit in machine.push(bytes(packet[: cut or None]), now_s):
            assert len(unit.data) <= MAX_BYTES + 100_000
        list(machine.tick(now_s))
        assert machine.size is None or min(machine.size) > 0
