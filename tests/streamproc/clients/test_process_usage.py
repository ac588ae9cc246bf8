"""CPU time and memory of this process, measured over a second at least."""

import time

import psutil
import pytest

from streamproc.clients.process_usage import ProcessUsage


def test_cpu_time_is_that_since_the_measurement_before() -> None:
    now_s = 100.0
    usage = ProcessUsage(lambda: now_s)
    assert usage.read().cpu_percent is None
    begin_s = time.monotonic()
    used_s = time.process_time()
    while time.process_time() - used_s < 0.2:
        pass
    now_s += 1.0
    measured = usage.read()
    wall_s = time.monotonic() - begin_s
    assert measured.cpu_percent == pytest.approx(100 * 0.2 / wall_s, rel=0.3)
    assert measured.rss_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    now_s += 0.9
    assert usage.read().cpu_percent == measured.cpu_percent  # by another caller
