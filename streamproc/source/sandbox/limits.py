"""Resource limits (rlimits) of a decoder: memory by image size, CPU time by progress."""

import contextlib
import os
import resource
import time
from typing import Final

_BASE_BYTES: Final = 512 << 20
_BYTES_PER_PIXEL: Final = 56
"""The frames that decoders keep, twenty of 8 bits or ten of 10 bits, and a copy in BGR."""
_THREADS: Final = 64
_DESCRIPTORS: Final = 1
"""All descriptors are open already; `poll` accepts at most this number of them."""
STRETCH_S: Final = 30
_PROC_BYTES: Final = 256


def memory_bytes(max_pixels: int) -> int:
    """Return the memory that a decoder of images up to this size may use beyond its program."""
    return _BASE_BYTES + max_pixels * _BYTES_PER_PIXEL


def bound_for_good() -> None:
    """Set permanent limits for any order: no core file, no growing file, no locked memory."""
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_MEMLOCK):
        _lower(limit, 0)


class Usage:
    """Current resource usage, readable when no file can be opened any more."""

    def __init__(self) -> None:
        self._statm, self._loadavg = _descriptor("/proc/self/statm"), _descriptor("/proc/loadavg")

    def address_space_bytes(self) -> int:
        """Return the size of the address space; raises OSError without /proc."""
        return int(os.pread(self._statm, _PROC_BYTES, 0).split()[0]) * resource.getpagesize()

    def n_threads_of_all(self) -> int:
        """Return the number of threads of all users; raises OSError without /proc."""
        return int(os.pread(self._loadavg, _PROC_BYTES, 0).split()[3].split(b"/")[1])

    def close(self) -> None:
        for fd in (self._statm, self._loadavg):
            with contextlib.suppress(OSError):
                os.close(fd)


def bound(usage: Usage, max_pixels: int, cpu_s: int) -> None:
    """Limit memory, CPU time and the number of threads, and close `usage`. Raises OSError.

    Linux counts threads per user, over all of the user's processes. The number of threads of all
    users is an upper bound of that count. The superuser's threads are not counted.
    """
    _lower(resource.RLIMIT_AS, usage.address_space_bytes() + memory_bytes(max_pixels))
    # The soft limit sends SIGXCPU, which shows the cause; the hard limit sends SIGKILL.
    _lower(resource.RLIMIT_CPU, cpu_s + 1)
    with contextlib.suppress(OSError, ValueError):  # no /proc: the limit is unchanged
        _lower(resource.RLIMIT_NPROC, usage.n_threads_of_all() + _THREADS)
    usage.close()


def bound_descriptors() -> None:
    """Allow no further descriptor while all lower numbers are in use."""
    _lower(resource.RLIMIT_NOFILE, _DESCRIPTORS)


class CpuTime:
    """CPU time limit, renewed by progress: `STRETCH_S` at a time, up to the limit of `bound`.

    The kernel ends the process at the limit (SIGXCPU).
    """

    def __init__(self) -> None:
        _, self._hard_s = resource.getrlimit(resource.RLIMIT_CPU)
        self._renew_at_s = 0.0
        self.renew()

    def renew(self) -> None:
        """Report progress: start a new stretch of CPU time."""
        used_s = time.process_time()
        if used_s < self._renew_at_s:
            return
        soft = min(self._hard_s - 1, int(used_s) + STRETCH_S)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, self._hard_s))
        self._renew_at_s = used_s + STRETCH_S / 10


def _lower(limit: int, value: int) -> None:
    """Lower a limit permanently; a lower limit is unchanged."""
    _, hard = resource.getrlimit(limit)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))


def _descriptor(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
