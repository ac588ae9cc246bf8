"""How much a decoder may use: memory by the size of its pictures, CPU time while it gets on."""

import contextlib
import resource
import time
from pathlib import Path
from typing import Final

_BASE_BYTES: Final = 512 << 20
_BYTES_PER_PIXEL: Final = 56
"""Twenty pictures of 8 bits or ten of 10 bits, which is what decoders keep, and a copy in BGR."""
_THREADS: Final = 64
_DESCRIPTORS: Final = 1
"""Every descriptor is there already; `poll` takes no more of them than this limit says."""
STRETCH_S: Final = 30


def memory_bytes(max_pixels: int) -> int:
    """Return what a decoder of pictures up to this size may take beside its program."""
    return _BASE_BYTES + max_pixels * _BYTES_PER_PIXEL


def bound(max_pixels: int, cpu_s: int) -> None:
    """Bound memory, CPU time and the number of threads; no core file, and no file grows.

    Linux counts threads by user, over all of the user's processes, and the user's are not more
    than all there are now. The superuser's are not counted.
    """
    size_bytes = _address_space_bytes() + memory_bytes(max_pixels)
    _lower(resource.RLIMIT_AS, size_bytes)
    # At the soft limit comes SIGXCPU, which tells what happened, at the hard one SIGKILL.
    _lower(resource.RLIMIT_CPU, cpu_s + 1)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_MEMLOCK, 0)
    with contextlib.suppress(OSError, ValueError):  # no /proc: the number stays as it is
        _lower(resource.RLIMIT_NPROC, _n_threads_of_all() + _THREADS)


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


def _address_space_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _n_threads_of_all() -> int:
    return int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
