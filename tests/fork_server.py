"""The decoders' nursery as tests see it."""

import time

import psutil

from streamproc.source.sandbox import decoder_client


def settle(fork_server: psutil.Process, n_at_work: int = 0) -> None:
    """Wait until no child is left but those at work and the one that is forked ahead."""
    decoder_client.prepare()
    deadline_s = time.monotonic() + 10
    while (
        decoder_client._fork_server._ahead is None or len(fork_server.children()) != n_at_work + 1
    ):
        assert time.monotonic() < deadline_s, fork_server.children()
        time.sleep(0.005)
