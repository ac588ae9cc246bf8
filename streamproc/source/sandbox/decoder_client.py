"""Decoder children as the worker sees them: get one, talk to it, and make sure it is gone after.

A child serves one source. `take()` returns one that the nursery has forked ahead: it has left the
network and waits for its order, so that a source is not kept waiting for that. The nursery is
started by one long-lived thread, which forks the children ahead, too: Linux sends a process its
parent-death signal when the *thread* that made it ends.
"""

import atexit
import contextlib
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from streamproc.contract.sandbox import Sandbox
from streamproc.source.errors import DecoderCrashedError
from streamproc.source.sandbox import frame_pool, ipc

_START_TIMEOUT_S: Final = 30.0
_ROOT: Final = Path(__file__).resolve().parents[3]
_NOT_STARTED: Final = "the decoder did not start"


class _ForkServerGoneError(DecoderCrashedError):
    """The nursery does not answer any more."""


class DecoderProcess:
    """One child and the three things shared with it: control socket, bytes socket, ring."""

    def __init__(
        self,
        control: socket.socket,
        served: socket.socket,
        memory: mmap.mmap,
        pid: int,
        pidfd: int,
    ) -> None:
        self.control, self.bytes = control, served
        self.memory: mmap.mmap | None = memory
        self.pid = pid
        self.started = self.isolated = False
        self._pidfd: int | None = pidfd
        self._ending = threading.Lock()

    def wait_started(self) -> None:
        """Wait until the child is in its sandbox; raises `DecoderCrashedError`."""
        message = self.receive(_START_TIMEOUT_S)
        if not isinstance(message, ipc.Started):
            raise DecoderCrashedError(_NOT_STARTED)
        self.started, self.isolated = True, message.isolated

    @property
    def waits(self) -> bool:
        """Whether it is alive and has said nothing since it started."""
        return not _readable(self.control, 0)

    def send(self, message: ipc.ToChild, fd: int | None = None) -> None:
        """Send one message, with a descriptor if there is one. A dead child is found on receive."""
        with contextlib.suppress(OSError):  # hung up, or ended meanwhile by another thread
            _send(self.control, ipc.encode(message), *([] if fd is None else [fd]))

    def receive(self, timeout_s: float) -> ipc.FromChild | None:
        """Return the next message, None after `timeout_s` without one.

        Raises `DecoderCrashedError` when the child has died or speaks nonsense.
        """
        try:
            if not _readable(self.control, timeout_s):
                return None
            data = self._receive_message()
        except (OSError, ValueError):  # ended meanwhile by another thread
            data = b""
        if not data:
            raise DecoderCrashedError("the decoder hung up")
        try:
            message = ipc.decode_from_child(data)
        except msgspec.MsgspecError as exc:
            raise DecoderCrashedError("the decoder sent a message that cannot be read") from exc
        if isinstance(message, ipc.Exited):
            raise DecoderCrashedError(_death(message.status))
        return message

    def _receive_message(self) -> bytes:
        """Return a message's bytes, none when the child has hung up.

        A child that ends with releases unread in its queue resets the connection, and Linux
        reports that once, ahead of the messages that are still there.
        """
        try:
            return self.control.recv(ipc.MAX_MESSAGE_BYTES)
        except ConnectionResetError:
            return self.control.recv(ipc.MAX_MESSAGE_BYTES)

    def end(self) -> None:
        """Kill the child, wait for its death, close everything. Any thread, any number of times."""
        for side in (self.control, self.bytes):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        with self._ending:
            if self._pidfd is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
                _readable(self._pidfd, _START_TIMEOUT_S)
                os.close(self._pidfd)
                self._pidfd = None
            self.control.close()
            self.bytes.close()
            # Frames still held by someone keep the pages; the mapping goes with the last of them.
            self.memory = None


