"""Cancels: while the source is being connected to, while it is lost, and while it is live."""

import argparse
import time

from tests.live.camera import camera
from tests.live.faults.figures import Figure, at_most, equal
from tests.live.faults.rig import Rig, Watching, street

_MOST_S = 1.0


def cancel(rig: Rig, options: argparse.Namespace) -> list[Figure]:
    """From the POST to the end of the log."""
    found = []
    for state in ("connecting", "silent", "lost", "live"):
        with camera(street()) as one:
            if state == "connecting":
                one.mute()
            if state == "silent":
                one.stall()
            watched = Watching(rig, one.url())
            if state in {"lost", "live"}:
                watched.wait_frames(10)
            else:
                one.wait(lambda: one.n_accepted > 0)
            if state == "lost":
                one.kill()
                watched.wait(lambda seen: seen.info.is_notice)
            time.sleep(1.0)
            took_s = watched.cancel()
            deadline_s = time.monotonic() + 5.0
            while one._connections and time.monotonic() < deadline_s:
                time.sleep(0.05)
            found += [
                at_most(f"{state}: the log has ended after", took_s, _MOST_S),
                equal(f"{state}: how", watched.terminal.finish_reason, "cancelled"),
                equal(f"{state}: connections to the camera afterwards", len(one._connections), 0),
            ]
    return found
