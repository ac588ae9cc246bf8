"""How much a decoder may use: memory by the size of its pictures, CPU time while it gets on."""

import contextlib
import os
import resource
import time
from typing import Final

_BASE_BYTES: Final = 512 << 20
_BYTES_PER_PIXEL: Final = 56
"""Twenty pictures of 8 bits or ten of 10 bits, which is what decoders keep, and a copy in BGR."""
_THREADS: Final = 64
_DESCRIPTORS: Final = 1
"""Every descriptor is there already; `poll` takes no more of them than this limit says."""
STRETCH_S: Final = 30
_PROC_BYTES: Final = 256


def memory_bytes(max_pixels: int) -> int:
    """Return what a decoder of pictures up to this size may take beside its program."""
    return _BASE_BYTES + max_pixels * _BYTES_PER_PIXEL


def bound_for_good() -> None:
    """Write no core file, let no file grow, lock no memory: whatever comes to be decoded."""
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_MEMLOCK):
        _lower(limit, 0)


class Usage:
    """What is in use, readable when no file can be opened any more."""

    def __init__(self) -> None:
        self._statm, self._loadavg = _descriptor("/proc/self/statm"), _descriptor("/proc/loadavg")

    def address_space_bytes(self) -> int:
        """Raises OSError: no /proc."""
        return int(os.pread(self._statm, _PROC_BYTES, 0).split()[0]) * resource.getpagesize()

    def n_threads_of_all(self) -> int:
        """Return the number of threads of all users; raises OSError: no /proc."""
        return int(os.pread(self._loadavg, _PROC_BYTES, 0).split()[3].split(b"/")[1])

    def close(self) -> None:
        for fd in (self._statm, self._loadavg):
            with contextlib.suppress(OSError):
                os.close(fd)


def bound(usage: Usage, max_pixels: int, cpu_s: int) -> None:
    """Bound memory, CPU time and the number of threads, and close `usage`. Raises OSError.

    Linux counts threads by user, over all of the user's processes, and the user's are not more
    than all there are now. The superuser's are not counted.
    """
    _lower(resource.RLIMIT_AS, usage.address_space_bytes() + memory_bytes(max_pixels))
    # At the soft limit comes SIGXCPU, which tells what happened, at the hard one SIGKILL.
    _lower(resource.RLIMIT_CPU, cpu_s + 1)
    with contextlib.suppress(OSError, ValueError):  # no /proc: the number stays as it is
        _lower(resource.RLIMIT_NPROC, usage.n_threads_of_all() + _THREADS)
    usage.close()


def bound_descriptors() -> None:
    """Let no further descriptor be opened while all lower ones are in use."""
    _lower(resource.RLIMIT_NOFILE, _DESCRIPTORS)


class CpuTime:
    """CPU time that moves on with the work: `STRETCH_S` without a sign of it, the rest is `bound`.

    The kernel ends the process at the limit (SIGXCPU).
    """

    def __init__(self) -> None:
        _, self._hard_s = resource.getrlimit(resource.RLIMIT_CPU)
        self._renew_at_s = 0.0
        self.renew()

    def renew(self) -> None:
        """Begin a new stretch: the work has got on."""
        used_s = time.process_time()
        if used_s < self._renew_at_s:
            return
        soft = min(self._hard_s - 1, int(used_s) + STRETCH_S)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, self._hard_s))
        self._renew_at_s = used_s + STRETCH_S / 10


def _lower(limit: int, value: int) -> None:
    """Lower a limit for good; a lower one stays."""
    _, hard = resource.getrlimit(limit)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))


def _descriptor(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
