"""Stored pieces: what was recorded comes back, players take them, and nothing else is taken."""

import io
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.live.containers.transport_stream import TransportStream
from streamproc.source.live.recording import multipart, transport_stream
from streamproc.source.live.recording.picture import DamagedPieceError, RecordedPicture
from streamproc.source.live.recording.piece_maker import read_piece

_STEP = 3600
_BEGIN = (1 << 33) * 7 - 20 * _STEP  # the times wrap after 20 pictures
_OPTIONS = {
    "h264": {"bf": "2", "g": "12"},
    "hevc": {"x265-params": "log-level=none:bframes=2:keyint=12"},
    "mjpeg": {"huffman": "default"},
}


@cache
def recorded(codec: str, n_pictures: int = 40) -> tuple[RecordedPicture, ...]:
    """Return a clip with reordered pictures, the n-th of which is about 5n bright."""
    names = {"h264": "libx264", "hevc": "libx265", "mjpeg": "mjpeg"}
    encoder: Any = av.CodecContext.create(names[codec], "w")
    encoder.width, encoder.height = 96, 64
    encoder.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    encoder.time_base, encoder.framerate, encoder.options = Fraction(1, 25), 25, _OPTIONS[codec]
    encoder.thread_count = 1
    packets: list[Any] = []
    for number in range(n_pictures):
        picture = np.full((64, 96, 3), 5 * number, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=encoder.pix_fmt)
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return tuple(
        RecordedPicture(
            bytes(one), 100 + one.pts, _BEGIN + one.pts * _STEP, one.is_keyframe, 1000 + one.pts
        )
        for one in packets
    )


def stored(codec: str) -> bytes:
    pictures = recorded(codec)
    if codec == "mjpeg":
        return multipart.muxed(pictures)
    return transport_stream.muxed(codec, pictures)


def opened(data: bytes) -> Any:
    return av.open(io.BytesIO(data))


def brightness(data: bytes) -> list[int]:
    with opened(data) as container:
        shown = [one.to_ndarray(format="rgb24").mean() for one in container.decode(video=0)]
    return [round(one / 5) for one in shown]


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_libav_shows_pieces_and_pieces_that_were_joined(codec: str) -> None:
    whole = [*range(40)]
    assert brightness(stored(codec)) == whole
    assert brightness(stored(codec) * 2) == whole * 2


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_times_are_kept_and_decoding_is_never_after_showing(codec: str) -> None:
    with opened(stored(codec)) as container:
        packets = [one for one in container.demux(video=0) if one.size]
    shown = [one.pts - packets[0].pts for one in packets if one.pts is not None]
    assert shown == [one.shown - recorded(codec)[0].shown for one in recorded(codec)]
    assert shown != sorted(shown)
    decoded = [one.dts for one in packets if one.dts is not None]
    assert decoded == sorted(set(decoded))
    assert all((one.dts or 0) <= (one.pts or 0) for one in packets)
    assert [one.is_keyframe for one in packets] == [one.is_key for one in recorded(codec)]
    assert not any(one.is_corrupt for one in packets)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_our_reader_of_other_peoples_streams_takes_them_too(codec: str) -> None:
    demuxer = TransportStream("host")
    units = [*demuxer.push(stored(codec) * 2, 0.0), *demuxer.end(0.0)]
    assert (demuxer.codec, len(units)) == (codec, 80)
    assert not any(one.is_damaged for one in units)


PICTURES = st.lists(
    st.builds(
        RecordedPicture,
        st.binary(min_size=1, max_size=800).map(lambda data: b"\0\0\0\1\x41" + data),
        st.none() | st.integers(0, 1 << 40),
        st.integers(0, (1 << 33) - 1),
        st.booleans(),
        st.integers(0, 1 << 42),
    ),
    min_size=1,
    max_size=20,
)


@given(PICTURES, st.sampled_from(["h264", "hevc"]))
def test_what_was_recorded_comes_back_from_a_transport_stream(
    given_pictures: list[RecordedPicture], codec: str
) -> None:
    pictures = [given_pictures[0]._replace(is_key=True), *given_pictures[1:]]
    data = transport_stream.muxed(codec, pictures)
    assert len(data) % 188 == 0
    found_codec, found = read_piece(data)
    assert found_codec == codec
    assert [one._replace(data=b"") for one in found] == [one._replace(data=b"") for one in pictures]
    for one, other in zip(found, pictures, strict=True):  # the container wants delimiters
        assert one.data.removeprefix(transport_stream.DELIMITERS[codec]) == other.data


@given(PICTURES)
def test_what_was_recorded_comes_back_from_parts(pictures: list[RecordedPicture]) -> None:
    pictures = [one._replace(is_key=True) for one in pictures]
    assert read_piece(multipart.muxed(pictures)) == ("mjpeg", pictures)


@pytest.mark.parametrize("codec", ["h264", "mjpeg"])
@given(data=st.data())
def test_a_damaged_piece_is_refused_or_has_pictures_of_its_own_size(
    codec: str, data: st.DataObject
) -> None:
    """Whatever bytes are changed, cut out or doubled: a `DamagedPieceError`, or nothing larger."""
    whole = stored(codec)
    at = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(at, min(len(whole), at + 400)))
    between = data.draw(st.binary(max_size=400))
    broken = whole[:at] + between + whole[end:]
    try:
        _, pictures = read_piece(broken)
    except DamagedPieceError:
        return
    assert sum(len(one.data) for one in pictures) <= len(broken)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "unknown container"),
        (b"<html>", "unknown container"),
        (b"G" + bytes(187), "no codec"),
        (stored("h264")[: 188 * 2], "no codec"),
        (b"G" * 100, "cut within a packet"),
        (stored("h264")[: 188 * 3], "another size"),
        (stored("h264")[188 * 2 :], "no codec"),
        (stored("h264")[: 188 * 2] + stored("h264")[188 * 3 :], "packets of a piece are missing"),
        (stored("h264").replace(b"FWRC\x01", b"FWRC\x02"), "later version"),
        (stored("h264").replace(b"FWRC", b"FWRX"), "no mark"),
        (stored("mjpeg")[:-1], "another size"),
        (stored("mjpeg").replace(b"Length: ", b"Length: 9"), "another size"),
        (stored("mjpeg").replace(b"Frame-Index: 100", b"Frame-Index: 9999999999999"), "number"),
    ],
)
def test_poison_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DamagedPieceError, match=reason):
        read_piece(data)
