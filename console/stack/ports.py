"""Loopback port allocation of the embedded stack: no fixed ports, remembered per data directory.

Ports are outside the kernel's ephemeral range, so an outgoing connection cannot take one while
the child that listens on it is being restarted.
"""

import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import SystemRandom

from console.errors import StackError

LOOPBACK = "127.0.0.1"
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 15000
_HIGHEST = 65535
_MIN_CHOICE = 1000
_ATTEMPTS = 2000


def is_free(port: int) -> bool:
    """Return whether a server can listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def allocate(names: Iterable[str], remembered: Mapping[str, int]) -> dict[str, int]:
    """Return a free port for every name: the remembered one if it is still free.

    Raises `StackError` if no free port is found.
    """
    taken: dict[str, int] = {}
    for name in names:
        port = remembered.get(name)
        if port is None or port in taken.values() or not is_free(port):
            port = _pick(set(taken.values()) | set(remembered.values()))
        taken[name] = port
    return taken


def _pick(avoid: set[int]) -> int:
    low, high = choice()
    chooser = SystemRandom()
    for _ in range(_ATTEMPTS):
        port = chooser.randint(low, high)
        if port not in avoid and is_free(port):
            return port
    raise StackError(f"no free port was found between {low} and {high}")


def choice() -> tuple[int, int]:
    """Return the inclusive range of ports to choose from.

    Below the ephemeral range, else above it; from 15000 on if neither has 1000 ports.
    """
    try:
        low, high = (int(part) for part in _EPHEMERAL.read_text().split())
    except (OSError, ValueError):
        return _LOWEST, _HIGHEST
    if low - _LOWEST >= _MIN_CHOICE:
        return _LOWEST, low - 1
    if _HIGHEST - high >= _MIN_CHOICE:
        return high + 1, _HIGHEST
    return _LOWEST, _HIGHEST
