"""Decoder children: start them ahead of time, talk to one, and make sure it is gone after.

A child serves one source. `take()` hands out the warm spare, so a task does not wait for the
imports (about .3 s); `prepare()` has the next one started in the background. Children are
started by one long-lived thread: Linux sends a child its parent-death signal when the *thread*
that forked it ends.
"""

import array
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
from typing import Final

import msgspec

from streamproc.source import ring, wire
from streamproc.source.errors import DecoderCrashedError

_START_TIMEOUT_S: Final = 30.0
_ROOT: Final = Path(__file__).resolve().parents[2]


class DecoderProcess:
    """One child and the three things shared with it: control socket, bytes socket, ring."""

    def __init__(self) -> None:
        self.control, child_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.bytes, child_bytes = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ring_fd = ring.create_ring()
        fds = (child_control.fileno(), child_bytes.fileno(), ring_fd)
        try:
            self.memory: mmap.mmap | None = mmap.mmap(ring_fd, ring.RING_BYTES)
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-X", "frozen_modules=on", "-m", "streamproc.source.child"),
                    *map(str, (os.getpid(), *fds)),
                ],
                pass_fds=fds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Nothing of the worker's environment: it holds credentials.
                env={"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
            )
        finally:
            child_control.close()
            child_bytes.close()
            os.close(ring_fd)
        self.isolated = False
        self._ended = threading.Lock()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self) -> None:
        """Wait until the child has imported everything; raises `DecoderCrashedError`."""
        message = self.receive(_START_TIMEOUT_S)
        if not isinstance(message, wire.Ready):
            self.end()
            raise DecoderCrashedError("the decoder did not start")
        self.isolated = message.isolated

    def send(self, message: wire.ToChild, fd: int | None = None) -> None:
        """Send one message, with a descriptor if there is one. A dead child is found on receive."""
        rights = (
            [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        )
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.control.sendmsg([wire.encode(message)], rights)

    def receive(self, timeout_s: float) -> wire.FromChild | None:
        """Return the next message, None after `timeout_s` without one.

        Raises `DecoderCrashedError` when the child has died or speaks nonsense.
        """
        poll = select.poll()
        try:
            poll.register(self.control, select.POLLIN)
            if not poll.poll(timeout_s * 1000):
                return None
            data = self._receive_message()
        except (OSError, ValueError):  # ended meanwhile by another thread
            data = b""
        if not data:
            raise DecoderCrashedError(self._death())
        try:
            return wire.decode_from_child(data)
        except msgspec.MsgspecError as exc:
            raise DecoderCrashedError("the decoder sent a message that cannot be read") from exc

    def _receive_message(self) -> bytes:
        """Return a message's bytes, none when the child has hung up.

        A child that ends with releases unread in its queue resets the connection, and Linux
        reports that once, ahead of the messages that are still there.
        """
        try:
            return self.control.recv(wire.MAX_MESSAGE_BYTES)
        except ConnectionResetError:
            return self.control.recv(wire.MAX_MESSAGE_BYTES)

    def end(self) -> None:
        """Kill the child, reap it, close everything. Any thread, any number of times."""
        for side in (self.control, self.bytes):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        with self._ended:
            self._process.kill()
            self._process.wait()
            self.control.close()
            self.bytes.close()
            # Frames still held by someone keep the pages; the mapping goes with the last of them.
            self.memory = None

    def _death(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self._process.wait(timeout=2)
            if status < 0:
                return f"the decoder was ended by {signal.Signals(-status).name}"
            return f"the decoder ended with status {status}"
        return "the decoder hung up"


class _Nursery:
    """The one warm spare of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spare: Future[DecoderProcess] | None = None
        self._starter: ThreadPoolExecutor | None = None
        self._pid = os.getpid()

    def take(self) -> DecoderProcess:
        with self._lock:
            self._forget_after_fork()
            spare, self._spare = self._spare or self._start(), None
        child = spare.result()
        if child._process.poll() is not None:  # noqa: SLF001 - same module
            child.end()
            return self.take()
        child.wait_ready()
        return child

    def prepare(self) -> None:
        with self._lock:
            self._forget_after_fork()
            if self._spare is None:
                self._spare = self._start()

    def end_spare(self) -> None:
        with self._lock:
            spare, self._spare = self._spare, None
            starter, self._starter = self._starter, None
        if spare is not None and self._pid == os.getpid():
            spare.result().end()
        if starter is not None and self._pid == os.getpid():
            starter.shutdown()

    def _start(self) -> Future[DecoderProcess]:
        if self._starter is None:
            self._starter = ThreadPoolExecutor(1, thread_name_prefix="decoder-starter")
        return self._starter.submit(DecoderProcess)

    def _forget_after_fork(self) -> None:
        if self._pid != os.getpid():
            self._spare = self._starter = None
            self._pid = os.getpid()


_nursery = _Nursery()
prepare = _nursery.prepare
"""Start the spare in the background, so that the next task finds it warm."""
take = _nursery.take
"""Return a ready child of one's own; raises `DecoderCrashedError` when none starts."""
end_spare = _nursery.end_spare
"""End the spare (a worker that stops; tests)."""
atexit.register(end_spare)
