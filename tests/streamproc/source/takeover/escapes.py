"""Every way out of a decoder child that was thought of: files, processes, network, the kernel."""

import contextlib
import ctypes
import errno
import fcntl
import os
import resource
import signal
import socket
import stat
import threading
import time
from pathlib import Path

from tests.streamproc.source.takeover.attempt import (
    BUFFER,
    LIBC,
    Outside,
    Table,
    call,
    checked,
    map_memory,
    raw_call,
)

attempt = Table()
_AT_FDCWD = -100
_READ, _WRITE, _EXEC = 1, 2, 4


def _own_descriptor() -> int:
    """The video's own file: the highest descriptor there is."""
    for fd in range(64, 2, -1):
        with contextlib.suppress(OSError):
            os.lseek(fd, 0, os.SEEK_CUR)
            return fd
    raise OSError(errno.EBADF, "no file is open")


# Files


@attempt("open a file", landlock=True)
def _(outside: Outside) -> None:
    os.close(os.open(outside.path, os.O_RDONLY))


@attempt("open a file in the place of a closed descriptor", landlock=True)
def _(outside: Outside) -> None:
    os.close(0)
    os.open(outside.path, os.O_RDONLY)


@attempt("open a file by the oldest call", needs="kernel", landlock=True)
def _(outside: Outside) -> None:
    call("open", outside.path.encode(), os.O_RDONLY, 0)


@attempt("open a file by openat2", landlock=True)
def _(outside: Outside) -> None:
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
    call("openat2", _AT_FDCWD, outside.path.encode(), how, 24)


@attempt("open a handle", needs="privilege")
def _(outside: Outside) -> None:
    handle = ctypes.create_string_buffer(b"\x80\0\0\0", 136)
    mount_id = ctypes.c_int()
    call("name_to_handle_at", _AT_FDCWD, outside.path.encode(), handle, ctypes.byref(mount_id), 0)
    call("open_by_handle_at", _AT_FDCWD, handle, os.O_RDONLY)


@attempt("overwrite a file", landlock=True)
def _(outside: Outside) -> None:
    os.write(os.open(outside.path, os.O_WRONLY), b"x")


@attempt("create a file", landlock=True)
def _(outside: Outside) -> None:
    os.open(f"{outside.folder}/new", os.O_CREAT | os.O_WRONLY)


@attempt("create a file by creat", needs="kernel", landlock=True)
def _(outside: Outside) -> None:
    call("creat", f"{outside.folder}/newer".encode(), 0o600)


@attempt("open a nameless file", landlock=True)
def _(outside: Outside) -> None:
    os.open(outside.folder, os.O_TMPFILE | os.O_WRONLY)


@attempt("list a folder", landlock=True)
def _(outside: Outside) -> None:
    os.listdir(outside.folder)


@attempt("truncate a file", landlock=True)
def _(outside: Outside) -> None:
    os.truncate(outside.path, 1)


@attempt("rename a file", landlock=True)
def _(outside: Outside) -> None:
    os.rename(outside.path, outside.path + "-")


@attempt("link a file", landlock=True)
def _(outside: Outside) -> None:
    os.link(outside.path, outside.folder + "/link")


@attempt("plant a symbolic link", landlock=True)
def _(outside: Outside) -> None:
    os.symlink("/etc/passwd", outside.folder + "/symlink")


@attempt("delete a file", landlock=True)
def _(outside: Outside) -> None:
    os.unlink(outside.path)


@attempt("make a folder", landlock=True)
def _(outside: Outside) -> None:
    os.mkdir(outside.folder + "/folder")


@attempt("delete a folder", landlock=True)
def _(outside: Outside) -> None:
    os.rmdir(outside.folder + "/empty")


@attempt("make a FIFO", landlock=True)
def _(outside: Outside) -> None:
    os.mkfifo(outside.folder + "/fifo")


@attempt("make a device", needs="privilege", landlock=True)
def _(outside: Outside) -> None:
    os.mknod(outside.folder + "/null", stat.S_IFCHR, os.makedev(1, 3))


@attempt("change a file's mode")
def _(outside: Outside) -> None:
    os.chmod(outside.path, 0o777)


