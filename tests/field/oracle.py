"""What a full decode shows: by ffmpeg's own program, which shares no code of ours."""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import imageio_ffmpeg
import numpy as np

SIZE = (64, 36)
"""Width and height of the grey pictures that are compared."""
_SHOWN = re.compile(r"\] n: *(\d+) pts: *\S+ pts_time:(\S+).*?iskey:([01])")
_SAME = 6.0
"""Mean difference of grey values: scalers differ by less, neighbouring frames by more."""

Pictures = np.ndarray[Any, np.dtype[np.int16]]


class Decoded(NamedTuple):
    """`pictures`: (n, height, width) grey; `times_s`: since the first, None where unknown."""

    pictures: Pictures
    times_s: tuple[float | None, ...]
    keys: tuple[int, ...]

    def place_of(self, picture: Pictures, guess: int) -> int | None:
        """Return which picture this is: `guess` unless another is clearly nearer."""
        if not len(self.pictures):
            return None
        apart = np.abs(self.pictures - picture).mean(axis=(1, 2))
        if guess < len(apart) and apart[guess] <= apart.min() + 1.0:
            return guess if apart[guess] < _SAME else None
        return int(apart.argmin())


@cache
def decode(path: Path) -> Decoded:
    """Decode every frame, in the order in which they are shown, not turned upright."""
    width, height = SIZE
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-noautorotate", "-threads", "1"),
        *("-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough"),
        *("-vf", f"showinfo,scale={width}:{height}:flags=area"),
        *("-pix_fmt", "gray", "-f", "rawvideo", "-"),
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    told = _SHOWN.findall(done.stderr.decode(errors="replace"))
    n_frames = len(done.stdout) // (width * height)
    assert len(told) == n_frames, (len(told), n_frames)
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(n_frames, height, width)
    times = [None if time == "NOPTS" else float(time) for _, time, _ in told]
    first = next((time for time in times if time is not None), 0.0)
    return Decoded(
        pictures.astype(np.int16),
        tuple(None if time is None else time - first for time in times),
        tuple(int(n) for n, _, is_key in told if is_key == "1"),
    )


def grey(frame: Any) -> Pictures:
    """Return libav's frame in the oracle's size."""
    width, height = SIZE
    small = frame.reformat(width, height, "gray", interpolation="AREA")
    lines = np.frombuffer(memoryview(small.planes[0]), np.uint8).reshape(height, -1)
    return lines[:, :width].astype(np.int16)
