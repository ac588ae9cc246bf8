"""What a decoder child gives up before it touches a video: network, files, cores, its parent.

`isolate()` runs first, while the process has one thread (namespaces demand it). `lock_down()`
runs when the last descriptor has arrived: from then on no file can be opened at all.
"""

import ctypes
import os
import resource
import signal
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_DUMPABLE: Final = 4
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_ADDRESS_SPACE_BYTES: Final = 8 << 30


def die_with(parent_pid: int) -> None:
    """End when the parent's thread that made this process ends, or at once if it has already."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(0)


def isolate(parent_pid: int) -> bool:
    """Die with the parent, gain nothing by exec, leave the network.

    Returns whether the network is gone: a host may forbid namespaces to ordinary users, then
    the child is left with having no descriptor and no address to connect to.
    """
    die_with(parent_pid)
    libc = _libc()
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return any(
        libc.unshare(flags) == 0 for flags in (_CLONE_NEWUSER | _CLONE_NEWNET, _CLONE_NEWNET)
    )


def lock_down(cpu_limit_s: int) -> None:
    """Bound memory, CPU time and files; every descriptor below the highest open one is filled."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_limit_s, cpu_limit_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    while (fd := os.open(os.devnull, os.O_RDONLY)) < highest:
        pass
    resource.setrlimit(resource.RLIMIT_NOFILE, (fd + 1, fd + 1))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
