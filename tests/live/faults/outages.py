"""Faults of the camera: it is away, it is silent, the network holds its pictures back."""

import argparse
import time
from datetime import datetime

from console.cli.request_builder import RequestWords
from tests.live.camera import camera
from tests.live.faults.figures import Figure, at_least, at_most, between, equal, holds
from tests.live.faults.rig import PEDESTRIANS, Rig, Seen, Watching, street

Box = tuple[float, float, float, float]
_MAX_LAG_MS = 2500


def kill(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """The camera is away for `--away` seconds; the scene stands still."""
    away_s = options.away
    with camera(street(still=True)) as one:
        watched = Watching(rig, one.url())
        watched.wait_frames(25)
        killed_s = time.monotonic()
        one.kill()
        time.sleep(away_s)
        revived_s = time.monotonic()
        one.revive()
        watched.wait_frames(15, revived_s)
        watched.cancel()
    notice = watched.first(lambda seen: seen.info.is_notice, killed_s)
    back = watched.first(_is_frame, revived_s)
    before, after = watched.ids(0, killed_s), watched.ids(revived_s)
    gaps = watched.gaps()
    told_s = float("inf") if notice is None else notice.at_s - killed_s
    back_s = float("inf") if back is None else back.at_s - revived_s
    return [
        at_most("notice after the loss", told_s, 3.0),
        at_most("first chunk after the camera's port is open", back_s, 3.0),
        holds(f"ids {sorted(after)} are among {sorted(before)}", after and after <= before),
        equal("gaps", [reason for reason, _ in gaps], ["source_lost"]),
        between("seconds of the gap", gaps[0][1] if gaps else 0.0, away_s, away_s + 4.0),
        equal("what is wrong with the log", watched.problem(), ""),
    ]


def stall(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """The camera sends nothing for `--seconds`, and then goes on with pictures of then."""
    with camera(street()) as one:
        watched = Watching(rig, one.url())
        watched.wait_frames(15)
        stalled_s = time.monotonic()
        one.stall()
        noticed_s = _noticed_s(watched)
        time.sleep(max(0.0, stalled_s + (options.seconds or 8.0) - time.monotonic()))
        resumed_s = time.monotonic()
        one.resume()
        watched.wait_frames(15, resumed_s)
        watched.cancel()
    return [
        between("silence until it is called lost", noticed_s, 4.5, 5.5),
        at_most("largest lag_ms afterwards", _largest_lag(watched, resumed_s), _MAX_LAG_MS, "ms"),
        equal("what is wrong with the log", watched.problem(), ""),
    ]


def hold(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """The network holds the pictures back, and then gives all of them at once."""
    found = []
    for held_s in (2.0, 4.0, 8.0):
        with camera(street()) as one:
            watched = Watching(rig, one.url())
            watched.wait_frames(15)
            one.hold()
            time.sleep(held_s)
            released_s = time.monotonic()
            one.resume()
            watched.wait_frames(15, released_s)
            watched.cancel()
        largest = _largest_lag(watched, released_s)
        found += [
            at_most(f"largest lag_ms after {held_s:g} s held back", largest, _MAX_LAG_MS, "ms"),
            equal("what is wrong with the log", watched.problem(), ""),
            equal("times without frames that no gap tells of", watched.unexplained(), []),
        ]
    return found


def loss(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """One in a hundred packets over UDP is lost: nothing is seen that is not there.

    The clean run takes every frame, and weaker candidates: a track that has lost some of its frames
    may go on with one of them.
    """
    seconds = options.seconds or 30.0
    weaker = RequestWords(detect=("pedestrian",), interval=1, threshold=0.15)
    clean, _ = _boxes(rig, 0.0, max(seconds, 36.0), weaker)
    lossy, watched = _boxes(rig, 0.01, seconds, PEDESTRIANS)
    compared = {number: boxes for number, boxes in lossy.items() if number in clean}
    extra = [
        box
        for number, boxes in compared.items()
        for box in boxes
        if not any(
            overlap(box, known) >= 0.3
            for near in (-1, 0, 1)
            for known in clean.get((number + near) % 120, [])
        )
    ]
    dropped = getattr(watched.terminal.usage, "dropped", {})
    n_boxes = sum(map(len, compared.values()))
    return [
        at_least("pictures of both runs", len(compared), 30),
        equal(f"of {n_boxes} targets, not in a clean run", len(extra), 0),
        holds(f"damaged pictures are counted: {dropped}", dropped.get("damaged")),
    ]


def overlap(a: Box, b: Box) -> float:
    """Return intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (areas - width * height)


def _boxes(
    rig: Rig, share: float, seconds: float, words: RequestWords
) -> tuple[dict[int, list[Box]], Watching]:
    """Return what was seen in each picture of the clip, by its number."""
    clip = street()
    with camera(clip) as one:
        watched = Watching(rig, one.url(), words, transport="udp")
        watched.wait_frames(3)
        one.lose(str(share))
        watched.wait(lambda _: True, time.monotonic() + seconds, seconds + 60)
        watched.cancel()
    found: dict[int, list[Box]] = {}
    for seen in watched.frames():
        number = round(float(str(seen.info.time_s)) * clip.fps) % clip.n_pictures
        boxes = found.setdefault(number, [])
        for result in seen.chunk.delta.results:
            for target in result.targets:
                roi = target.roi
                boxes.append((roi.left, roi.top, roi.left + roi.width, roi.top + roi.height))
    return found, watched


def _is_frame(seen: Seen) -> bool:
    return seen.is_frame


def _largest_lag(watched: Watching, since_s: float) -> float:
    return max(float(str(seen.info.lag_ms)) for seen in watched.frames(since_s))


def _noticed_s(watched: Watching) -> float:
    """Wait until the task says that its source is lost; return its silence before, in s."""
    deadline_s = time.monotonic() + 30.0
    while (state := watched.state()) is None or state.state != "lost":
        assert time.monotonic() < deadline_s, state
        time.sleep(0.1)
    assert state.last_frame_at is not None
    since = datetime.fromisoformat(state.since).timestamp()
    return since - datetime.fromisoformat(state.last_frame_at).timestamp()
