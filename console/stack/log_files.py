"""Log rotation for children by copy and truncate; the last few logs are kept.

A child writes to its own log, opened for appending. So a log that is too large is copied and then
truncated to 0 bytes. Lines written between the two steps are lost; the child needs no signal.
"""

import os
import shutil
from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
N_KEPT = 3


def put_aside(log: Path, n_kept: int = N_KEPT) -> None:
    """Rotate the log of an earlier run by a rename; drop the oldest log."""
    if log.exists():
        _make_room(log, n_kept)
        log.replace(_kept(log, 1))


def cut(log: Path, max_bytes: int = MAX_BYTES, n_kept: int = N_KEPT) -> bool:
    """Rotate a log larger than `max_bytes` by copy and truncate; return whether it was."""
    try:
        if log.stat().st_size <= max_bytes:
            return False
    except FileNotFoundError:
        return False
    _make_room(log, n_kept)
    shutil.copyfile(log, _kept(log, 1))
    os.truncate(log, 0)
    return True


def _make_room(log: Path, n_kept: int) -> None:
    for number in range(n_kept - 1, 0, -1):
        if _kept(log, number).exists():
            _kept(log, number).replace(_kept(log, number + 1))


def _kept(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
