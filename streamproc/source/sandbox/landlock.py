"""Landlock sandbox: denies every right that this kernel's Landlock version supports.

Descriptors that are already open stay usable.
"""

import ctypes
import os
from typing import Final

from streamproc.source.sandbox.system_calls import syscall, this_machine

_VERSION: Final = 1  # LANDLOCK_CREATE_RULESET_VERSION
_FS_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
"""Number of file system rights by version; later versions have `_ALL_FS_RIGHTS`."""
_ALL_FS_RIGHTS: Final = 16
_NET_SINCE: Final = 4
_SCOPES_SINCE: Final = 6
_BIND_AND_CONNECT: Final = 0b11
_SIGNALS_AND_ABSTRACT_SOCKETS: Final = 0b11


class _Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`; older versions know only its first fields."""

    _fields_ = (
        ("fs", ctypes.c_uint64),
        ("net", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


def restrict() -> None:
    """Remove all Landlock rights from this thread and those it starts, permanently.

    Needs no_new_privs and one free descriptor; raises OSError (ENOSYS, EOPNOTSUPP: the kernel has
    no Landlock).
    """
    create, restrict_self = _numbers()
    version = syscall(create, None, 0, _VERSION)
    ruleset = _Ruleset(
        fs=(1 << _FS_RIGHTS.get(version, _ALL_FS_RIGHTS)) - 1,
        net=_BIND_AND_CONNECT,
        scopes=_SIGNALS_AND_ABSTRACT_SOCKETS,
    )
    size_bytes = 8 if version < _NET_SINCE else 16 if version < _SCOPES_SINCE else 24
    fd = syscall(create, ctypes.byref(ruleset), size_bytes, 0)
    try:
        syscall(restrict_self, fd, 0)
    finally:
        os.close(fd)


def _numbers() -> tuple[int, int]:
    machine = this_machine()
    if machine is None:
        return 444, 446  # recent calls have the same number on all machines
    return machine.syscalls["landlock_create_ruleset"], machine.syscalls["landlock_restrict_self"]