@attempt("change a file's owner")
def _(outside: Outside) -> None:
    os.chown(outside.path, os.getuid(), os.getgid())


@attempt("change a file's times")
def _(outside: Outside) -> None:
    os.utime(outside.path, (1, 1))


@attempt("set an extended attribute", needs="kernel")
def _(outside: Outside) -> None:
    os.setxattr(outside.path, "user.a", b"b")


@attempt("learn whether a file exists")
def _(outside: Outside) -> None:
    os.stat(outside.path)


@attempt("learn whether a file exists by access", needs="kernel")
def _(outside: Outside) -> None:
    call("access", outside.path.encode(), 0)


@attempt("read a link")
def _(_outside: Outside) -> None:
    os.readlink("/proc/self/exe")


@attempt("go to a folder")
def _(outside: Outside) -> None:
    os.chdir(outside.folder)


@attempt("ask about a file system")
def _(outside: Outside) -> None:
    call("statfs", outside.folder.encode(), BUFFER)


@attempt("change the root", needs="privilege")
def _(outside: Outside) -> None:
    os.chroot(outside.folder)


@attempt("mount", needs="privilege")
def _(outside: Outside) -> None:
    call("mount", b"none", outside.folder.encode(), b"nosuchfs", 0, None)


@attempt("mount by the newer calls", needs="privilege")
def _(_outside: Outside) -> None:
    call("fsopen", b"tmpfs", 0)


@attempt("unmount", needs="privilege")
def _(outside: Outside) -> None:
    call("umount2", outside.folder.encode(), 0)


@attempt("turn the mounts over", needs="privilege")
def _(outside: Outside) -> None:
    call("pivot_root", outside.folder.encode(), outside.folder.encode())


@attempt("watch a folder")
def _(outside: Outside) -> None:
    call("inotify_init1", 0)


@attempt("watch a file system", needs="privilege")
def _(_outside: Outside) -> None:
    call("fanotify_init", 0, 0)


@attempt("change the mode of the video's own file")
def _(_outside: Outside) -> None:
    os.fchmod(_own_descriptor(), 0o777)


@attempt("lock the video's own file")
def _(_outside: Outside) -> None:
    fcntl.flock(_own_descriptor(), fcntl.LOCK_EX | fcntl.LOCK_NB)


@attempt("have signals sent by a descriptor")
def _(outside: Outside) -> None:
    fcntl.fcntl(_own_descriptor(), fcntl.F_SETOWN, outside.pid)


@attempt("control a descriptor's device")
def _(_outside: Outside) -> None:
    call("ioctl", _own_descriptor(), 0x5451, 0)  # FIOCLEX


# Descriptors


@attempt("copy a descriptor")
def _(_outside: Outside) -> None:
    call("dup", 1)


@attempt("make a file in memory")
def _(_outside: Outside) -> None:
    call("memfd_create", b"x", 0)


@attempt("make secret memory", needs="kernel")
def _(_outside: Outside) -> None:
    call("memfd_secret", 0)


@attempt("make a pipe")
def _(_outside: Outside) -> None:
    call("pipe2", (ctypes.c_int * 2)(), 0)


@attempt("make an event descriptor")
def _(_outside: Outside) -> None:
    call("eventfd2", 0, 0)


@attempt("make an epoll descriptor")
def _(_outside: Outside) -> None:
    call("epoll_create1", 0)


@attempt("make a timer descriptor")
def _(_outside: Outside) -> None:
    call("timerfd_create", 1, 0)


@attempt("make a signal descriptor")
def _(_outside: Outside) -> None:
    call("signalfd4", -1, (ctypes.c_uint64 * 1)(0), 8, 0)


@attempt("splice", needs="kernel")
def _(_outside: Outside) -> None:
    read, write = os.pipe()
    call("splice", _own_descriptor(), None, write, None, 10, 0)
    os.close(read)


@attempt("raise the number of descriptors")
def _(_outside: Outside) -> None:
    limits = (ctypes.c_uint64 * 2)()
    call("prlimit64", 0, resource.RLIMIT_NOFILE, None, limits)
    call("prlimit64", 0, resource.RLIMIT_NOFILE, limits, None)


# Processes


@attempt("fork")
def _(_outside: Outside) -> None:
    if os.fork() == 0:
        os._exit(0)


