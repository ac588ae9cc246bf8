"""A forked program's status, as its parent reads it."""

import fcntl
import os
import resource
import subprocess

import pytest

from tests.forked import ForkedProcess


def test_a_status_is_read_whatever_the_number_of_its_descriptor() -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= 1100:
        pytest.skip("no descriptor may have a number from 1024 on")
    low, writing = os.pipe()
    reading = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 1024)
    os.close(low)
    forked = ForkedProcess(os.getpid(), reading)
    assert forked.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        forked.wait(0.01)
    os.write(writing, b"7")
    os.close(writing)
    assert (forked.wait(5), forked.poll()) == (7, 7)
