"""Readiness probes of children: they never raise, and wait at most about 1 s."""

import http.client
import socket
from collections.abc import Callable
from pathlib import Path

from console.stack.ports import LOOPBACK

Probe = Callable[[], bool]
_TIMEOUT_S = 1.0


def listens(port: int) -> Probe:
    """Ready once the loopback port accepts connections."""

    def probe() -> bool:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=_TIMEOUT_S):
                return True
        except OSError:
            return False

    return probe


def answers(port: int, path: str) -> Probe:
    """Ready once `GET path` on the loopback port returns 200."""

    def probe() -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def writes(path: Path) -> Probe:
    """Ready once the child has written its ready file."""

    def probe() -> bool:
        try:
            return path.stat().st_size > 0
        except OSError:
            return False

    return probe
