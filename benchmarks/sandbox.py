"""What the decoder's sandbox costs: opening a video, and decoding one, with it and without.

    python -m benchmarks.sandbox [CLIP] [--opens N] [--rounds N]

Two nurseries in one process, one whose children keep all they have, take turns.
Prints medians and their ratios. Target: >= 0.98 of the speed without, both.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.stack import CLIP
from models.sizes import InputFit
from streamproc.contract.task_spec import Sampling
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import open_source
from streamproc.source.sandbox import decoder_client
from streamproc.source.types import FrameOutputs, SourceSpec

WITHOUT = "benchmarks.unconfined"
TARGET = 0.98
OUTPUTS = FrameOutputs(full=False, scaled=InputFit(416, 416))


def taker(module: str) -> Callable[[], decoder_client.DecoderProcess]:
    """Return `process.take` of a warm nursery that runs `module`."""
    decoder_client._RunningForkServer.MODULE = module  # noqa: SLF001
    fork_server = decoder_client._ForkServer()  # noqa: SLF001
    fork_server.take().end()
    return fork_server.take


def open_s(clip: Path) -> float:
    """Return the seconds to the first frame and the end."""
    begun = time.perf_counter()
    with _opened(clip) as source:
        next(iter(source)).release()
    return time.perf_counter() - begun


def decode_s(clip: Path) -> float:
    """Return the seconds from the first frame to the last."""
    with _opened(clip) as source:
        begun = time.perf_counter()
        for frame in source:
            frame.release()
        return time.perf_counter() - begun


def compared(
    takers: tuple[Callable[[], decoder_client.DecoderProcess], ...],
    measure: Callable[[Path], float],
    clip: Path,
    turns: int,
) -> list[float]:
    """Return the medians of measures taken in turns."""
    found: list[list[float]] = [[] for _ in takers]
    for turn in range(turns):
        for place in range(len(takers)):
            which = (place + turn) % len(takers)
            decoder_client.take = takers[which]
            found[which].append(measure(clip))
    return [statistics.median(values) for values in found]


def _opened(clip: Path) -> Any:
    spec = SourceSpec(clip.as_uri(), Sampling("interval", 1))
    return open_source(spec, FetchPolicy(allowed_file_roots=(clip.parent,)), OUTPUTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", nargs="?", type=Path, default=CLIP)
    parser.add_argument("--opens", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=25)
    args = parser.parse_args()
    clip = args.clip.resolve()
    takers = taker(decoder_client._RunningForkServer.MODULE), taker(WITHOUT)  # noqa: SLF001
    for what, measure, turns in (("open", open_s, args.opens), ("decode", decode_s, args.rounds)):
        confined, free = compared(takers, measure, clip, turns)
        print(
            f"{what}: {confined * 1000:.1f} ms with the sandbox, {free * 1000:.1f} ms without: "
            f"{free / confined:.3f} of the speed (target >= {TARGET})"
        )


if __name__ == "__main__":
    main()
