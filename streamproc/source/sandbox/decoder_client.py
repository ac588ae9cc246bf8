"""Client of the fork server and of decoder children: start one, exchange messages, end it.

A child serves one source. `take()` returns a child that was forked in advance. It is already
isolated from the network and waits for its order, so that a source does not wait for this. One
long-lived thread starts the fork server and requests the advance forks: Linux sends a process its
parent-death signal when the *thread* that created it ends.
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
    """The fork server does not answer any more."""


class DecoderProcess:
    """One child and what is shared with it: control socket, bytes socket, frame pool."""

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
        """Wait until the child has entered its sandbox; raises `DecoderCrashedError`."""
        message = self.receive(_START_TIMEOUT_S)
        if not isinstance(message, ipc.Started):
            raise DecoderCrashedError(_NOT_STARTED)
        self.started, self.isolated = True, message.isolated

    @property
    def waits(self) -> bool:
        """Whether the child is alive and has sent nothing since it started."""
        return not _readable(self.control, 0)

    def send(self, message: ipc.ToChild, fd: int | None = None) -> None:
        """Send one message, optionally with a descriptor. A dead child is detected by `receive`."""
        with contextlib.suppress(OSError):  # closed by the child or by another thread
            _send(self.control, ipc.encode(message), *([] if fd is None else [fd]))

    def receive(self, timeout_s: float) -> ipc.FromChild | None:
        """Return the next message, None after `timeout_s` without one.

        Raises `DecoderCrashedError` when the child has died or sent an invalid message.
        """
        try:
            if not _readable(self.control, timeout_s):
                return None
            data = self._receive_message()
        except (OSError, ValueError):  # ended meanwhile by another thread
            data = b""
        if not data:
            raise DecoderCrashedError("the decoder closed its connection")
        try:
            message = ipc.decode_from_child(data)
        except msgspec.MsgspecError as exc:
            raise DecoderCrashedError("the decoder sent an invalid message") from exc
        if isinstance(message, ipc.Exited):
            raise DecoderCrashedError(_death(message.status))
        return message

    def _receive_message(self) -> bytes:
        """Return a message's bytes, empty when the child has closed the socket.

        A child that ends with unread `Release` messages in its queue resets the connection. Linux
        reports the reset once, before the messages that are still queued.
        """
        try:
            return self.control.recv(ipc.MAX_MESSAGE_BYTES)
        except ConnectionResetError:
            return self.control.recv(ipc.MAX_MESSAGE_BYTES)

    def end(self) -> None:
        """Kill the child, wait for its exit, close everything. Thread-safe and idempotent."""
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
            # Frames in use keep the pages; the mapping is freed with the last of them.
            self.memory = None


class _ForkServer:
    """Handle of this process's fork server: started on first use, restarted when it has died."""

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
        """Let the starter thread fork the next child. Called with the lock held."""
        if self._starter is not None:
            with contextlib.suppress(RuntimeError):  # this process is exiting
                self._starter.submit(self._refill)

    def _refill(self) -> None:
        with self._lock, contextlib.suppress(DecoderCrashedError):  # `take` tries again and raises
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
        if self._pid != os.getpid():  # after a fork these belong to the other process
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
    """A running fork server process and the socket for fork requests."""

    MODULE: ClassVar = "streamproc.source.sandbox.fork_server"
    """Module that the interpreter runs; tests and benchmarks replace it."""

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
            # Nothing of the worker's environment: it contains credentials.
            env={"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
        )

    def fork(self) -> DecoderProcess:
        """Return a new child.

        Raises `_ForkServerGoneError`, and `DecoderCrashedError` when it cannot fork another one.
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
        """Kill the fork server and thereby its remaining children; reap it."""
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
    """Return the child when it has started; else end it and raise `DecoderCrashedError`."""
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
        return "the decoder reached its CPU time limit without progress"
    number = -status
    if number in signal.Signals.__members__.values():
        return f"the decoder was killed by {signal.Signals(number).name}"
    return f"the decoder ended with status {status}"


def probe_sandbox() -> Sandbox:
    """Return the state of a decoder's sandbox on this host; raises `DecoderCrashedError`."""
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
"""Start the fork server in the background, so that it is warm for the first task."""
take = _fork_server.take
"""Return a child for exclusive use; raises `DecoderCrashedError` when none starts."""
end_fork_server = _fork_server.end
"""End the fork server (when a worker stops; in tests); running decoders end with it."""
atexit.register(end_fork_server)
