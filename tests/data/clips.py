"""Small clips made on the spot: every one with its own trap for a frame counter."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np

Known = TypeVar("Known")

_QUICK = {"libx264": {"preset": "superfast"}, "libx265": {"preset": "superfast"}}
"""The order of frames and the keyframes are those of the usual preset."""
BUNDLED = Path(__file__).parents[2] / "console" / "data" / "pedestrians.mp4"


@dataclass(frozen=True)
class Recipe:
    """How to encode a clip; `pts` in 1/1000 s, None for a constant rate."""

    name: str
    codec: str = "libx264"
    n_frames: int = 60
    size: tuple[int, int] = (160, 96)
    rate: int = 25
    gop: int = 12
    b_frames: int = 0
    options: dict[str, str] = field(default_factory=dict)
    pts: tuple[int, ...] | None = None
    sound: str | None = None  # "first" or "last": order of the streams
    format: str | None = None
    pix_fmt: str | None = None
    muxer: dict[str, str] = field(default_factory=dict)


def picture(index: int, size: tuple[int, int]) -> np.ndarray:
    """A picture that tells its index: moving bar, changing shade, some texture."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = (columns * 2 + index * 3) % 256
    image[..., 1] = (rows * 2 + index * 5) % 256
    image[..., 2] = (index * 4) % 256
    left = (index * 7) % (width - 16)
    image[8:24, left : left + 16] = 255
    return image


def write(path: Path, recipe: Recipe) -> Path:
    container = av.open(str(path), "w", format=recipe.format, options=dict(recipe.muxer))
    with container:
        sound = None
        if recipe.sound == "first":
            sound = container.add_stream("aac", rate=8000, layout="mono")
        options = _QUICK.get(recipe.codec, {}) | recipe.options
        video = container.add_stream(recipe.codec, rate=recipe.rate, options=options)
        assert isinstance(video, av.VideoStream)
        if recipe.codec == "libx264":  # with more threads it decides otherwise now and then
            video.codec_context.thread_count = 1
        video.width, video.height = recipe.size
        usual = "yuvj420p" if recipe.codec == "mjpeg" else "yuv420p"
        video.pix_fmt = recipe.pix_fmt or usual
        video.gop_size = recipe.gop
        video.codec_context.max_b_frames = recipe.b_frames
        if recipe.pts is not None:
            video.codec_context.time_base = Fraction(1, 1000)
            video.time_base = Fraction(1, 1000)
        if recipe.sound == "last":
            sound = container.add_stream("aac", rate=8000, layout="mono")
        for index in range(recipe.n_frames):
            frame = av.VideoFrame.from_ndarray(picture(index, recipe.size), format="bgr24")
            if recipe.pts is not None:
                frame.pts, frame.time_base = recipe.pts[index], Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = index, Fraction(1, recipe.rate)
            container.mux(video.encode(frame))
            if sound is not None:
                container.mux(sound.encode(_silence(index, recipe.rate)))
        container.mux(video.encode(None))
        if sound is not None:
            container.mux(sound.encode(None))
    return path


def _decode_times(packets: Sequence[Any]) -> list[int]:
    """Return every packet's decode time; Matroska does not tell those of the first ones."""
    if all(packet.dts is not None for packet in packets):
        return [packet.dts for packet in packets]
    shown = [packet.pts for packet in packets]
    ahead = max(late - early for late, early in zip(sorted(shown), shown, strict=True))
    return [time - ahead for time in sorted(shown)]


