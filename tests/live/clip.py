"""Clips of the test camera: pictures that show their number as a barcode, packed by libav."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import groupby, islice

import av
import numpy as np

from streamproc.source.live.rtsp.sdp import CODECS
from tests.live.muxer import rtp_muxer

N_BITS = 8
N_PICTURES = 1 << N_BITS
_BLOCK = 16
_NAMES = {codec: name for name, codec in CODECS.items()}


@dataclass(frozen=True)
class Clip:
    """A clip whose picture n shows the number n, made when its pictures are first asked for.

    With `path`, it shows every `step`-th picture of that video file instead, with the number over
    it if it `is_numbered`.
    """

    codec: str
    size: tuple[int, int]
    fps: int
    gop: int
    n_pictures: int
    has_keyframes: bool = True
    path: str | None = None
    step: int = 1
    is_numbered: bool = False

    @property
    def pictures(self) -> tuple[tuple[bytes, ...], ...]:
        """Of each, the payloads of its packets in order; the last one has the marker."""
        made = _pictures(replace(self, has_keyframes=True))
        if self.has_keyframes:
            return made
        return tuple(one for number, one in enumerate(made) if number % self.gop)

    @property
    def payload_type(self) -> int:
        return 26 if self.codec == "mjpeg" else 96

    def description(self) -> str:
        """The clip's part of a session description."""
        number = self.payload_type
        return (
            f"m=video 0 RTP/AVP {number}\r\na=rtpmap:{number} {_NAMES[self.codec]}/90000\r\n"
            f"a=framerate:{self.fps}\r\na=control:trackID=0\r\n"
        )

    def without_keyframes(self) -> "Clip":
        """Return the clip with all pictures but those that decoding can begin at."""
        return replace(self, has_keyframes=False)


def clip(
    codec: str = "h264",
    size: tuple[int, int] = (192, 112),
    *,
    fps: int = 25,
    gop: int = 25,
    n_pictures: int = 100,
) -> Clip:
    """Return a clip; an equal one has the same pictures."""
    return Clip(codec, size, fps, gop, n_pictures)


def film(
    path: str,
    size: tuple[int, int],
    *,
    fps: int,
    gop: int,
    n_pictures: int,
    step: int = 1,
    is_numbered: bool = False,
) -> Clip:
    """Return a clip of the first pictures of a video file, every `step`-th of them."""
    return Clip("h264", size, fps, gop, n_pictures, path=path, step=step, is_numbered=is_numbered)


@cache
def _pictures(of: Clip) -> tuple[tuple[bytes, ...], ...]:
    fps, gop = of.fps, of.gop
    with rtp_muxer(of.codec, of.size, fps=fps, gop=gop, packet_bytes=1200) as muxer:
        sent, container, stream = muxer
        for number, picture in enumerate(_shown(of)):
            frame = picture.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    packets = [packet for packet in sent if not 192 <= packet[1] <= 223]
    pictures = [tuple(p[12:] for p in group) for _, group in groupby(packets, lambda p: p[4:8])]
    assert len(pictures) == of.n_pictures
    return tuple(pictures)


def read_number(image: np.ndarray) -> int:
    """Return the number that a picture shows; `image`: (height, width, 3) or luma, of any scale."""
    luma = image if image.ndim == 2 else image.mean(axis=2)
    top = luma[:_BLOCK, : N_BITS * _BLOCK]
    bits = [top[4:-4, n * _BLOCK + 4 : (n + 1) * _BLOCK - 4].mean() > 128 for n in range(N_BITS)]
    return sum(1 << n for n, bit in enumerate(bits) if bit)


def _shown(of: Clip) -> Iterator[av.VideoFrame]:
    if of.path is None:
        yield from (_picture(number, of.size) for number in range(of.n_pictures))
        return
    with av.open(of.path) as source:
        frames = islice(source.decode(video=0), 0, of.n_pictures * of.step, of.step)
        for number, frame in enumerate(frames):
            if not of.is_numbered:
                yield frame.reformat(*of.size)
                continue
            image = frame.reformat(*of.size, format="rgb24").to_ndarray()
            yield av.VideoFrame.from_ndarray(_with_number(image, number), format="rgb24")


def _picture(number: int, size: tuple[int, int]) -> av.VideoFrame:
    width, height = size
    image = np.full((height, width, 3), 90, np.uint8)
    image[_BLOCK:, :, 1] = np.arange(width, dtype=np.uint8)[None, :] + np.uint8(number)
    return av.VideoFrame.from_ndarray(_with_number(image, number), format="rgb24")


def _with_number(image: np.ndarray, number: int) -> np.ndarray:
    for bit in range(N_BITS):
        image[:_BLOCK, bit * _BLOCK : (bit + 1) * _BLOCK] = 255 * (number >> bit & 1)
    return image
