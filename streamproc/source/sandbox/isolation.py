"""Sandbox of a decoder child: namespaces, capabilities, Landlock, resource limits, seccomp.

`isolate()` runs first, while the process has one thread (namespaces require it) and before it
receives its order: most of the setup time is spent there, when no task waits. `lock_down()` runs
when the last descriptor has arrived and before any byte of a video is read.
"""

import contextlib
import os
import signal
from typing import Final, NamedTuple

from streamproc.contract.sandbox import CAPABILITIES, LANDLOCK, NETWORK_NAMESPACE, SECCOMP
from streamproc.source.sandbox import capabilities, landlock, limits, seccomp
from streamproc.source.sandbox.system_calls import libc, prctl

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_NOBODY: Final = 65534


def prepare() -> None:
    """Compute in advance, before children are forked, what is the same for all of them."""
    capabilities.how_many()
    capabilities.can_become_another_user()
    with contextlib.suppress(OSError):  # the children report that it is missing
        seccomp.prepared()


def die_with(parent_pid: int) -> None:
    """Exit when the parent thread that created this process ends, or at once if it has ended."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(0)


class Isolated(NamedTuple):
    """Result of `isolate` for `lock_down`: open usage files, and parts that this host refused."""

    usage: limits.Usage
    missing: list[str]
    """Names as in `contract.sandbox`."""


def isolate(parent_pid: int) -> Isolated:
    """Become `nobody`, die with the parent, set no_new_privs; drop network, capabilities, files.

    Hosts and containers may refuse namespaces to ordinary users.
    """
    missing = []
    if not _leave_network(parent_pid):
        missing.append(NETWORK_NAMESPACE)
    usage = limits.Usage()
    limits.bound_for_good()
    if not capabilities.drop():
        missing.append(CAPABILITIES)
    try:
        landlock.restrict()
    except OSError:
        missing.append(LANDLOCK)
    return Isolated(usage, missing)


def lock_down(isolated: Isolated, max_pixels: int, cpu_s: int) -> list[str]:
    """Restrict the rest: memory, CPU time, threads, descriptors, system calls.

    Returns the names of all parts that this host refused.
    """
    limits.bound(isolated.usage, max_pixels, cpu_s)
    limits.bound_descriptors()
    try:
        seccomp.restrict()
    except OSError:
        return [*isolated.missing, SECCOMP]
    return isolated.missing


def _leave_network(parent_pid: int) -> bool:
    has_left = False
    if os.geteuid() == 0 and capabilities.can_become_another_user():
        has_left = _unshare(_CLONE_NEWNET)
        _become_nobody()
    die_with(parent_pid)  # after the change of user, which resets the signal
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    prctl(_PR_SET_DUMPABLE, 0)
    if has_left:
        _unshare(_CLONE_NEWUSER)
        return True
    return _unshare(_CLONE_NEWUSER | _CLONE_NEWNET) or _unshare(_CLONE_NEWNET)


def _become_nobody() -> None:
    """Change to user `nobody`, which owns no file and is not the worker's user (root)."""
    with contextlib.suppress(OSError):  # a user namespace may have no `nobody`
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _unshare(flags: int) -> bool:
    return int(libc().unshare(flags)) == 0
