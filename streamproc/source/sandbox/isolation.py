"""The walls around a decoder child, in the order in which they go up.

`isolate()` runs first, while the process has one thread (namespaces demand it) and waits for its
order: most of the time that the walls take is spent there, when nobody waits. `lock_down()` runs
when the last descriptor has arrived and before a byte of a video is looked at.
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
    """Find out and make, before children are forked, what is the same for each of them."""
    capabilities.how_many()
    capabilities.can_become_another_user()
    with contextlib.suppress(OSError):  # the children say that it is missing
        seccomp.prepared()


def die_with(parent_pid: int) -> None:
    """End when the parent's thread that made this process ends, or at once if it has already."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(0)


class Isolated(NamedTuple):
    """What `lock_down` needs of `isolate`: what to read, and the parts that this host refused."""

    usage: limits.Usage
    missing: list[str]
    """By their names in `contract.sandbox`."""


def isolate(parent_pid: int) -> Isolated:
    """Be nobody, die with the parent, gain nothing by exec; leave network, capabilities, files.

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
    """Give up what is left: memory, CPU time, threads, descriptors, system calls.

    Returns all parts that this host refused.
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
    die_with(parent_pid)  # after the change of user, which undoes it
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    prctl(_PR_SET_DUMPABLE, 0)
    if has_left:
        _unshare(_CLONE_NEWUSER)
        return True
    return _unshare(_CLONE_NEWUSER | _CLONE_NEWNET) or _unshare(_CLONE_NEWNET)


def _become_nobody() -> None:
    """Own no file and share no user with the worker, where that is the superuser."""
    with contextlib.suppress(OSError):  # a user namespace may not know nobody
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _unshare(flags: int) -> bool:
    return int(libc().unshare(flags)) == 0
