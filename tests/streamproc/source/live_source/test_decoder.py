"""Packets of a camera decoded in a real child: every picture once, in its slot, as it was coded."""

import mmap
import os
import signal
import socket
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from models.sizes import InputFit, SourceShape
from streamproc.source.errors import (
    DecoderCrashedError,
    SourceTooLargeError,
    SourceUnsupportedError,
)
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.rtp.depacketizer import AccessUnit, Depacketizer
from streamproc.source.live.rtsp.sdp import parse
from streamproc.source.live_source import decoder as live_decoder
from streamproc.source.live_source.decoder import (
    Decoded,
    Described,
    LiveDecoder,
    decoded_size,
)
from streamproc.source.sandbox import decoder_client, ipc
from streamproc.source.types import FrameOutputs
from tests.live.clip import Clip, clip, read_number

POLICY = FetchPolicy()
BOTH = FrameOutputs(full=True, scaled=InputFit(96, 56, letterbox=True))


def all_of_them(_: Described) -> bool:
    return True


def units(shown: Clip) -> list[AccessUnit]:
    """The clip's pictures, as the depacketizer gives them to a decoder."""
    found = Depacketizer(parse(f"v=0\r\n{shown.description()}".encode(), "a").track, is_udp=False)
    out: list[AccessUnit] = []
    sequence = 0
    for number, payloads in enumerate(shown.pictures):
        for place, payload in enumerate(payloads, 1):
            marker = 128 if place == len(payloads) else 0
            head = bytes([128, shown.payload_type | marker]) + sequence.to_bytes(2, "big")
            head += (90_000 // shown.fps * number).to_bytes(4, "big") + bytes(4)
            out += found.push(head + payload, number / shown.fps)
            sequence += 1
    assert len(out) == len(shown.pictures)
    return out


@pytest.fixture
def decoder(processes: None) -> Iterator[LiveDecoder]:
    with LiveDecoder("h264", BOTH, POLICY) as one:
        yield one


def numbers(found: list[Decoded] | None) -> list[int]:
    out = []
    for described, slot, _ in found or []:
        assert slot is not None
        assert slot.image is not None
        assert read_number(slot.image) == described.number
        out.append(described.number)
        slot.release()
    return out


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_each_picture_comes_out_with_its_own_number(processes: None, codec: str) -> None:
    shown: list[int] = []
    with LiveDecoder(codec, BOTH, POLICY) as decoder:
        for number, unit in enumerate(units(clip(codec, n_pictures=30))):
            shown += numbers(decoder.decode(number, unit.data, all_of_them))
        shown += numbers(decoder.drain(all_of_them))
        assert decoder.shape == SourceShape(192, 112)
    assert shown == list(range(30))


def test_both_images_are_of_the_picture(decoder: LiveDecoder) -> None:
    (unit, *_) = units(clip(n_pictures=30))
    found = decoder.decode(0, unit.data, all_of_them)
    assert found is not None
    (one,) = found
    assert one.described == Described(0, SourceShape(192, 112), is_key=True, is_damaged=False)
    assert one.slot is not None
    image, scaled = one.slot.image, one.slot.scaled
    assert image is not None
    assert scaled is not None
    assert (image.shape, scaled.shape) == ((112, 192, 3), (56, 96, 3))
    assert np.abs(image[::2, ::2].astype(int) - scaled).mean() < 12


def test_a_still_is_a_copy_of_a_picture_that_asked_for_one(processes: None) -> None:
    large = clip("h264", (1280, 720), n_pictures=10)
    answers = iter([True, False, True])
    with LiveDecoder("h264", BOTH, POLICY, lambda: next(answers)) as decoder:
        found: list[Decoded] = []
        for number, unit in enumerate(units(large)[:3]):
            found += decoder.decode(number, unit.data, all_of_them) or []
    assert [one.still is not None for one in found] == [True, False, True]
    images = [one.slot.image[::4, ::4].astype(int) for one in found if one.slot is not None]  # type: ignore[index] # `BOTH`
    for number, (_, _, still) in enumerate(found):
        if still is not None:
            assert still.shape == (540, 960, 3)
            away = [np.abs(image - still[::3, ::3]).mean() for image in images]
            assert away[number] < 12
            assert away[number] == min(away)  # a copy: not of the last picture


def test_only_wanted_pictures_take_a_slot_and_no_slot_is_written_twice(
    decoder: LiveDecoder,
) -> None:
    held: list[Decoded] = []
    coded = units(clip(n_pictures=60))
    for number, unit in enumerate(coded[:40]):
        held += decoder.decode(number, unit.data, lambda described: described.number % 2 == 1) or []
    kept = [one for one in held if one.slot is not None]
    assert [one.described.number for one in held] == list(range(40))
    assert [one.described.number for one in kept] == [2 * n + 1 for n in range(len(kept))]
    assert 6 <= len(kept) <= 16  # all slots
    for described, slot, _ in kept:
        assert slot is not None
        assert slot.image is not None
        assert read_number(slot.image) == described.number
        slot.release()
        slot.release()
    assert numbers(decoder.decode(50, coded[50].data, all_of_them, is_fresh=True)) == [50]


def test_what_is_no_picture_is_refused_and_the_next_keyframe_shows(decoder: LiveDecoder) -> None:
    first, second = units(clip(n_pictures=30))[0], units(clip(n_pictures=30))[25]
    assert numbers(decoder.decode(0, first.data, all_of_them)) == [0]
    assert decoder.decode(1, b"\0\0\0\1\x65" + bytes(range(200)), all_of_them) is None
    assert numbers(decoder.decode(25, second.data, all_of_them, is_fresh=True)) == [25]


def test_a_picture_of_another_size_is_described_and_not_painted(decoder: LiveDecoder) -> None:
    small, large = (units(clip("h264", size))[0] for size in ((192, 112), (320, 176)))
    assert numbers(decoder.decode(0, small.data, all_of_them)) == [0]
    found = decoder.decode(1, large.data, all_of_them, is_fresh=True)
    assert found is not None
    (one,) = found
    assert (one.described.shape, one.slot) == (SourceShape(320, 176), None)
    assert decoder.shape == SourceShape(192, 112)


def test_a_picture_beyond_the_limit_ends_the_decoder(processes: None) -> None:
    unit = units(clip())[0]
    with (
        LiveDecoder("h264", BOTH, FetchPolicy(max_pixels=192 * 112 - 1)) as decoder,
        pytest.raises(SourceTooLargeError, match="192x112"),
    ):
        decoder.decode(0, unit.data, all_of_them)


def test_a_keyframe_is_decoded_alone_or_refused(processes: None) -> None:
    first, second = units(clip(n_pictures=30))[:2]
    assert decoded_size("h264", first.data, POLICY) == (192, 112)
    with pytest.raises(SourceUnsupportedError, match="could not be decoded"):
        decoded_size("h264", second.data, POLICY)


def _kill(decoder: LiveDecoder) -> None:
    os.kill(decoder.pid, signal.SIGKILL)


@pytest.mark.parametrize("ends", [_kill, LiveDecoder.close])
def test_a_child_that_is_gone_raises(
    decoder: LiveDecoder, ends: Callable[[LiveDecoder], None]
) -> None:
    unit = units(clip())[0]
    decoder.decode(0, unit.data, all_of_them)
    ends(decoder)
    with pytest.raises(DecoderCrashedError):
        decoder.decode(1, unit.data, all_of_them, is_fresh=True)


def _picture(width: int, height: int) -> ipc.LivePicture:
    return ipc.LivePicture(0, width, height, (1, 1), is_key=True, is_damaged=False)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([_picture(8, 8)] * 65, "unexpected message"),
        ([ipc.Started(isolated=True)], "unexpected message"),
        ([_picture(9000, 9000)], "invalid frame size"),
        ([_picture(8000, 8000)], "invalid frame size"),
        ([ipc.Failed("no such code", "a\x1b\nb")], r"^a b$"),
        ([], "no progress"),
    ],
)
def test_a_child_that_lies_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, answers: list[ipc.FromChild], reason: str
) -> None:
    """The policy allows 64 million pixels; 6 slots of so many do not fit into the frame pool."""
    ours, theirs = socket.socketpair()
    child = SimpleNamespace(bytes=ours, memory=mmap.mmap(-1, 1 << 20), pid=0)
    waiting = iter(answers)
    child.send = child.end = lambda *_: None
    child.receive = lambda timeout_s: next(waiting, None)
    monkeypatch.setattr(decoder_client, "take", lambda: child)
    monkeypatch.setattr(live_decoder, "STALL_S", 0.05)
    policy = FetchPolicy(max_pixels=64_000_000)
    with (
        ours,
        theirs,
        LiveDecoder("h264", BOTH, policy) as decoder,
        pytest.raises(DecoderCrashedError, match=reason),
    ):
        decoder.decode(0, b"", lambda _: False)