@attempt("fork by the oldest call", needs="kernel")
def _(_outside: Outside) -> None:
    if call("fork") == 0:
        os._exit(0)


@attempt("clone a process")
def _(_outside: Outside) -> None:
    if call("clone", int(signal.SIGCHLD), None, None, None, None) == 0:
        os._exit(0)


@attempt("clone a process by clone3")
def _(_outside: Outside) -> None:
    arguments = (ctypes.c_uint64 * 8)(0, 0, 0, 0, int(signal.SIGCHLD), 0, 0, 0)
    if call("clone3", arguments, 64) == 0:
        os._exit(0)


@attempt("run a program", landlock=True)
def _(_outside: Outside) -> None:
    os.execve("/bin/true", ["true"], {})


@attempt("run a descriptor")
def _(_outside: Outside) -> None:
    fd = os.open("/bin/true", os.O_RDONLY)
    arguments = (ctypes.c_char_p * 2)(b"true", None)
    call("execveat", fd, b"", arguments, None, 0x1000)


@attempt("trace a process", needs="kernel")
def _(outside: Outside) -> None:
    call("ptrace", 0x4206, outside.pid, None, None)


@attempt("read a process's memory", needs="kernel")
def _(outside: Outside) -> None:
    _move_memory("process_vm_readv", outside.pid)


@attempt("write a process's memory", needs="kernel")
def _(outside: Outside) -> None:
    _move_memory("process_vm_writev", outside.pid)


@attempt("read a process's environment", landlock=True)
def _(outside: Outside) -> None:
    Path(f"/proc/{outside.pid}/environ").read_bytes()


@attempt("open a process's memory", landlock=True, needs="kernel")
def _(outside: Outside) -> None:
    os.open(f"/proc/{outside.pid}/mem", os.O_RDWR)


@attempt("list a process's descriptors", landlock=True)
def _(outside: Outside) -> None:
    os.listdir(f"/proc/{outside.pid}/fd")


@attempt("compare processes", needs="kernel")
def _(outside: Outside) -> None:
    call("kcmp", os.getpid(), outside.pid, 1, 0, 0)


@attempt("get hold of a process")
def _(outside: Outside) -> None:
    os.pidfd_open(outside.pid)


@attempt("take a process's descriptor", needs="kernel")
def _(outside: Outside) -> None:
    call("pidfd_getfd", os.pidfd_open(outside.pid), 0, 0)


@attempt("signal a process", landlock=True)
def _(outside: Outside) -> None:
    os.kill(outside.pid, signal.SIGCONT)


@attempt("signal a group of processes", landlock=True)
def _(outside: Outside) -> None:
    os.kill(-outside.pid, signal.SIGCONT)


@attempt("signal a thread")
def _(outside: Outside) -> None:
    call("tkill", outside.pid, int(signal.SIGCONT))


@attempt("signal another process's thread")
def _(outside: Outside) -> None:
    call("tgkill", outside.pid, outside.pid, int(signal.SIGCONT))


@attempt("queue a signal", needs="kernel")
def _(outside: Outside) -> None:
    information = (ctypes.c_int * 32)(int(signal.SIGCONT), 0, -1)
    call("rt_sigqueueinfo", outside.pid, int(signal.SIGCONT), information)


@attempt("lower a process's limits")
def _(outside: Outside) -> None:
    call("prlimit64", outside.pid, resource.RLIMIT_CORE, (ctypes.c_uint64 * 2)(0, 0), None)


@attempt("read a process's limits")
def _(outside: Outside) -> None:
    call("prlimit64", outside.pid, resource.RLIMIT_CPU, None, (ctypes.c_uint64 * 2)())


@attempt("change a priority")
def _(_outside: Outside) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, 19)


@attempt("change the scheduling")
def _(_outside: Outside) -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


@attempt("choose a processor")
def _(_outside: Outside) -> None:
    os.sched_setaffinity(0, os.sched_getaffinity(0))


@attempt("change the disk's priority")
def _(_outside: Outside) -> None:
    call("ioprio_set", 1, 0, 2 << 13 | 7)


@attempt("change the user")
def _(_outside: Outside) -> None:
    os.setresuid(os.getuid(), -1, -1)


