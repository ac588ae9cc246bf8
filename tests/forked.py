"""Programs forked from a process that has loaded their modules already: the roles, and the api.

A worker's modules take two seconds of CPU time to load, and the tests start a hundred workers. So
one process of each test run loads them, and forks for each start; what runs in the child is the
program itself, with its own environment. `framewire up`, the deployment's tests and the chaos runs
start their roles with a new interpreter.

The server ends with the test process, and its children end with it.
"""

import contextlib
import gc
import importlib
import inspect
import os
import random
import select
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tests.ports import die_with_parent

_ROOT = Path(__file__).parents[1]
_MAX_MESSAGE_BYTES = 1 << 20
_MAX_DESCRIPTOR = 1024


class _Order(msgspec.Struct):
    module: str
    arguments: list[str]
    environ: dict[str, str]


class ForkedProcess:
    """A forked program, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, pid: int, status: int) -> None:
        """`status` is a pipe's end from which the exit status can be read once there is one."""
        self.pid = pid
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""
        self._look(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once there is one. Raises `subprocess.TimeoutExpired`."""
        self._look(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(["forked program"], timeout or 0.0)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        """Send a signal unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout_s: float | None) -> None:
        """Take the exit code if there is one within this time; None: wait for it."""
        if self.returncode is not None:
            return
        waiting = select.poll()  # select() refuses descriptors from 1024 on; chDB opens hundreds
        waiting.register(self._status, select.POLLIN)
        if waiting.poll(None if timeout_s is None else timeout_s * 1000):
            text = os.read(self._status, 16)
            os.close(self._status)
            self.returncode = int(text) if text else -signal.SIGKILL  # the server was killed


class _Server:
    """The process that forks, as its parent sees it; started when first asked for a program."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
                cwd=_ROOT,
                pass_fds=[theirs.fileno()],
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no lock
            )

    def fork(self, order: _Order, log: Path) -> ForkedProcess:
        ours, theirs = os.pipe()
        with log.open("ab") as output:
            message = msgspec.msgpack.encode(order)
            socket.send_fds(self._control, [message], [output.fileno(), theirs])
        os.close(theirs)
        return ForkedProcess(int(self._control.recv(32)), ours)


_servers: dict[int, _Server] = {}


def fork_program(
    module: str, arguments: Sequence[str], environ: Mapping[str, str], log: Path
) -> ForkedProcess:
    """Start `python -m MODULE ARGUMENTS` by a fork; its output is appended to `log`.

    The module has a function `main` and does nothing else when it is imported.
    """
    server = _servers.get(os.getpid())
    if server is None:
        server = _servers[os.getpid()] = _Server()
    return server.fork(_Order(module, [*arguments], dict(environ)), log)


def _serve(control: socket.socket) -> None:
    """Fork for every order, and write each child's exit code into its pipe."""
    _prepare()
    gc.collect()
    gc.freeze()
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    message, fds, _, _ = socket.recv_fds(control, _MAX_MESSAGE_BYTES, 2)
                    if not message:
                        return
                    output, status = fds
                    order = msgspec.msgpack.decode(message, type=_Order)
                    importlib.import_module(order.module)  # the next one has it already
                    pid = _fork(order, output, status)
                    os.close(output)
                    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, status))
                    control.send(b"%d" % pid)
                else:
                    pid, status = key.data
                    _, ended = os.waitpid(pid, 0)
                    with contextlib.suppress(BrokenPipeError):
                        os.write(status, b"%d" % os.waitstatus_to_exitcode(ended))
                    os.close(status)
                    selector.unregister(key.fileobj)
                    os.close(key.fd)


def _prepare() -> None:
    """Do once what every worker would do at its start, and what a fork takes along."""
    import streamproc.worker.process  # noqa: F401 - this process's alone
    from streamproc.clients.s3 import open_client
    from streamproc.contract.store_settings import StoreSettings

    # Faust asks where its agent was defined: Python then looks up the file of every module.
    inspect.getmodule(sys._getframe())
    # The session of `tests.workers`, which has read S3's model.
    open_client(StoreSettings("http://127.0.0.1:9", "framewire", "test", "test"))


def _fork(order: _Order, output: int, status: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        die_with_parent()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, _MAX_DESCRIPTOR)
        os.environ.clear()
        os.environ.update(order.environ)
        random.seed()
        code = _run(order)
    except BaseException:  # noqa: BLE001 - the child's edge
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(order: _Order) -> int:
    sys.argv = [order.module, *order.arguments]
    try:
        code: int = importlib.import_module(order.module).main()
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 1
    return code


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
