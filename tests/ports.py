"""Ports of this machine for tests, and children that end with the test."""

import ctypes
import fcntl
import os
import random
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from console.stack.ports import choice, is_free

_START_S = 60.0
_N_PORTS = 5000
_LOCKS = Path(tempfile.gettempdir()) / f"framewire-test-ports-{os.getuid()}"


def free_ports(n: int) -> list[int]:
    """Return ports that nobody listens on, all different.

    They are below the kernel's ephemeral range, so that no connection takes one before a server
    does, and below those that `framewire up` takes. They are kept for this process for its life:
    no other test of this machine is given one.
    """
    low, _ = choice()
    high, low = low - 1, low - _N_PORTS
    found: list[int] = []
    while len(found) < n:
        port = _ports.randint(low, high)
        if port not in _kept and _keep(port) and is_free(port):
            found.append(port)
    return found


def _keep(port: int) -> bool:
    """Lock the port's file until this process ends, however it ends."""
    _LOCKS.mkdir(exist_ok=True)
    lock = os.open(_LOCKS / str(port), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _kept.add(port)
    return True


_ports = random.SystemRandom()
_kept: set[int] = set()


def wait_for_port(port: int, *, while_: Callable[[], bool] = lambda: True) -> None:
    """Return once somebody listens: librdkafka complains loudly as long as nobody does.

    Raises `OSError` after a minute, or once `while_` no longer holds.
    """
    deadline = time.monotonic() + _START_S
    while True:
        may_come = while_()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if not may_come or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def die_with_parent() -> None:
    """Make the kernel kill this child when the test process ends, however it ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
