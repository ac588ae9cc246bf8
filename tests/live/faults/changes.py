"""What a source changes while it plays: its clock, its size, its codec, its playlist."""

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from operator import methodcaller

from msgspec import UNSET

from tests.live.camera import Camera, camera
from tests.live.faults.figures import Figure, at_most, equal, holds
from tests.live.faults.hls_server import endless, finite
from tests.live.faults.rig import Rig, Seen, Watching, captured_s, street
from tests.live.media_server import media_server

_MOST_S = 2.0
"""The longest time without a frame, as asked."""


def wrap(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """Sequence numbers and timestamps begin again after their largest value."""
    return _goes_on(rig, "wrap", Camera.wrap)


def jump(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """The timestamps jump: an hour ahead, back, and by as much as a slow network could explain."""
    found = []
    for by_s in (3600.0, -3600.0, 5.0, -5.0):
        found += _goes_on(rig, f"jump of {by_s:+g} s", methodcaller("jump", str(by_s)))
    return found


def reset(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """Sequence numbers and timestamps start anew within the connection."""
    return _goes_on(rig, "reset", Camera.reset)


def resize(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """The pictures have another size from one keyframe to the next."""
    return _goes_on(rig, "resize", lambda one: one.show("h264 320 176"), size=(320, 176))


def h265(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """The camera starts again with another codec and another size."""

    def change(one: Camera) -> None:
        one.show("hevc 320 176")
        one.hang_up()

    return _goes_on(rig, "h265", change, size=(320, 176))


def discontinuity(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """A playlist goes on with segments whose timestamps begin again."""
    with media_server() as server:
        endless(server)
        watched = Watching(rig, server.url("/live.m3u8"))
        watched.wait_frames(40)
        watched.cancel()
    frames = watched.frames()
    longest_s = max(b.at_s - a.at_s for a, b in pairwise(frames))
    gaps = {reason for reason, _ in watched.gaps()}
    return [
        at_most("discontinuity: longest time without a chunk", longest_s, _MOST_S),
        holds(f"its gaps are discontinuities: {sorted(gaps)}", gaps <= {"discontinuity"}),
        equal("what is wrong with the log", watched.problem(), ""),
    ]


def hls(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """Playlists that end: every frame once, and then the task ends with `stop`."""
    found = []
    for kind in ("ts", "fmp4", "ranges", "aes", "master", "gone"):
        with media_server() as server:
            asked = finite(server, kind)
            watched = Watching(rig, server.url("/list.m3u8"))
            watched.join(60)
            assert not watched.is_alive(), watched.state()
        last = watched.terminal
        counted = (last.stream_info.decoded_frames, last.finish_reason)
        found.append(equal(f"{kind}: frames decoded, end", counted, (asked, "stop")))
    return found


def _goes_on(
    rig: Rig, name: str, fault: Callable[[Camera], None], size: tuple[int, int] | None = None
) -> list[Figure]:
    with camera(street()) as one:
        watched = Watching(rig, one.url())
        watched.wait_frames(15)
        at_s = time.monotonic()
        fault(one)
        watched.wait_frames(1, at_s + 3.0)
        watched.wait_frames(15, at_s)
        watched.cancel()
    after = [seen for seen in watched.frames(at_s - 2.0) if seen.at_s <= at_s + 8.0]
    longest_s = max((b.at_s - a.at_s for a, b in pairwise(after)), default=float("inf"))
    found = [
        at_most(f"{name}: longest time without a chunk", longest_s, _MOST_S),
        at_most(f"{name}: picture to client afterwards", _oldest(after), 2.5),
        equal(f"{name}: what is wrong with the log", watched.problem(), ""),
    ]
    if size is not None:
        told = watched.first(lambda seen: seen.is_frame and seen.info.size is not UNSET, at_s)
        found.append(equal(f"{name}: size", told and told.info.size, size))
    return found


def _oldest(frames: list[Seen]) -> float:
    return max((seen.wall_s - captured_s(seen.info) for seen in frames), default=float("inf"))
