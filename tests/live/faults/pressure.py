"""Figures under load: the first chunk, latency, eight cameras, files beside, too much work."""

import argparse
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from console.cli.request_builder import RequestWords
from streamproc.providers.newest_first import IN_PERCEPTION
from tests.live.camera import camera
from tests.live.clip import film
from tests.live.demo import files_beside
from tests.live.faults.figures import Figure, at_least, at_most, between, equal, percentile
from tests.live.faults.rig import Rig, Seen, Watching, captured_s, street
from tests.live.soak import Sample, slope_per_h, take_samples

_LONG_S = 300.0
_SIGNS = Path(__file__).parents[2] / "data" / "text_signs.mp4"


def first(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """A camera's first chunk after the POST, and the rate of five frames a second."""
    found = []
    for which in ("first task of the stack", "second task"):
        with camera(street()) as one:
            watched = Watching(rig, one.url())
            watched.wait_frames(50)
            watched.cancel()
        frames = watched.frames()
        spent_s = captured_s(frames[-1].info) - captured_s(frames[0].info)
        found += [
            at_most(f"{which}: first chunk", frames[0].at_s - watched.begun_s, 2.0),
            between(f"{which}: frames a second", (len(frames) - 1) / spent_s, 4.9, 5.1, ""),
            equal(f"{which}: total_frames", {seen.info.total_frames for seen in frames}, {None}),
        ]
    return found


def latency(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """One camera, five frames a second: from the picture to the client."""
    with camera(street()) as one:
        ages_s = _ages_s(_watched(rig, one.url(), options.seconds or 60.0))
    return [
        at_most("picture to client, p50", percentile(ages_s, 50), 0.35),
        at_most("picture to client, p95", percentile(ages_s, 95), 0.6),
    ]


def cameras(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """Eight cameras, two frames a second each."""
    seconds = options.seconds or 300.0
    with ExitStack() as open_cameras:
        urls = [open_cameras.enter_context(camera(street())).url() for _ in range(8)]
        words = RequestWords(detect=("pedestrian",), fps=2.0)
        tasks = [Watching(rig, url, words) for url in urls]
        for one in tasks:
            one.wait_frames(5)
        begun_s, before = time.monotonic(), _cpu_s()
        time.sleep(seconds)
        spent_s = time.monotonic() - begun_s
        used = {role: _cpu_s().get(role, 0.0) - spent for role, spent in before.items()}
        for one in tasks:
            one.cancel()
    ages_s = [seen.age_s for one in tasks for seen in one.frames(begun_s)]
    rates = [len(one.frames(begun_s)) / spent_s for one in tasks]
    overload = sum(_dropped(one).get("overload", 0) for one in tasks)
    shares = {role: 100 * used_s / spent_s for role, used_s in used.items()}
    return [
        at_least("slowest task's frames a second", min(rates), 1.95),
        at_most("picture to client, p95", percentile(ages_s, 95), 1.0),
        equal("frames dropped by overload", overload, 0),
        at_most("worker, of a core", shares.get("worker", 0.0), 60.0, "%"),
        at_most("decoders, of a core", shares.get("decoders", 0.0), 15.0, "%"),
    ]


def batch(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """Four tasks of files beside a camera."""
    seconds = options.seconds or 60.0
    with camera(street()) as one:
        watched = Watching(rig, one.url())
        watched.wait_frames(10)
        alone_s = _ages_during(watched, seconds)
        with files_beside(rig.client, 4):
            time.sleep(5.0)
            beside_s, both = _ages_during(watched, seconds), _processed(rig)
            time.sleep(seconds / 2)
            n_both = _processed(rig) - both - len(watched.frames(time.monotonic() - seconds / 2))
        watched.cancel()
    with files_beside(rig.client, 4):
        time.sleep(5.0)
        files = _processed(rig)
        time.sleep(seconds / 2)
        n_files = _processed(rig) - files
    alone_p95 = percentile(alone_s, 95)
    return [
        at_most("live p95 beside 4 files", percentile(beside_s, 95), 1.5 * alone_p95 + 0.1),
        Figure("live p95 alone", f"{alone_p95:.3f} s", "", True),
        at_least("files' frames beside live / without", n_both / max(n_files, 1), 0.2),
    ]


def overload(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """Detection and OCR of every frame of a camera with 15 a second: too much for this machine."""
    seconds = options.seconds or 600.0
    signs = film(str(_SIGNS), (640, 352), fps=15, gop=15, n_pictures=60)
    words = RequestWords(detect=(), ocr=True, interval=1)
    with camera(signs) as one:
        watched = Watching(rig, one.url(), words)
        watched.wait_frames(5, timeout_s=120.0)
        begun_s, stack = time.monotonic(), psutil.Process()
        samples = []
        while (at_s := time.monotonic() - begun_s) < seconds:
            samples.append(take_samples(stack, at_s)["worker"])
            time.sleep(5.0)
        spent_s = time.monotonic() - begun_s
        watched.cancel()
        n_sent = one.n_sent
    frames = watched.frames(begun_s)
    service_s = IN_PERCEPTION * spent_s / len(frames)
    lags_s = [float(str(seen.info.lag_ms)) / 1000 for seen in frames]
    usage = watched.terminal.usage
    dropped = _dropped(watched)
    counted = getattr(usage, "processed_frames", 0) + sum(dropped.values())
    n_seen = watched.terminal.stream_info.frame_index + 1
    return [
        Figure("one frame's time in perception", f"{service_s:.3f} s", "", True),
        at_most("lag, p95", percentile(lags_s, 95), 3 * service_s + 0.3),
        _memory(samples, seconds),
        equal(f"processed, and dropped ({dropped})", counted, n_seen),
        between(
            "sent after the last result, and in no count",
            *(n_sent - n_seen, 0, 15 * (max(lags_s) + service_s + 1)),
            "",
        ),
    ]


def _memory(samples: list[Sample], seconds: float) -> Figure:
    """Return the slope of the worker's memory; of a short run it says nothing."""
    slope = slope_per_h(samples, seconds / 4)
    if seconds < _LONG_S:
        return Figure("worker's memory, too short to judge", f"{slope:.0f} MB/h", "", holds=True)
    return at_most("worker's memory", slope, 20.0, "MB/h")


def _watched(rig: Rig, url: str, seconds: float) -> list[Seen]:
    watched = Watching(rig, url)
    watched.wait_frames(10)
    begun_s = time.monotonic()
    time.sleep(seconds)
    watched.cancel()
    return watched.frames(begun_s)


def _ages_s(frames: list[Seen]) -> list[float]:
    return [seen.age_s for seen in frames]


def _ages_during(watched: Watching, seconds: float) -> list[float]:
    begun_s = time.monotonic()
    time.sleep(seconds)
    return _ages_s(watched.frames(begun_s))


def _processed(rig: Rig) -> int:
    return sum(one.processed_frames for one in rig.workers())


def _dropped(watched: Watching) -> dict[str, int]:
    found = getattr(watched.terminal.usage, "dropped", {})
    return dict(found) if isinstance(found, dict) else {}


def _cpu_s() -> dict[str, float]:
    """Return CPU time so far of the workers, and of their decoders."""
    used = {"worker": 0.0, "decoders": 0.0}
    for process in psutil.Process().children(recursive=True):
        try:
            words = " ".join(process.cmdline())
            role = "worker" if "streamproc worker" in words else "decoders"
            if role == "worker" or "sandbox.fork_server" in words:
                times = process.cpu_times()
                used[role] += times.user + times.system
        except psutil.Error:
            continue
    return used
