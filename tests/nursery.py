"""The decoders' nursery as tests see it."""

import time

import psutil

from streamproc.source import process


def settle(nursery: psutil.Process, n_at_work: int = 0) -> None:
    """Wait until no child is left but those at work and the one that is forked ahead."""
    process.prepare()
    deadline_s = time.monotonic() + 10
    while process._nursery._ahead is None or len(nursery.children()) != n_at_work + 1:
        assert time.monotonic() < deadline_s, nursery.children()
        time.sleep(0.005)