@attempt("change the groups", needs="privilege")
def _(_outside: Outside) -> None:
    os.setgroups([])


@attempt("set capabilities", needs="kernel")
def _(_outside: Outside) -> None:
    call("capset", (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())


@attempt("leave the process group")
def _(_outside: Outside) -> None:
    os.setpgid(0, 0)


@attempt("outlive the parent")
def _(_outside: Outside) -> None:
    checked(LIBC.prctl(1, 0, 0, 0, 0))


@attempt("be dumpable")
def _(_outside: Outside) -> None:
    checked(LIBC.prctl(4, 1, 0, 0, 0))


@attempt("join a namespace", needs="privilege")
def _(outside: Outside) -> None:
    call("setns", os.open(f"/proc/{outside.pid}/ns/uts", os.O_RDONLY), 0)


@attempt("make a user namespace", needs="kernel")
def _(_outside: Outside) -> None:
    call("unshare", 0x10000000)


@attempt("change the personality")
def _(_outside: Outside) -> None:
    call("personality", 0xFFFFFFFF)


# Network


@attempt("connect by TCP")
def _(outside: Outside) -> None:
    with socket.socket() as client:
        client.connect((b"127.0.0.1", outside.tcp_port))


@attempt("listen for TCP")
def _(_outside: Outside) -> None:
    with socket.socket() as server:
        server.bind((b"127.0.0.1", 0))
        server.listen()


@attempt("send by UDP")
def _(outside: Outside) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", (b"127.0.0.1", outside.tcp_port))


@attempt("connect to a Unix socket")
def _(outside: Outside) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(outside.unix_path)


@attempt("connect to an abstract socket")
def _(outside: Outside) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + outside.abstract)


@attempt("make a pair of sockets")
def _(_outside: Outside) -> None:
    socket.socketpair()


@attempt("speak to the kernel's network")
def _(_outside: Outside) -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


@attempt("speak to the kernel's firewall", needs="kernel")
def _(_outside: Outside) -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12).close()


@attempt("read packets", needs="privilege")
def _(_outside: Outside) -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


@attempt("speak to the hypervisor", needs="kernel")
def _(_outside: Outside) -> None:
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()


@attempt("use the kernel's ciphers", needs="kernel")
def _(_outside: Outside) -> None:
    socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).close()


# The kernel


@attempt("make an io_uring", needs="kernel")
def _(_outside: Outside) -> None:
    call("io_uring_setup", 1, (ctypes.c_uint8 * 120)())


@attempt("make an asynchronous queue", needs="kernel")
def _(_outside: Outside) -> None:
    call("io_setup", 1, (ctypes.c_uint64 * 1)())


@attempt("handle page faults", needs="kernel")
def _(_outside: Outside) -> None:
    call("userfaultfd", 1)


@attempt("add a key", needs="kernel")
def _(_outside: Outside) -> None:
    call("add_key", b"user", b"a", b"b", 1, -3)


@attempt("ask for a key", needs="privilege")
def _(_outside: Outside) -> None:
    call("request_key", b"user", b"a", None, -3)


@attempt("use the keyring", needs="kernel")
def _(_outside: Outside) -> None:
    call("keyctl", 0, -3, 1)


@attempt("load a BPF program", needs="privilege")
def _(_outside: Outside) -> None:
    attributes = (ctypes.c_uint32 * 18)(1, 4, 4, 1)  # BPF_MAP_CREATE, a hash
    call("bpf", 0, attributes, 72)


@attempt("measure the processor", needs="kernel")
def _(_outside: Outside) -> None:
    attributes = ctypes.create_string_buffer(b"\x01\0\0\0\x70\0\0\0", 112)
    call("perf_event_open", attributes, 0, -1, -1, 0)


@attempt("set another filter")
def _(_outside: Outside) -> None:
    call("seccomp", 2, 0, ctypes.byref(ctypes.c_uint32(0x7FFF0000)))  # may an action be used?


@attempt("load a module", needs="privilege")
def _(_outside: Outside) -> None:
    call("init_module", BUFFER, 0, b"")


@attempt("load a module by descriptor", needs="privilege")
def _(_outside: Outside) -> None:
    call("finit_module", _own_descriptor(), b"", 0)


