"""Containers as libav writes them, and its own packets of them: the oracle of the demuxers."""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import av
import numpy as np

FPS = 15
GOP = 10
_ENCODERS = {"h264": "libx264", "hevc": "libx265"}


@dataclass(frozen=True)
class Muxed:
    """`data`: the container. `times_s`, `keys`: of its pictures, in decode order, by libav."""

    data: bytes
    times_s: tuple[float, ...]
    keys: tuple[bool, ...]
    pictures: tuple[str, ...]
    """Digests of the frames that libav decodes, in the order in which they are shown."""


@cache
def muxed(
    container: str,
    codec: str,
    *,
    n_frames: int = 32,
    size: tuple[int, int] = (176, 144),
    b_frames: int = 0,
    with_sound: bool = False,
    options: tuple[tuple[str, str], ...] = (),
) -> Muxed:
    """Encode moving noise. `with_sound`: silence beside it."""
    file = io.BytesIO()
    encoder = {
        "h264": {"preset": "ultrafast", "bf": str(b_frames), "sc_threshold": "0"},
        "hevc": {
            "preset": "ultrafast",
            "x265-params": f"log-level=none:bframes={b_frames}:keyint={GOP}",
        },
    }[codec]
    with av.open(file, "w", format=container, options=dict(options)) as output:
        stream: Any = output.add_stream(_ENCODERS[codec], rate=FPS, options=encoder)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.gop_size, stream.thread_count = GOP, 1
        sound: Any = output.add_stream("aac", rate=44_100, layout="mono") if with_sound else None
        for number in range(n_frames):
            output.mux(stream.encode(_frame(number, size)))
            if sound is not None:
                output.mux(sound.encode(_silence(number)))
        output.mux(stream.encode(None))
    data = file.getvalue()
    times, keys = [], []
    with av.open(io.BytesIO(data), "r") as read:
        for packet in read.demux(video=0):
            if packet.size:
                assert packet.pts is not None
                times.append(float(packet.pts * packet.time_base))
                keys.append(packet.is_keyframe)
    with av.open(io.BytesIO(data), "r") as read:
        pictures = tuple(digest(frame) for frame in read.decode(video=0))
    assert len(times) == len(pictures) == n_frames
    return Muxed(data, tuple(times), tuple(keys), pictures)


def shown(codec: str, units: Iterable[bytes]) -> list[str]:
    """Return the digests of the frames of coded pictures, in the order in which they are shown."""
    context: Any = av.CodecContext.create(codec, "r")
    context.thread_count = 1
    frames = [frame for unit in units for frame in context.decode(av.Packet(unit))]
    return [digest(frame) for frame in (*frames, *context.decode(None))]


def digest(frame: av.VideoFrame) -> str:
    return hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()[:16]


def _frame(number: int, size: tuple[int, int]) -> av.VideoFrame:
    width, height = size
    noise = np.random.default_rng(number).integers(0, 255, (height, width, 3), dtype=np.uint8)
    noise[:, : width // 2] //= 8
    frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format="yuv420p")
    frame.pts = number
    return frame


def _silence(number: int) -> av.AudioFrame:
    n_samples = 44_100 // FPS
    frame = av.AudioFrame.from_ndarray(
        np.zeros((1, n_samples), dtype=np.float32), format="fltp", layout="mono"
    )
    frame.sample_rate, frame.pts = 44_100, number * n_samples
    return frame
