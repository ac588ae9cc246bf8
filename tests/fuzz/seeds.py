"""Good videos in many containers and codecs, small enough to be broken thousands of times."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tests.data import clips
from tests.data.clips import Recipe

_SIZE = (64, 48)
_N_FRAMES = 14
_MORE = (
    Recipe("mpeg4.mov", codec="mpeg4"),
    Recipe("prores.mov", codec="prores_ks", pix_fmt="yuv422p10le"),
    Recipe("ffv1.mkv", codec="ffv1"),
    Recipe("av1.mkv", codec="libsvtav1", options={"preset": "12", "svtav1-params": "lp=1"}),
    Recipe("flv1.flv", codec="flv"),
    Recipe("h264.flv", codec="libx264"),
    Recipe("wmv2.asf", codec="wmv2", format="asf"),
    Recipe("msmpeg4.avi", codec="msmpeg4"),
    Recipe("huffyuv.avi", codec="huffyuv", pix_fmt="yuv422p"),
    Recipe("mjpeg.mkv", codec="mjpeg"),
    Recipe("vp8.ivf", codec="libvpx", format="ivf"),
    Recipe("raw.y4m", codec="wrapped_avframe", format="yuv4mpegpipe"),
    Recipe("mpeg2.mxf", codec="mpeg2video", format="mxf"),
    Recipe("mpeg1.m1v", codec="mpeg1video", format="mpeg1video"),
    Recipe("raw.h264", codec="libx264", format="h264"),
    Recipe("raw.hevc", codec="libx265", format="hevc", options={"x265-params": "log-level=none"}),
    Recipe("sound.ts", format="mpegts", sound="last"),
    Recipe("theora.ogv", codec="libtheora", format="ogg"),
)


class Seed(NamedTuple):
    """A good file: its suffix tells people the container, the decoder looks at the bytes."""

    name: str
    content: bytes


def make() -> list[Seed]:
    """Return the seeds; those that this build of libav cannot write are left out."""
    with tempfile.TemporaryDirectory(prefix="framewire-seeds-") as folder:
        return [*_written(Path(folder))]


def _written(folder: Path) -> Iterator[Seed]:
    for recipe in (*clips.RECIPES, *_MORE):
        pts = recipe.pts and recipe.pts[:_N_FRAMES]
        n_frames = min(recipe.n_frames, _N_FRAMES)
        small = replace(recipe, size=_SIZE, n_frames=n_frames, pts=pts)
        try:
            path = clips.write(folder / recipe.name, small)
        except (OSError, ValueError):
            continue
        yield Seed(recipe.name, path.read_bytes())