def reordered() -> list[Any]:
    """Packets of 20 pictures, in the order of decoding; `pts` is the place among what is shown."""
    coder: Any = av.CodecContext.create("libx264", "w")
    coder.width, coder.height, coder.pix_fmt, coder.framerate = 64, 64, "yuv420p", 25
    coder.time_base = Fraction(1, 25)
    coder.options = {"bf": "2", "g": "20", "b-adapt": "0", "preset": "fast"}
    packets = []
    for number in range(20):
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 12 * number, np.uint8), "rgb24")
        frame.pts = number
        packets += coder.encode(frame.reformat(format="yuv420p"))
    return [*packets, *coder.encode(None)]


def test_pictures_that_the_codec_reorders_come_out_as_they_are_shown(decoder: LiveDecoder) -> None:
    packets = reordered()
    sent = [int(packet.pts) for packet in packets]
    assert sent != sorted(sent)
    found: list[Decoded] = []
    shown: list[int] = []
    for packet in packets:
        found = decoder.decode(packet.pts, bytes(packet), all_of_them) or []
        found += decoder.drain(all_of_them) if packet is packets[-1] else []
        for described, slot, _ in found:
            assert slot is not None
            assert slot.image is not None
            assert abs(slot.image.mean() - 12 * described.number) < 6
            shown.append(described.number)
            slot.release()
    assert shown == list(range(20))


def test_a_fresh_keyframe_forgets_what_is_held_back(decoder: LiveDecoder) -> None:
    first, *others = reordered()
    seen = [
        one.described.number
        for packet in [first, *others[:4]]
        for one in decoder.decode(packet.pts, bytes(packet), all_of_them) or []
    ]
    assert len(seen) < 5
    after = decoder.decode(100, bytes(first), all_of_them, is_fresh=True) or []
    after += decoder.drain(all_of_them)
    assert [one.described.number for one in after] == [100]
