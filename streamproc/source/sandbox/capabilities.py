"""Drop all Linux capabilities, including those of a user namespace."""

import contextlib
import ctypes
from functools import cache
from typing import Final

from streamproc.source.sandbox.system_calls import libc, prctl

_PR_CAPBSET_READ: Final = 23
_PR_CAPBSET_DROP: Final = 24
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_VERSION_3: Final = 0x20080522
_CAP_KILL: Final = 5
_CAP_SETGID: Final = 6
_CAP_SETUID: Final = 7
_MOST: Final = 64


class _Header(ctypes.Structure):
    """`struct __user_cap_header_struct`."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Half(ctypes.Structure):
    """`struct __user_cap_data_struct`: 32 capabilities, three sets."""

    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def drop() -> bool:
    """Empty all capability sets; returns whether they are empty.

    The bounding set is unchanged if this process may not change it: with no_new_privs it has no
    effect.
    """
    for capability in range(how_many()):
        with contextlib.suppress(OSError):
            prctl(_PR_CAPBSET_DROP, capability)
    with contextlib.suppress(OSError):  # before Linux 4.3
        prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    libc().capset(ctypes.byref(_header()), (_Half * 2)())
    return not any(half.effective | half.permitted | half.inheritable for half in _sets())


@cache
def how_many() -> int:
    """Return the number of capabilities that this kernel knows."""
    for capability in range(_MOST):
        try:
            prctl(_PR_CAPBSET_READ, capability)
        except OSError:
            return capability
    return _MOST


def can_become_another_user() -> bool:
    """Return whether this process may change its user and signal the other user's processes."""
    needed = 1 << _CAP_KILL | 1 << _CAP_SETGID | 1 << _CAP_SETUID
    return bool(_sets()[0].effective & needed == needed)


def _sets() -> "ctypes.Array[_Half]":
    sets = (_Half * 2)()
    libc().capget(ctypes.byref(_header()), sets)
    return sets


def _header() -> _Header:
    return _Header(_VERSION_3, 0)
