"""Deaths in the stack: of the worker that has the camera, of the api, of Kafka."""

import argparse
import signal
import time
from itertools import pairwise

from tests.live.camera import camera
from tests.live.faults.figures import Figure, at_most, equal, holds
from tests.live.faults.rig import Rig, Watching, street


def killworker(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """The worker is killed; another one takes the camera over."""
    with camera(street()) as one:
        watched = Watching(rig, one.url())
        watched.wait_frames(30)
        deadline_s = time.monotonic() + 20.0
        while not (busy := [one for one in rig.workers() if one.live_busy]):
            assert time.monotonic() < deadline_s
            time.sleep(0.2)
        killed_s = time.monotonic()
        rig.process_of(busy[0].pid).send_signal(signal.SIGKILL)
        watched.wait_frames(20, killed_s + 0.5)
        watched.cancel()
    known, later = watched.ids(0, killed_s), watched.ids(killed_s)
    gaps = watched.gaps()
    return [
        equal("gaps", [reason for reason, _ in gaps], ["worker_lost"]),
        at_most("seconds of the gap", gaps[0][1] if gaps else float("inf"), 7.0),
        at_most("longest time without a chunk", _longest_s(watched, killed_s - 5.0), 7.0),
        holds(f"ids go on: {sorted(later & known)} of {sorted(known)}", later & known),
        equal("what is wrong with the log", watched.problem(), ""),
        *_one_log(watched),
    ]


def killapi(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """The api is killed; the reader connects again at its byte."""
    return _killed(rig, "-m api")


def killkafka(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """The broker is killed, and started again by the stack."""
    return _killed(rig, "kafka.Kafka")


def _killed(rig: Rig, mark: str) -> list[Figure]:
    with camera(street()) as one:
        watched = Watching(rig, one.url())
        watched.wait_frames(20)
        killed_s = time.monotonic()
        rig.process(mark).send_signal(signal.SIGKILL)
        watched.wait_frames(20, killed_s + 2.0, timeout_s=120.0)
        watched.cancel()
    longest_s = _longest_s(watched, killed_s - 5.0)
    return [
        at_most(f"longest time without a chunk ({mark})", longest_s, 60.0),
        equal("what is wrong with the log", watched.problem(), ""),
        *_one_log(watched),
    ]


def _longest_s(watched: Watching, since_s: float) -> float:
    return max(b.at_s - a.at_s for a, b in pairwise(watched.frames(since_s)))


def _one_log(watched: Watching) -> list[Figure]:
    again = watched.read_again()
    return [
        equal("bytes followed, and those read again, differ", again != watched.log, False),
        equal("frames that came twice", _n_twice(watched), 0),
        equal("times without frames that no gap tells of", watched.unexplained(), []),
    ]


def _n_twice(watched: Watching) -> int:
    numbers = [one.info.frame_index for one in watched.frames()]
    return len(numbers) - len(set(numbers))
