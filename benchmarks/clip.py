"""A clip that is long enough to measure a rate: that a task starts must not count."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tests.data.clips import looped_clip

MIN_FRAMES = 800
"""A task of so many frames takes about 15 s on two cores; its start takes about 0.5 s."""


def long_clip(clip: Path, folder: Path, min_frames: int = MIN_FRAMES) -> Path:
    """Return the clip, or in `folder` one that repeats it until there are so many frames.

    Prints what is measured with.
    """
    n_frames = count_frames(clip)
    n_times = -(-min_frames // max(n_frames, 1))
    if n_times <= 1:
        print(f"clip: {clip.name}, {n_frames} frames", flush=True)
        return clip
    target = looped_clip(folder / f"{clip.stem}-{n_times}-times{clip.suffix}", n_times, clip)
    if count_frames(target) != n_times * n_frames:
        raise SystemExit(f"{clip} cannot be repeated: give a clip of {min_frames} frames or more")
    print(
        f"clip: {clip.name} {n_times} times in a row (at least {min_frames} frames are asked for), "
        f"{n_times * n_frames} frames",
        flush=True,
    )
    return target


def array(frame: av.VideoFrame, pixels: str) -> npt.NDArray[np.uint8]:
    """Return the frame in a pixel format of eight bits."""
    return frame.to_ndarray(format=pixels).astype(np.uint8, copy=False)


def count_frames(clip: Path) -> int:
    """Return how many frames a clip has, without decoding it."""
    with av.open(str(clip)) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))
