"""What is fetched of a video of an hour over HTTP, and how long it takes to the first frame.

    python -m benchmarks.hour [--minutes 60] [--mbit-per-s 4] [--server-mb-per-s 60] [--only KIND]

A clip of four seconds is repeated packet by packet in each container and served from this machine,
by a server that counts what it sends. A range of three seconds is asked for at the beginning and
near the end, and once more at the beginning of a server that knows no ranges. The frames are those
of a decoder child: no broker, no models. Wanted: near the end within 3 s and with 32 MB at most.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.counting_origin import Counting
from streamproc.allowed_hosts import PrivateHosts
from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import open_source
from streamproc.source.sandbox.decoder_client import end_fork_server
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.data import clips
from tests.streamproc.source.origin import serving

_CLIP_S: Final = 4
_RATE: Final = 25
_FRAGMENTS: Final = "frag_keyframe+empty_moov+default_base_moof"


@dataclass(frozen=True)
class Kind:
    """A container and how it is written; `ranged` False: asked for without ranges, too."""

    name: str
    suffix: str
    format: str | None
    muxer: dict[str, str]


KINDS: Final = (
    Kind("MP4", "mp4", None, {}),
    Kind("fragmented MP4, mfra", "mp4", None, {"movflags": _FRAGMENTS}),
    Kind("fragmented MP4, sidx", "mp4", None, {"movflags": f"{_FRAGMENTS}+global_sidx"}),
    Kind("fragmented MP4, no list", "mp4", None, {"movflags": f"{_FRAGMENTS}+skip_trailer"}),
    Kind("Matroska, cues", "mkv", None, {}),
    Kind("Matroska, no cues", "mkv", "matroska", {"live": "1"}),
    Kind("transport stream", "ts", "mpegts", {}),
)


@dataclass(frozen=True)
class Fetched:
    """`first_s`: to the first frame; bytes and requests: to the last one."""

    first_s: float
    first_bytes: int
    took_s: float
    n_bytes: int
    n_requests: int
    indexes: tuple[int, ...]

    def __str__(self) -> str:
        return (
            f"first frame {self.first_s:6.2f} s, {self.first_bytes / 1e6:7.1f} MB; "
            f"all {self.took_s:6.2f} s, {self.n_bytes / 1e6:7.1f} MB, {self.n_requests:3} requests"
        )


def fetched(sent: Counting, authority: str, start_s: float) -> Fetched:
    """Decode three seconds of the file that `authority` serves, all frames, and count."""
    policy = FetchPolicy(allowed_private_hosts=PrivateHosts(authority), open_timeout_s=600.0)
    url, whole = f"http://{authority}/video", Sampling("interval", 1)
    spec = SourceSpec(url, whole, FrameRange(start_s, start_s + 3))
    begun_s, first_s, first_bytes = time.perf_counter(), 0.0, 0
    indexes: list[int] = []
    with open_source(spec, policy, FrameOutputs()) as source:
        for frame in source:
            if not indexes:
                first_s, first_bytes = time.perf_counter() - begun_s, sent.n_bytes
            indexes.append(frame.index)
            frame.release()
        took_s = time.perf_counter() - begun_s
    return Fetched(first_s, first_bytes, took_s, sent.n_bytes, sent.n_requests, tuple(indexes))


def measure(folder: Path, clip: Path, kind: Kind, n_times: int, rate_mb_per_s: float) -> bool:
    """Print the figures of one kind; False when a frame is not the one that was asked for."""
    path = folder / f"hour.{kind.suffix}"
    clips.looped_clip(path, n_times, clip, format=kind.format, muxer=kind.muxer)
    length_s = n_times * _CLIP_S
    print(f"{kind.name}: {length_s / 60:.0f} min, {path.stat().st_size / 1e6:.0f} MB", flush=True)
    is_right = True
    for what, is_ranged, start_s in (
        ("beginning", True, 0.0),
        ("near the end", True, length_s - 10.0),
        ("beginning, no ranges", False, 0.0),
    ):
        sent = Counting(path, is_ranged=is_ranged, mb_per_s=rate_mb_per_s)
        with serving(sent) as origin:
            found = fetched(sent, origin.authority, start_s)
        first = round(start_s * _RATE)
        is_right = is_right and found.indexes == tuple(range(first, first + 3 * _RATE))
        print(f"  {what:<21} {found}", flush=True)
    path.unlink()
    return is_right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--mbit-per-s", type=float, default=4.0)
    parser.add_argument("--server-mb-per-s", type=float, default=60.0)
    parser.add_argument("--only", help="kinds that have this in their name")
    args = parser.parse_args()
    n_frames = _CLIP_S * _RATE
    recipe = clips.Recipe(
        "four_seconds.mp4",
        n_frames=n_frames,
        size=(1280, 720),
        options={"x264-params": "keyint=50:scenecut=0:bframes=2:b-adapt=0", "preset": "veryfast"},
    )
    wrong = []
    with tempfile.TemporaryDirectory(prefix="framewire-hour-") as name:
        folder = Path(name)
        encoded = clips.write(folder / recipe.name, recipe)
        # What the encoder left of the rate is filled up: pictures of a test clip are small.
        wanted = round(args.mbit_per_s * 1e6 / 8 / _RATE)
        missing = max(0, wanted - encoded.stat().st_size // n_frames)
        clip = clips.looped_clip(folder / "clip.mp4", 1, encoded, filler_bytes=missing)
        for kind in KINDS:
            if args.only is None or args.only in kind.name:
                n_times = max(1, round(args.minutes * 60 / _CLIP_S))
                if not measure(folder, clip, kind, n_times, args.server_mb_per_s):
                    wrong.append(kind.name)
    end_fork_server()
    if wrong:
        raise SystemExit(f"wrong frames: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
