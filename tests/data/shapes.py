"""Clips whose pixels are not square, or whose frames change their size."""

from fractions import Fraction
from pathlib import Path

import av

from tests.data import clips

WIDE, TALL = (160, 96), (96, 160)


def anamorphic(
    path: Path, ratio: Fraction, size: tuple[int, int] = WIDE, n_frames: int = 3
) -> Path:
    """Write a clip of pixels that are `ratio` times as wide as they are high."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.codec_context.sample_aspect_ratio = ratio
        for index in range(n_frames):
            frame = av.VideoFrame.from_ndarray(clips.picture(index, size), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def changing(folder: Path, ratio: Fraction) -> Path:
    """Write a transport stream of six wide frames, six tall ones and six wide ones."""
    parts = [
        anamorphic(folder / f"{number}.ts", ratio, size, 6).read_bytes()
        for number, size in enumerate((WIDE, TALL, WIDE))
    ]
    path = folder / "changing.ts"
    path.write_bytes(b"".join(parts))
    return path
