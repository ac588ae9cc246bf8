"""Make many awkward files and try each: `python -m tests.field [--files N] [--seed S] [--only K]`.

Containers, codecs, reordering, groups of pictures, rates and what is done to the file afterwards
are drawn from the seed. Exit code 1: some file has a wrong picture, index or count.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from streamproc.source.errors import SourceEmptyError, SourceError
from tests.data.clips import Recipe
from tests.field import files
from tests.field.files import Maker
from tests.field.oracle import decode
from tests.field.trial import FrameMissingError, faults

_CONTAINERS = {
    "mp4": ("libx264", "libx265", "mpeg4", "libsvtav1"),
    "mov": ("libx264", "mjpeg", "mpeg4"),
    "mkv": ("libx264", "libx265", "libvpx-vp9", "mpeg4", "ffv1", "mjpeg"),
    "webm": ("libvpx", "libvpx-vp9"),
    "ts": ("libx264", "libx265", "mpeg2video"),
    "mpg": ("mpeg2video", "mpeg1video"),
    "avi": ("mpeg4", "libx264", "mjpeg", "msmpeg4v2", "huffyuv"),
    "flv": ("flv", "libx264"),
    "h264": ("libx264",),
    "hevc": ("libx265",),
}
_FORMATS = {"ts": "mpegts", "mpg": "mpeg", "mkv": "matroska"}
_INTRA = ("mjpeg", "ffv1", "huffyuv")


def recipe(random: Random) -> Recipe:
    container = random.choice(list(_CONTAINERS))
    codec = random.choice(_CONTAINERS[container])
    gop, n_frames = random.choice((5, 12, 30)), random.randint(20, 48)
    rate = 25 if codec in {"mpeg1video", "mpeg2video"} else random.choice((10, 25, 30))
    options, b_frames = _options(random, codec, gop)
    pts = None
    if container in {"mp4", "mkv"} and random.random() < 0.3:
        steps = [random.choice((20, 33, 41, 120, 900)) for _ in range(n_frames)]
        pts = tuple(sum(steps[:at]) for at in range(n_frames))
    return Recipe(
        f"made.{container}",
        codec=codec,
        n_frames=n_frames,
        rate=rate,
        gop=1 if codec in _INTRA else gop,
        b_frames=b_frames,
        options=options,
        pts=pts,
        format=_FORMATS.get(container),
        pix_fmt="yuv422p" if codec == "huffyuv" else None,
    )


def _options(random: Random, codec: str, gop: int) -> tuple[dict[str, str], int]:
    n_b = random.choice((0, 0, 1, 2, 3))
    if codec == "libx264":
        pyramid = random.choice(("none", "normal"))
        is_open = random.choice((0, 1))
        text = f"bframes={n_b}:b-adapt=0:b-pyramid={pyramid}:keyint={gop}:scenecut=0"
        return {"x264-params": f"{text}:open-gop={is_open}"}, n_b
    if codec == "libx265":
        return {"x265-params": f"keyint={gop}:bframes={n_b}:log-level=none"}, n_b
    if codec == "libsvtav1":
        return {"preset": "12", "svtav1-params": "lp=1"}, 0
    if codec.startswith("libvpx"):
        return {"cpu-used": "8", "deadline": "realtime"}, 0
    return {}, min(n_b, 2) if codec in {"mpeg4", "mpeg1video", "mpeg2video"} else 0


def changed(random: Random, plain: Recipe) -> tuple[str, Maker]:
    """Return what is done to the file, by name, and its maker."""
    kinds: dict[str, Callable[[], Maker]] = {
        "as it is": lambda: lambda folder: files.made(folder, plain)
    }
    if plain.name.endswith(".ts"):
        kinds |= {
            "joined": lambda: files.joined(plain, random.randint(2, 3)),
            "cut": lambda: files.cut(plain, random.uniform(0.1, 0.6)),
        }
        if "bframes=0" in plain.options.get("x264-params", ""):
            kinds["jitter"] = lambda: files.retimed(plain, files.jittered)
        kinds["spike"] = lambda: files.retimed(plain, files.with_a_spike)
    if plain.name.endswith(".mpg"):
        kinds["joined"] = lambda: files.joined(plain, 2)
    if plain.name.endswith(".mp4") and plain.codec == "libx264" and plain.pts is None:
        first = random.randint(1, plain.n_frames // 3)
        length = random.randint(3, plain.n_frames // 3)
        second = random.randint(first + length, plain.n_frames - 4)
        parts = [(first, length)], [(first, length), (second, plain.n_frames - second)]
        kinds["edited"] = lambda: files.edited(*random.choice(parts), recipe=plain)
    if plain.name.endswith(".mp4"):
        kinds["no stss"] = lambda: files.without_keyframes(plain)
    name = random.choice(list(kinds))
    return name, kinds[name]()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the file of this number alone")
    args = parser.parse_args()
    numbers = range(args.files) if args.only is None else [args.only]
    started_s, tried, n_wrong = time.monotonic(), Counter[str](), 0
    for number in numbers:
        random = Random(f"{args.seed}/{number}")
        plain = recipe(random)
        what, make = changed(random, plain)
        with tempfile.TemporaryDirectory(prefix="framewire-field-") as name:
            path = Path(name) / f"tried-{args.seed}-{number}{Path(plain.name).suffix}"
            try:
                path.write_bytes(make(Path(name)))
            except (OSError, ValueError) as exc:  # this libav writes no such file
                tried[f"not made: {type(exc).__name__}"] += 1
                continue
            tried[f"{path.suffix} {plain.codec}, {what}"] += 1
            timed = what in {"as it is", "no stss"} and plain.format not in {"mpegts", "mpeg"}
            try:
                wrong = tuple(faults(path, times_as_told=timed))
            except SourceEmptyError as exc:  # cut behind its only keyframe
                wrong = () if not len(decode(path).pictures) else (str(exc),)
            except (SourceError, FrameMissingError) as exc:
                wrong = (f"{type(exc).__name__}: {exc}",)
            if args.only is not None:
                print(plain, what)
                Path(path.name).write_bytes(path.read_bytes())
        for fault in wrong:
            print(f"{number}: {path.suffix} {plain.codec}, {what}: {fault}", flush=True)
        n_wrong += bool(wrong)
    for what, n in sorted(tried.items()):
        print(f"{n:5} {what}")
    print(f"{n_wrong} of {len(numbers)} files wrong, {time.monotonic() - started_s:.0f} s")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