class _ForkServer:
    """The nursery of this process: started when it is first needed, again when it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Future[_RunningForkServer] | None = None
        self._ahead: DecoderProcess | None = None
        self._starter: ThreadPoolExecutor | None = None
        self._pid = os.getpid()

    def take(self) -> DecoderProcess:
        with self._lock:
            running = self._start()
            child, self._ahead = self._ahead, None
            if child is None or not child.waits:
                if child is not None:
                    child.end()
                try:
                    child = running.result().fork()
                except _ForkServerGoneError:
                    self._end()
                    child = self._start().result().fork()
            self._fork_ahead()
        if child.started:
            return child
        return _started(child)

    def prepare(self) -> None:
        with self._lock:
            self._start()
            if self._ahead is None:
                self._fork_ahead()

    def _fork_ahead(self) -> None:
        """Have the starter fork the next child. Called with the lock."""
        if self._starter is not None:
            with contextlib.suppress(RuntimeError):  # this process is ending
                self._starter.submit(self._refill)

    def _refill(self) -> None:
        with self._lock, contextlib.suppress(DecoderCrashedError):  # who takes one hears of it
            running = self._running
            if running is not None and self._ahead is None:
                self._ahead = _started(running.result().fork())

    def end(self) -> None:
        with self._lock:
            self._end()
            starter, self._starter = self._starter, None
        if starter is not None and self._pid == os.getpid():
            starter.shutdown()

    def _start(self) -> "Future[_RunningForkServer]":
        if self._pid != os.getpid():  # forked: they are the other process's
            self._running = self._starter = self._ahead = None
            self._pid = os.getpid()
        if self._starter is None:
            self._starter = ThreadPoolExecutor(1, thread_name_prefix="fork-server-starter")
        if self._running is None:
            self._running = self._starter.submit(_RunningForkServer)
        return self._running

    def _end(self) -> None:
        running, self._running = self._running, None
        ahead, self._ahead = self._ahead, None
        if ahead is not None and self._pid == os.getpid():
            ahead.end()
        if running is not None and self._pid == os.getpid() and running.exception() is None:
            running.result().end()


class _RunningForkServer:
    """The nursery process and the socket on which children are asked for."""

    MODULE: ClassVar = "streamproc.source.sandbox.fork_server"
    """Run by the interpreter; tests and benchmarks put another one in its place."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ready = False
        with theirs:
            try:
                self._process = self._started(theirs.fileno())
            except OSError as exc:
                self._control.close()
                raise _ForkServerGoneError(_NOT_STARTED) from exc

    @classmethod
    def _started(cls, control_fd: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                *(sys.executable, "-X", "frozen_modules=on", "-m", cls.MODULE),
                *map(str, (os.getpid(), control_fd)),
            ],
            pass_fds=(control_fd,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Nothing of the worker's environment: it holds credentials.
            env={"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
        )

    def fork(self) -> DecoderProcess:
        """Return a new child.

        Raises `_ForkServerGoneError`, and `DecoderCrashedError` when it has no room for another.
        """
        if not self._ready:
            self._receive()
            self._ready = True
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            ring_fd = frame_pool.create_pool()
            theirs.callback(os.close, ring_fd)
            control, child_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.enter_context(control)
            theirs.enter_context(child_control)
            served, child_bytes = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            ours.enter_context(served)
            theirs.enter_context(child_bytes)
            memory = mmap.mmap(ring_fd, frame_pool.RING_BYTES)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                _send(self._control, b"\0", child_control.fileno(), child_bytes.fileno(), ring_fd)
            born, pidfd = self._receive()
            if not isinstance(born, ipc.Forked) or pidfd is None:
                raise DecoderCrashedError(_NOT_STARTED)
            ours.pop_all()
            return DecoderProcess(control, served, memory, born.pid, pidfd)

    def end(self) -> None:
        """Kill it, and with it the children that are left; reap it."""
        self._process.kill()
        self._process.wait()
        self._control.close()

    def _receive(self) -> tuple[ipc.FromForkServer, int | None]:
        data, fds = b"", list[int]()
        with contextlib.suppress(ConnectionResetError):
            if _readable(self._control, _START_TIMEOUT_S):
                data, fds, _, _ = socket.recv_fds(self._control, ipc.MAX_MESSAGE_BYTES, 1)
        if not data:
            raise _ForkServerGoneError(_NOT_STARTED)
        return ipc.decode_from_fork_server(data), fds[0] if fds else None


def _started(child: DecoderProcess) -> DecoderProcess:
    """Return the child when it has started; else it is ended, and `DecoderCrashedError` raised."""
    try:
        child.wait_started()
    except BaseException:
        child.end()
        raise
    return child


def _send(to: socket.socket, data: bytes, *fds: int) -> None:
    if fds:
        socket.send_fds(to, [data], fds)
    else:
        to.send(data)


def _readable(fd: socket.socket | int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def _death(status: int) -> str:
    if status == -signal.SIGXCPU:
        return "the decoder used up its CPU time without getting on"
    number = -status
    if number in signal.Signals.__members__.values():
        return f"the decoder was ended by {signal.Signals(number).name}"
    return f"the decoder ended with status {status}"


def probe_sandbox() -> Sandbox:
    """Return what a decoder's sandbox is on this host; raises `DecoderCrashedError`."""
    child = take()
    try:
        child.send(ipc.Probe())
        answer = child.receive(_START_TIMEOUT_S)
    finally:
        child.end()
    if not isinstance(answer, ipc.LockedDown):
        raise DecoderCrashedError(_NOT_STARTED)
    return Sandbox(answer.missing)


_fork_server = _ForkServer()
prepare = _fork_server.prepare
"""Start the nursery in the background, so that the first task finds it warm."""
take = _fork_server.take
"""Return a child of one's own; raises `DecoderCrashedError` when none starts."""
end_fork_server = _fork_server.end
"""End the nursery (a worker that stops; tests); what decodes ends with it."""
atexit.register(end_fork_server)
