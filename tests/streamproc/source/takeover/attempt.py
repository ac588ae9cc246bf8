"""An attempt to get out of a decoder child, and the system calls that attempts are made of."""

import ctypes
import errno
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

LIBC = ctypes.CDLL(None, use_errno=True)
X86_64 = platform.machine() == "x86_64"
REFUSED = frozenset({errno.EPERM, errno.ENOSYS})
BUFFER = ctypes.create_string_buffer(4096)


@dataclass(frozen=True)
class Outside:
    """What there is to be got at: a file, a folder, a process and sockets of the same user."""

    path: str
    folder: str
    pid: int
    tcp_port: int
    unix_path: str
    abstract: str


@dataclass(frozen=True)
class Attempt:
    """`run` returns when it came through, and raises OSError when it did not.

    `errors`: how the sandbox answers. `needs`: what it takes to come through without a sandbox.
    `landlock`: refused without seccomp, too.
    """

    name: str
    run: Callable[[Outside], object]
    errors: frozenset[int] = REFUSED
    needs: Literal["nothing", "privilege", "kernel"] = "nothing"
    landlock: bool = False


@dataclass
class Table:
    """The attempts, collected by decorators."""

    attempts: list[Attempt] = field(default_factory=list)

    def __call__(
        self,
        name: str,
        *errors: int,
        needs: Literal["nothing", "privilege", "kernel"] = "nothing",
        landlock: bool = False,
    ) -> Callable[[Callable[[Outside], object]], Callable[[Outside], object]]:
        def add(run: Callable[[Outside], object]) -> Callable[[Outside], object]:
            expected = frozenset(errors) if errors else REFUSED
            self.attempts.append(Attempt(name, run, expected, needs, landlock))
            return run

        return add


# x86-64 and arm64; None: not there.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "open": (2, None),
    "ioctl": (16, 29),
    "access": (21, None),
    "shmget": (29, 194),
    "dup": (32, 23),
    "clone": (56, 220),
    "fork": (57, None),
    "semget": (64, 190),
    "msgget": (68, 186),
    "creat": (85, None),
    "ptrace": (101, 117),
    "syslog": (103, 116),
    "capset": (126, 91),
    "rt_sigqueueinfo": (129, 138),
    "personality": (135, 92),
    "statfs": (137, 43),
    "modify_ldt": (154, None),
    "pivot_root": (155, 41),
    "adjtimex": (159, 171),
    "chroot": (161, 51),
    "mount": (165, 40),
    "umount2": (166, 39),
    "swapon": (167, 224),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "iopl": (172, None),
    "init_module": (175, 105),
    "quotactl": (179, 60),
    "tkill": (200, 130),
    "io_setup": (206, 0),
    "epoll_create1": (291, 20),
    "clock_settime": (227, 112),
    "tgkill": (234, 131),
    "kexec_load": (246, 104),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "ioprio_set": (251, 30),
    "inotify_init1": (294, 26),
    "migrate_pages": (256, 238),
    "unshare": (272, 97),
    "splice": (275, 76),
    "vmsplice": (278, 75),
    "move_pages": (279, 239),
    "timerfd_create": (283, 85),
    "signalfd4": (289, 74),
    "eventfd2": (290, 19),
    "pipe2": (293, 59),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "prlimit64": (302, 261),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "finit_module": (313, 273),
    "seccomp": (317, 277),
    "memfd_create": (319, 279),
    "bpf": (321, 280),
    "execveat": (322, 281),
    "userfaultfd": (323, 282),
    "pkey_mprotect": (329, 288),
    "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425),
    "fsopen": (430, 430),
    "pidfd_open": (434, 434),
    "clone3": (435, 435),
    "openat2": (437, 437),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "memfd_secret": (447, 447),
}


def number(name: str) -> int:
    """Return a system call's number here; raises OSError."""
    found = _NUMBERS[name][0 if X86_64 else 1]
    if found is None:
        raise OSError(errno.ENOSYS, name)
    return found


def call(name: str, *arguments: object) -> int:
    """Make a system call; raises OSError."""
    return raw_call(number(name), *arguments)


def raw_call(at: int, *arguments: object) -> int:
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in (at, *arguments)]
    return checked(LIBC.syscall(*wide))


def checked(result: int) -> int:
    """Raise OSError when a function of the C library says so."""
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def map_memory(size: int, protection: int, flags: int = 0x22) -> int:
    """`mmap`; anonymous and private unless `flags` say otherwise."""
    LIBC.mmap.restype = ctypes.c_void_p
    wide = [ctypes.c_long(a) for a in (size, protection, flags, -1, 0)]
    address = LIBC.mmap(None, *wide)
    if address is None or address == ctypes.c_void_p(-1).value:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(address)
