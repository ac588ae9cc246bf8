"""What small files cost that announce much: memory and time of a worker that opens them.

    python -m benchmarks.bombs [--at-once N]

Every file is opened N times at once (a worker's slots), with the decoders of a real worker. Prints
the highest resident memory of this process, its nursery and its decoders together, the longest
time to an answer, and the answer. Targets: at most 2.5 GiB, and 30 s until the slot is free.
"""

import argparse
import base64
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.stack import CLIP
from streamproc.contract.task_spec import Sampling
from streamproc.source.errors import SourceError
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import open_source
from streamproc.source.sandbox import decoder_client
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.data.boxes import box, movie, table, track

MAX_MIB = 2560
MAX_S = 30.0
MIB = 1 << 20
_LOOK_EVERY_S = 0.01


def few_bytes_many_samples(n_tracks: int, n_samples: int) -> bytes:
    tables = table("stts", 1, n_samples, 512), table("stsz", 1, n_samples)
    return movie(*[track(*tables)] * n_tracks)


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = struct.pack(">I4s", 8 + len(content), b"udta") + content
    return movie(content)


def huge_picture(clip: bytes) -> bytes:
    """The clip with 65535 x 65535 in its sample description."""
    at = clip.index(b"avc1", clip.index(b"stsd")) + 28
    return clip[:at] + b"\xff\xff\xff\xff" + clip[at + 4 :]


def samples_of_no_size(clip: bytes) -> bytes:
    at = clip.index(b"stsz")
    return clip[: at + 8] + struct.pack(">II", 1, 50_000_000) + clip[at + 16 :]


def matroska_tracks(n_tracks: int) -> bytes:
    entry = bytes.fromhex("ae 8b d7 81 01 73 c5 81 01 83 81 01 86 80")
    tracks = entry * n_tracks
    size = (len(tracks) | 1 << 56).to_bytes(8, "big")
    head = base64.b16decode("1A45DFA3874282847765626D")
    segment = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"
    return head + segment + b"\x16\x54\xae\x6b" + size + tracks


def bombs(clip: bytes) -> dict[str, Callable[[], bytes]]:
    """Return the files by name; each is made when its turn comes."""
    return {
        "the clip itself": lambda: clip,
        "50 tracks of 20 million samples": lambda: few_bytes_many_samples(50, 20_000_000),
        "50 million samples in a good file": lambda: samples_of_no_size(clip),
        "2 million boxes": lambda: movie() + box("free") * 2_000_000,
        "50,000 tracks": lambda: movie(*[track()] * 50_000),
        "100,000 Matroska tracks": lambda: matroska_tracks(100_000),
        "100,000 boxes in each other": lambda: nested(100_000),
        "1 million fragments": lambda: movie() + box("moof") * 1_000_000,
        "a picture of 65535 x 65535": lambda: huge_picture(clip),
    }


class Memory(threading.Thread):
    """The highest resident memory of this process and all below it, shared pages left out."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.highest_bytes = 0
        self.is_over = threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self.is_over.wait(_LOOK_EVERY_S):
            total = 0
            for one in (me, *me.children(recursive=True)):
                try:
                    found = one.memory_info()
                except psutil.Error:
                    continue
                total += found.rss - found.shared
            self.highest_bytes = max(self.highest_bytes, total)


@contextmanager
def highest_memory() -> Iterator[Memory]:
    memory = Memory()
    memory.start()
    yield memory
    memory.is_over.set()
    memory.join()


def opened(path: Path) -> tuple[str, float]:
    """Decode the file to its end; return (what came of it, seconds)."""
    begun_s = time.perf_counter()
    policy = FetchPolicy(allowed_file_roots=(path.parent,))
    n_frames = 0
    try:
        spec = SourceSpec(path.as_uri(), Sampling("interval", 1))
        with open_source(spec, policy, FrameOutputs()) as source:
            for frame in source:
                frame.release()
                n_frames += 1
    except SourceError as exc:
        return exc.code, time.perf_counter() - begun_s
    return f"{n_frames} frames", time.perf_counter() - begun_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--at-once", type=int, default=4)
    n_at_once = parser.parse_args().at_once
    print(f"targets: at most {MAX_MIB} MiB in all, {MAX_S:g} s; {n_at_once} at once")
    print(f"{'file':<36}{'kB':>8}{'MiB':>7}{'s':>7}  what came of it")
    is_good = True
    with tempfile.TemporaryDirectory(prefix="framewire-bombs-") as folder:
        for name, make in bombs(CLIP.read_bytes()).items():
            path = Path(folder) / "bomb"
            path.write_bytes(make())
            with highest_memory() as memory, ThreadPoolExecutor(n_at_once) as threads:
                found = list(threads.map(opened, [path] * n_at_once))
            answers = ", ".join(Counter(answer for answer, _ in found))
            mib, seconds = memory.highest_bytes / MIB, max(s for _, s in found)
            size_kb = path.stat().st_size / 1000
            is_good = is_good and mib <= MAX_MIB and seconds <= MAX_S
            print(f"{name:<36}{size_kb:>8.0f}{mib:>7.0f}{seconds:>7.2f}  {answers}", flush=True)
    decoder_client.end_fork_server()
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
