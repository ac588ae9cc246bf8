"""RTP as libav packs it, and what it decodes: nothing of it is our code."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import av
import numpy as np

from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.rtsp.sdp import CODECS, Track
from tests.live.muxer import rtp_muxer

GOP = 10
FPS = 15


@dataclass(frozen=True)
class Muxed:
    """`packets`: RTP and RTCP as sent. `pictures`: digests of the decoded frames, in order."""

    track: Track
    packets: tuple[bytes, ...]
    pictures: tuple[str, ...]
    size: tuple[int, int]
    slices: int = 1


@cache
def muxed(
    codec: str,
    n_frames: int = 32,
    size: tuple[int, int] = (176, 144),
    *,
    is_global: bool = False,
    options: tuple[tuple[str, str], ...] = (),
) -> Muxed:
    """Encode moving noise and pack it; `is_global`: parameter sets are in the track only."""
    with rtp_muxer(codec, size, fps=FPS, gop=GOP, packet_bytes=300, options=dict(options)) as (
        packets,
        container,
        stream,
    ):
        if is_global:
            stream.codec_context.flags |= av.codec.context.Flags.global_header
        sent = []
        for number in range(n_frames):
            sent += stream.encode(_frame(number, size, stream.pix_fmt))
        sent += stream.encode(None)
        for packet in sent:
            container.mux(packet)
        extradata = bytes(stream.codec_context.extradata or b"")
        units = [bytes(packet) for packet in sent]
        units[0] = (extradata if is_global else b"") + units[0]
        pictures = decoded(codec, units)
    sets = tuple(nal for nal in extradata.split(b"\0\0\0\1") if nal) if is_global else ()
    payload_type = 26 if codec == "mjpeg" else 96
    assert codec in CODECS.values()
    track = Track(codec, payload_type, 90_000, "", sets)
    return Muxed(track, tuple(packets), tuple(pictures), size)


def decoded(codec: str, units: Iterable[bytes]) -> list[str]:
    """Return a digest of each frame that libav makes of these packets."""
    context: Any = av.CodecContext.create(codec, "r")
    context.thread_count = 1
    context.flags |= av.codec.context.Flags.low_delay
    frames = []
    for unit in units:
        frames += context.decode(av.Packet(unit))
    frames += context.decode(None)
    return [_digest(frame) for frame in frames]


def coded(units: Iterable[AccessUnit]) -> list[bytes]:
    return [unit.data for unit in units]


def _frame(number: int, size: tuple[int, int], pixels: str) -> av.VideoFrame:
    width, height = size
    noise = np.random.default_rng(number).integers(0, 255, (height, width, 3), dtype=np.uint8)
    noise[:, : width // 2] //= 8
    frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format=pixels)
    frame.pts = number
    return frame


def _digest(frame: av.VideoFrame) -> str:
    return hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()[:16]
