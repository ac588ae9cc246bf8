"""How much of a clip's known text is read exactly, frame by frame, whole frames.

python benchmarks/ocr.py tests/data/text_signs.mp4 [--every 1] [--precision auto] [--text WORD ...]

A string counts when, case and spaces ignored, it is the text of one line of one frame. Prints each
string with the frames it was read in, and `read exactly: N of M`; exits 1 below --at-least.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

import av

from benchmarks.clip import array
from benchmarks.report import require_clip
from models.ocr import TextReader
from models.registry import Registry
from models.runtime import Runtime

TEXT_SIGNS = (
    "NOTICE",
    "DOUBLE",
    "PARKING",
    "PROHIBITED",
    "AT ALL TIMES",
    "Sports Centre",
    "Conference Centre",
    "Car Parks",
    "NO PARKING",
    "copy centre",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--every", type=int, default=1, help="read every n-th frame")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--text", action="append", help="an expected string (default: the signs')")
    parser.add_argument("--at-least", type=int, default=9)
    arguments = parser.parse_args()
    require_clip(arguments.clip)
    expected = arguments.text or TEXT_SIGNS

    runtime = Runtime(precision=arguments.precision)
    reader = TextReader(runtime, Registry().resolve("ocr"))
    reader.warm()
    seen: Counter[str] = Counter()
    n_frames, spent_s = 0, 0.0
    with av.open(str(arguments.clip)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i % arguments.every:
                continue
            image = array(frame, "bgr24")
            start_s = time.perf_counter()
            (lines,) = reader.read(image)
            spent_s += time.perf_counter() - start_s
            n_frames += 1
            seen.update({plain(line.text) for line in lines})

    for text in expected:
        print(f"{text:20} {seen[plain(text)]:4} frames")
    n_read = sum(seen[plain(text)] > 0 for text in expected)
    print(f"{n_frames} frames, {1000 * spent_s / n_frames:.0f} ms each in {runtime.precision}")
    print(f"read exactly: {n_read} of {len(expected)}")
    return 0 if n_read >= min(arguments.at_least, len(expected)) else 1


def plain(text: str) -> str:
    """Case and spaces do not count."""
    return "".join(text.split()).casefold()


if __name__ == "__main__":
    raise SystemExit(main())