def _silence(index: int, rate: int) -> av.AudioFrame:
    n_samples = 8000 // rate
    samples = np.zeros((1, n_samples), np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 8000, index * n_samples, Fraction(1, 8000)
    return frame


def _jitter(n_frames: int) -> tuple[int, ...]:
    steps = np.random.default_rng(5).choice([20, 33, 40, 41, 120, 500], n_frames)
    return tuple(int(v) for v in np.cumsum(steps) - steps[0])


B_FRAMES = {"x264-params": "bframes=3:b-adapt=0:b-pyramid=normal:keyint=12:scenecut=0"}
OPEN_GOP = {"x264-params": "open-gop=1:bframes=3:b-adapt=0:keyint=12:scenecut=0"}

RECIPES = (
    Recipe("plain.mp4"),
    Recipe("b_frames.mp4", options=B_FRAMES),
    Recipe("open_gop.mp4", options=OPEN_GOP),
    Recipe("open_gop.mkv", options=OPEN_GOP),
    Recipe("open_gop.ts", options=OPEN_GOP, format="mpegts"),
    Recipe("vfr.mp4", pts=_jitter(60), options=B_FRAMES),
    Recipe("vfr.mkv", pts=_jitter(60)),
    Recipe("audio_first.mp4", sound="first", options=B_FRAMES),
    Recipe("audio_last.mkv", sound="last"),
    Recipe("mpeg4.avi", codec="mpeg4"),
    Recipe("mpeg4_b.avi", codec="mpeg4", b_frames=2),
    Recipe("mpeg4_b.mp4", codec="mpeg4", b_frames=2),
    Recipe("vp8.webm", codec="libvpx", options={"auto-alt-ref": "1", "lag-in-frames": "16"}),
    Recipe("vp9.webm", codec="libvpx-vp9", options={"cpu-used": "8", "deadline": "realtime"}),
    Recipe("mjpeg.avi", codec="mjpeg"),
    Recipe("mpeg2.mpg", codec="mpeg2video", b_frames=2, format="mpeg"),
    Recipe("hevc.mp4", codec="libx265", options={"x265-params": "keyint=12:log-level=none"}),
    Recipe("fragmented.mp4", options=OPEN_GOP, muxer={"movflags": "frag_keyframe+empty_moov"}),
    Recipe("one_frame.mp4", n_frames=1),
)


def rotate_mp4(source: Path, target: Path, degrees: int) -> Path:
    """Write a copy whose track header asks for a clockwise turn of 90, 180 or 270 degrees."""
    data = bytearray(source.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix is 40 bytes into the box body
    one = 0x10000
    a, b, c, d = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[degrees]
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    target.write_bytes(data)
    return target


def lie_about_frames(source: Path, target: Path, n_frames: int) -> Path:
    """Write a copy of an AVI whose headers (`avih`, `strh`) tell another number of frames."""
    data = bytearray(source.read_bytes())
    main = data.index(b"avih") + 8
    data[main + 16 : main + 20] = struct.pack("<I", n_frames)
    stream = data.index(b"strh") + 8
    data[stream + 32 : stream + 36] = struct.pack("<I", n_frames)
    target.write_bytes(data)
    return target


def faststart(source: Path, target: Path, **options: str) -> Path:
    """Remux with the index in front (or other muxer options)."""
    settings = options or {"movflags": "faststart"}
    with av.open(str(source)) as old, av.open(str(target), "w", options=settings) as new:
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    return target


def looped_clip(
    target: Path,
    n_times: int,
    source: Path = BUNDLED,
    *,
    format: str | None = None,  # noqa: A002 - the container's, as everywhere here
    muxer: dict[str, str] | None = None,
    filler_bytes: int = 0,
) -> Path:
    """Write a clip's pictures several times in a row, packet by packet: nothing is encoded anew.

    Its timestamps go on where the time before ended. Sound is left out. Filler is added to each
    packet of an H.264 clip from an MP4, which makes a large file of pictures that cost nothing.
    """
    settings = dict(muxer or {})
    filler = _filler(filler_bytes)
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", format=format, options=settings) as new,
    ):
        video = old.streams.video[0]
        copy, time_base = new.add_stream_from_template(video), _known(video.time_base)
        packets = [packet for packet in old.demux(video) if packet.size]
        decoded_at = _decode_times(packets)
        length = max(t + _known(p.duration) for t, p in zip(decoded_at, packets, strict=True))
        length -= decoded_at[0]
        data = [
            (bytes(p) + filler, p.pts, dts, p.is_keyframe, p.duration)
            for dts, p in zip(decoded_at, packets, strict=True)
        ]
        for n in range(n_times):
            for raw, pts, dts, key, duration in data:
                packet = av.Packet(raw)
                packet.stream = copy
                packet.time_base = time_base
                packet.dts = dts + n * length
                packet.pts = None if pts is None else pts + n * length
                packet.is_keyframe, packet.duration = key, duration
                new.mux(packet)
    return target


def _known(value: Known | None) -> Known:
    assert value is not None
    return value


def _filler(n_bytes: int) -> bytes:
    """Return an H.264 unit without meaning, its length before it."""
    if n_bytes == 0:
        return b""
    return n_bytes.to_bytes(4, "big") + b"\x0c" + b"\xff" * (n_bytes - 2) + b"\x80"


def cut_ts(source: Path, target: Path, n_lost: int) -> Path:
    """Write a copy of a transport stream without its first `n_lost` video packets."""
    data = source.read_bytes()
    with av.open(str(source)) as container:
        starts = [_known(packet.pos) for packet in container.demux(video=0) if packet.size]
    tables = starts[0] - starts[0] % 188  # the programme's tables come first
    target.write_bytes(data[:tables] + data[starts[n_lost] :])
    return target


def damage(
    source: Path, target: Path, n_frames: Sequence[int], edit: Callable[[bytes], bytes]
) -> Path:
    """Write a copy in which the packets with these decode positions went through `edit`."""
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    for order in n_frames:
        packet: Any = packets[order]
        edited = edit(bytes(packet))
        assert len(edited) == packet.size
        data[packet.pos : packet.pos + packet.size] = edited
    target.write_bytes(data)
    return target
