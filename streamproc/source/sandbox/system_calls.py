"""Access to the C library, and the system call numbers of this machine by name.

A call that an architecture does not have (arm64 has no `poll`) has no number and needs no rule.
"""

import ctypes
import os
import platform
from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor architecture as seccomp identifies it (`AUDIT_ARCH_*`)."""

    audit_arch: int
    syscalls: dict[str, int]
    foreign_from: int | None
    """Numbers from this one on belong to a second calling convention (x32); None: none exists."""


SHARED_FROM: Final = 424
"""From this number on (Linux 5.1) a system call has the same number on every architecture."""

_SHARED: Final = {
    "landlock_create_ruleset": 444,
    "landlock_restrict_self": 446,
}
_X86_64: Final = {
    "read": 0,
    "write": 1,
    "close": 3,
    "poll": 7,
    "lseek": 8,
    "mmap": 9,
    "mprotect": 10,
    "munmap": 11,
    "brk": 12,
    "rt_sigaction": 13,
    "rt_sigprocmask": 14,
    "rt_sigreturn": 15,
    "pread64": 17,
    "sched_yield": 24,
    "mremap": 25,
    "madvise": 28,
    "nanosleep": 35,
    "getpid": 39,
    "sendto": 44,
    "recvfrom": 45,
    "clone": 56,
    "exit": 60,
    "gettimeofday": 96,
    "sysinfo": 99,
    "sigaltstack": 131,
    "prctl": 157,
    "gettid": 186,
    "time": 201,
    "futex": 202,
    "sched_getaffinity": 204,
    "set_tid_address": 218,
    "restart_syscall": 219,
    "clock_gettime": 228,
    "clock_getres": 229,
    "clock_nanosleep": 230,
    "exit_group": 231,
    "tgkill": 234,
    "ppoll": 271,
    "set_robust_list": 273,
    "prlimit64": 302,
    "getcpu": 309,
    "seccomp": 317,
    "getrandom": 318,
    "membarrier": 324,
    "rseq": 334,
}
_ARM64: Final = {
    "close": 57,
    "lseek": 62,
    "read": 63,
    "write": 64,
    "pread64": 67,
    "ppoll": 73,
    "exit": 93,
    "exit_group": 94,
    "set_tid_address": 96,
    "futex": 98,
    "set_robust_list": 99,
    "nanosleep": 101,
    "clock_gettime": 113,
    "clock_getres": 114,
    "clock_nanosleep": 115,
    "sched_getaffinity": 123,
    "sched_yield": 124,
    "restart_syscall": 128,
    "tgkill": 131,
    "sigaltstack": 132,
    "rt_sigaction": 134,
    "rt_sigprocmask": 135,
    "rt_sigreturn": 139,
    "prctl": 167,
    "getcpu": 168,
    "gettimeofday": 169,
    "getpid": 172,
    "gettid": 178,
    "sysinfo": 179,
    "sendto": 206,
    "recvfrom": 207,
    "brk": 214,
    "munmap": 215,
    "mremap": 216,
    "clone": 220,
    "mmap": 222,
    "mprotect": 226,
    "madvise": 233,
    "prlimit64": 261,
    "seccomp": 277,
    "getrandom": 278,
    "membarrier": 283,
    "rseq": 293,
}
MACHINES: Final = {
    "x86_64": Machine(0xC000003E, _X86_64 | _SHARED, foreign_from=0x40000000),
    "aarch64": Machine(0xC00000B7, _ARM64 | _SHARED, foreign_from=None),
}


def this_machine() -> Machine | None:
    """Return this machine's tables; None for an architecture without tables here."""
    return MACHINES.get(platform.machine())


@cache
def libc() -> ctypes.CDLL:
    """Return the C library, with `ctypes.get_errno`."""
    return ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: object) -> int:
    """Make a system call; raises OSError."""
    # Arguments have the width of registers: the kernel reads all bits.
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in (number, *arguments)]
    result = int(libc().syscall(*wide))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def prctl(option: int, argument: int = 0) -> int:
    """Call `prctl` with one argument; raises OSError."""
    result = int(libc().prctl(option, *map(ctypes.c_ulong, (argument, 0, 0, 0))))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
