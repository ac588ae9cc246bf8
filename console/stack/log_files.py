"""The logs of children: bounded while they run, the last few are kept beside them.

A child writes to its log itself, opened for appending. So a log that has grown is copied and cut
to nothing: what is written between the two is lost, and nothing has to be told to the child.
"""

import os
import shutil
from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
N_KEPT = 3


def put_aside(log: Path, n_kept: int = N_KEPT) -> None:
    """Rename the log of an earlier run, and forget the oldest."""
    if log.exists():
        _make_room(log, n_kept)
        log.replace(_kept(log, 1))


def cut(log: Path, max_bytes: int = MAX_BYTES, n_kept: int = N_KEPT) -> bool:
    """Put the content of a log that is too large aside; return whether it was."""
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
