"""Fork server (zygote) of decoder processes: `python -m … fork_server PARENT_PID CONTROL_FD`.

It imports PyAV and numpy once and forks a child for every source. A fork takes milliseconds; a new
interpreter takes a third of a second of a core. It reads no video itself. It has one thread, as
forks and namespaces require.

A request is one byte and three descriptors (control, bytes, frame pool). The answer is `Forked`
with a pidfd, or `ForkFailed`. When a child has exited, the fork server sends `Exited` on the
child's own control socket.
"""

import contextlib
import errno
import gc
import importlib
import os
import pkgutil
import select
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import av.logging
import numpy as np

from models.sizes import InputFit, SourceShape
from streamproc.contract.preview import Box
from streamproc.source.sandbox import annotation, decoder, ipc, isolation
from streamproc.source.types import FrameOutputs
from streamproc.source.video import image

_N_FDS: Final = 3
_FIRST_OWN_FD: Final = 3


@dataclass(frozen=True, slots=True)
class _Child:
    """A live child: its pid, and its end of the socket on which its exit is reported."""

    pid: int
    control_fd: int


class ForkServer:
    """Forks children on requests over `control`, and reports their exits."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._charges: dict[int, _Child] = {}
        """Live children by pidfd."""
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def run(self) -> None:
        """Serve until the worker closes the socket; the children die with this process."""
        while True:
            for fd, _ in self._poll.poll():
                if fd != self._control.fileno():
                    self._reap(fd)
                elif not self._serve():
                    return

    def _serve(self) -> bool:
        """Answer one request; returns False when the worker has closed the socket."""
        data, fds, _, _ = socket.recv_fds(self._control, 1, _N_FDS)
        if not data:
            return False
        try:
            pid, pidfd = self._fork(fds)
        except OSError:
            for fd in fds:
                os.close(fd)
            self._control.send(ipc.encode(ipc.ForkFailed()))
            return True
        control_fd, bytes_fd, ring_fd = fds
        os.close(bytes_fd)
        os.close(ring_fd)
        self._charges[pidfd] = _Child(pid, control_fd)
        self._poll.register(pidfd, select.POLLIN)
        socket.send_fds(self._control, [ipc.encode(ipc.Forked(pid))], [pidfd])
        return True

    def _fork(self, fds: list[int]) -> tuple[int, int]:
        """Return a new child's pid and pidfd; raises OSError when a resource for it is missing."""
        if len(fds) != _N_FDS:
            raise OSError(errno.EMFILE, "no free file descriptor for the request")
        pid = os.fork()
        if pid == 0:
            self._become_child(*fds)
        try:
            return pid, os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    def _reap(self, pidfd: int) -> None:
        charge = self._charges.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(charge.pid, 0)
        with socket.socket(fileno=charge.control_fd) as control, contextlib.suppress(OSError):
            died = ipc.Exited(os.waitstatus_to_exitcode(status))
            control.send(ipc.encode(died), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def _become_child(self, *fds: int) -> None:
        """Close the descriptors of the fork server and other children, decode, and exit."""
        status = 1
        try:
            self._control.detach()
            for fd in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
                if fd >= _FIRST_OWN_FD and fd not in fds:
                    with contextlib.suppress(OSError):  # the listing's own is already closed
                        os.close(fd)
            decoder.serve(os.getppid(), *fds)
            status = 0
        finally:
            os._exit(status)


def warm_up() -> None:
    """Run lazy imports in advance: before the first source, and while files can still be opened.

    PyAV imports the module of a stream's kind at the first stream of that kind.
    """
    av.logging.set_level(None)
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith(("__main__", "datasets")):
            importlib.import_module(module.name)
    np.rot90(np.zeros((2, 2, 3), np.uint8))
    frame = av.VideoFrame(16, 16, "yuv420p")
    outputs = FrameOutputs(full=True, scaled=InputFit(8, 8))
    painter = image.FrameConverter(1, outputs, SourceShape(16, 16))
    full = np.zeros((16, 16, 3), np.uint8)
    painter.paint(frame, full, np.zeros((8, 8, 3), np.uint8))
    annotation.jpeg(full, (Box(1, "a", 0, 0, 8, 8),), 8)
    isolation.prepare()


def main() -> None:
    """Warm up, send `Ready`, serve."""
    isolation.die_with(int(sys.argv[1]))
    control = socket.socket(fileno=int(sys.argv[2]))
    warm_up()
    gc.freeze()  # keeps these pages shared: copy-on-write in the children
    control.send(ipc.encode(ipc.Ready()))
    ForkServer(control).run()


if __name__ == "__main__":
    main()
