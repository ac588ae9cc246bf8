"""Seccomp filter of a decoder: allow list for memory, threads, clocks and open descriptors.

No listed call creates a descriptor, a process or executable memory, or names a file, an address or
another process.
"""

import ctypes
import errno
import os
import resource
import sys
from functools import cache
from typing import Final

from streamproc.source.sandbox import bpf
from streamproc.source.sandbox.bpf import Check, Rule
from streamproc.source.sandbox.system_calls import Machine, syscall, this_machine

_SET_MODE_FILTER: Final = 1
_FLAG_SPEC_ALLOW: Final = 1 << 2
_PROT_EXEC: Final = 4
_NOBODYS_PID: Final = 0x5AFEC0DE  # above the kernel's 2^22
_PR_SET_NAME: Final = 15
_CLONE_THREAD: Final = 0x00010000
_CLONE_NAMESPACES: Final = 0x7E020080
"""CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""

_FREE: Final = (
    # Ordered by how often a decoder calls them.
    *("futex", "recvfrom", "sendto", "pread64", "madvise", "munmap", "sched_yield", "brk"),
    *("poll", "ppoll", "clock_gettime", "clock_nanosleep", "nanosleep", "mremap", "getrandom"),
    *("rt_sigprocmask", "rt_sigaction", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("set_robust_list", "set_tid_address", "rseq", "membarrier", "gettid", "getpid"),
    *("gettimeofday", "time", "clock_getres", "getcpu", "sched_getaffinity", "sysinfo"),
    *("read", "write", "lseek", "close", "exit", "exit_group"),
)


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("n_instructions", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def rules(pid: int) -> tuple[Rule, ...]:
    """Return the allow list of the process `pid`."""
    return (
        Rule("mmap", (Check(2, "lacks", _PROT_EXEC),)),
        Rule("mprotect", (Check(2, "lacks", _PROT_EXEC),)),
        *map(Rule, _FREE),
        Rule("clone", (Check(0, "has", _CLONE_THREAD), Check(0, "lacks", _CLONE_NAMESPACES))),
        Rule("prctl", (Check(0, "is", _PR_SET_NAME),)),
        # Its own CPU time limit, which is raised while it makes progress (`limits.CpuTime`).
        Rule("prlimit64", (Check(0, "is", 0), Check(1, "is", resource.RLIMIT_CPU))),
        Rule("tgkill", (Check(0, "is", pid),)),  # abort()
    )


@cache
def prepared() -> bytes:
    """Return the program for the pid of a process that does not exist; raises OSError.

    Compiling it takes a few per cent of the time to open a video: the fork server does it once,
    before it forks.
    """
    return bpf.program(rules(_NOBODYS_PID), _machine())


def program_for(pid: int) -> bytes:
    """Return the prepared program with its pid replaced by `pid`; raises OSError."""
    known, own = (value.to_bytes(4, sys.byteorder) for value in (_NOBODYS_PID, pid))
    before, found, after = prepared().partition(known)
    if not found or known in after:
        raise OSError(errno.EINVAL, "the pid does not stand once in the program")
    return before + own + after


def restrict() -> None:
    """Deny this thread, and those it starts, all calls that are not listed, permanently.

    Needs no_new_privs; raises OSError.
    """
    install(program_for(os.getpid()), _machine())


def install(instructions: bytes, machine: Machine) -> None:
    """Install a program as filter of this thread's system calls; raises OSError."""
    program = _Program(len(instructions) // 8, instructions)
    number = machine.syscalls["seccomp"]
    # Without the flag, kernels before 5.16 slow down all memory reads of the process. This
    # prevents leaks between parts of one process, but a decoder has no such parts.
    for flags in (_FLAG_SPEC_ALLOW, 0):
        try:
            syscall(number, _SET_MODE_FILTER, flags, ctypes.byref(program))
        except OSError as exc:
            if exc.errno != errno.EINVAL or not flags:
                raise
        else:
            return


def _machine() -> Machine:
    machine = this_machine()
    if machine is None:
        raise OSError(errno.ENOSYS, "no table of system calls for this machine")
    return machine