@attempt("load another kernel", needs="privilege")
def _(_outside: Outside) -> None:
    call("kexec_load", 0, 0, None, 0xFFFF)


@attempt("restart the machine", needs="privilege")
def _(_outside: Outside) -> None:
    call("reboot", 0, 0, 0, None)  # wrong magic numbers


@attempt("swap", needs="privilege")
def _(_outside: Outside) -> None:
    call("swapon", b"/nowhere", 0)


@attempt("rename the host", needs="privilege")
def _(_outside: Outside) -> None:
    call("sethostname", socket.gethostname().encode(), len(socket.gethostname()))


@attempt("set the clock", needs="privilege")
def _(_outside: Outside) -> None:
    call("clock_settime", 99, None)  # no such clock


@attempt("read the clock's state")
def _(_outside: Outside) -> None:
    call("adjtimex", ctypes.create_string_buffer(208))


@attempt("read the kernel's log", needs="privilege")
def _(_outside: Outside) -> None:
    call("syslog", 10, None, 0)


@attempt("ask for quotas", needs="privilege")
def _(_outside: Outside) -> None:
    call("quotactl", 0, None, 0, None)


@attempt("use shared memory", needs="kernel")
def _(_outside: Outside) -> None:
    call("shmget", 0, 4096, 0o600)


@attempt("use semaphores", needs="kernel")
def _(_outside: Outside) -> None:
    call("semget", 0, 1, 0o600)


@attempt("use message queues", needs="kernel")
def _(_outside: Outside) -> None:
    call("msgget", 0, 0o600)


@attempt("use POSIX message queues", needs="kernel")
def _(_outside: Outside) -> None:
    call("mq_open", b"framewire-test", os.O_CREAT | os.O_RDWR, 0o600, None)


@attempt("change segments", needs="kernel")
def _(_outside: Outside) -> None:
    call("modify_ldt", 0, BUFFER, 16)


@attempt("get at ports", needs="privilege")
def _(_outside: Outside) -> None:
    call("iopl", 3)


@attempt("move another process's pages", needs="kernel")
def _(outside: Outside) -> None:
    call("move_pages", outside.pid, 0, None, None, None, 0)


@attempt("advise another process's memory", needs="kernel")
def _(_outside: Outside) -> None:
    call("process_madvise", -1, None, 0, 0, 0)


# Memory and conventions


@attempt("map memory to execute")
def _(_outside: Outside) -> None:
    map_memory(4096, _READ | _WRITE | _EXEC)


@attempt("make memory executable")
def _(_outside: Outside) -> None:
    address = map_memory(4096, _READ | _WRITE)
    checked(LIBC.mprotect(ctypes.c_void_p(address), 4096, _READ | _EXEC))


@attempt("make memory executable by a key")
def _(_outside: Outside) -> None:
    call("pkey_mprotect", map_memory(4096, _READ | _WRITE), 4096, _READ | _EXEC, -1)


@attempt("take sixteen gigabytes", errno.ENOMEM)
def _(_outside: Outside) -> None:
    map_memory(16 << 30, 0, 0x4022)


@attempt("take a hundred CPU hours", errno.EPERM)
def _(_outside: Outside) -> None:
    call("prlimit64", 0, resource.RLIMIT_CPU, (ctypes.c_uint64 * 2)(360_000, 360_000), None)


@attempt("start a thread for each of the machine's", errno.EAGAIN, needs="kernel")
def _(_outside: Outside) -> None:
    threading.stack_size(64 << 10)
    for _ in range(4000):
        try:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        except RuntimeError as exc:  # can't start new thread
            raise OSError(errno.EAGAIN, str(exc)) from exc


def call_by_another_convention() -> None:
    """x32's `getpid`: by its number it would be another call than the filter takes it for."""
    raw_call(0x40000000 + 39)


def _move_memory(name: str, pid: int) -> None:
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(BUFFER), 8)
    theirs = (ctypes.c_void_p * 2)(_address_of(pid), 8)
    call(name, pid, vector, 1, theirs, 1, 0)


def _address_of(pid: int) -> int:
    """A page that the process may write; a forked one has the same pages as we have."""
    del pid
    return ctypes.addressof(BUFFER)
