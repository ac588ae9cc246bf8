"""Event loop of supervised children: performs the supervisor's actions, in one thread."""

import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from console.stack import log_files
from console.stack.child_process import Child, ChildSpec
from console.stack.supervisor import GiveUp, Kill, Phase, Restart, Spawn, Supervisor, Terminate

_TICK_STARTING_S = 0.05
_TICK_STEADY_S = 0.5
_LOGS_EVERY_S = 5.0
_PROBE_PAUSE_S = 0.2  # between two probes of one child: each may cost it a query


class ChildReporter(Protocol):
    """Receiver of the children's events; called in the loop's thread."""

    def child_ready(self, name: str, after_s: float) -> None:
        """`after_s`: since the loop was created, or since the restart of a child that had died."""

    def child_died(self, name: str, code: int, restart_s: float | None, log: list[str]) -> None: ...

    def stopping(self) -> None: ...


class ChildrenLoop:
    """Runs children until a signal or `stop`, or until the supervisor gives up one of them."""

    def __init__(
        self, specs: Sequence[ChildSpec], directory: Path, logs: Path, reporter: ChildReporter
    ) -> None:
        self._specs = {spec.rules.name: spec for spec in specs}
        self._directory = directory
        self._logs = logs
        self._reporter = reporter
        self._supervisor = Supervisor([spec.rules for spec in specs])
        self._children: dict[str, Child] = {}
        self._probed_s: dict[str, float] = {}
        self._spawned_s: dict[str, float] = {}
        self._n_signals = 0
        self._cut_s = time.monotonic()
        self._started_s = time.monotonic()

    @property
    def pids(self) -> dict[str, int]:
        return {name: child.pid for name, child in self._children.items()}

    @property
    def age_s(self) -> float:
        """Return the seconds since the loop was created."""
        return time.monotonic() - self._started_s

    def stop(self) -> None:
        """Stop all children in order; `run` returns when none is left."""
        self._supervisor.stop()

    def run(self, on_ready: Callable[[], None]) -> GiveUp | None:
        """Run to the end; call `on_ready` once, when all children are ready for the first time.

        Must be called in the main thread. The first SIGINT, SIGTERM or SIGHUP stops the children
        in order, the second kills them. Returns the `GiveUp`, or None after a requested stop. In
        every case, including an exception, no child is left.
        """
        for name in self._specs:
            log_files.put_aside(self._log(name))
        with ExitStack() as cleanup:
            cleanup.callback(self._sweep)
            wait = cleanup.enter_context(self._signal_wait())
            self._loop(on_ready, wait)
        return self._supervisor.failure

    def _loop(self, on_ready: Callable[[], None], wait: Callable[[float], None]) -> None:
        supervisor = self._supervisor
        was_ready = stop_reported = hurried = False
        while not supervisor.all_stopped:
            if self._n_signals:
                supervisor.stop()
            if self._n_signals > 1 and not hurried:
                hurried = True
                self._perform(supervisor.hurry())
            if supervisor.stopping and not stop_reported:
                stop_reported = True
                self._reporter.stopping()
            self._reap()
            self._perform(supervisor.advance(time.monotonic()))
            self._probe()
            self._cut_logs()
            if supervisor.all_ready and not supervisor.stopping and not was_ready:
                was_ready = True
                on_ready()
            wait(_TICK_STEADY_S if supervisor.all_ready else _TICK_STARTING_S)

    def _perform(self, actions: list[Spawn | Terminate | Kill]) -> None:
        for action in actions:
            match action:
                case Spawn(name):
                    is_first = name not in self._spawned_s
                    self._spawned_s[name] = self._started_s if is_first else time.monotonic()
                    self._children[name] = Child(
                        self._specs[name], self._log(name), self._directory
                    )
                case Terminate(name):
                    self._children[name].terminate()
                case Kill(name):
                    self._children[name].kill()

    def _reap(self) -> None:
        for name, child in list(self._children.items()):
            code = child.exit_code()
            if code is None:
                continue
            del self._children[name]
            aftermath = self._supervisor.exited(name, code, time.monotonic())
            if self._supervisor.phase(name) is Phase.DONE:
                self._reporter.child_ready(name, time.monotonic() - self._spawned_s[name])
            elif aftermath is not None:
                restart_s = aftermath.delay_s if isinstance(aftermath, Restart) else None
                self._reporter.child_died(name, code, restart_s, child.last_lines())

    def _probe(self) -> None:
        for name in self._children:
            probe = self._specs[name].probe
            if probe is None or self._supervisor.phase(name) is not Phase.STARTING:
                continue
            if time.monotonic() - self._probed_s.get(name, 0.0) < _PROBE_PAUSE_S:
                continue
            if probe():
                self._supervisor.ready(name, time.monotonic())
                self._reporter.child_ready(name, time.monotonic() - self._spawned_s[name])
            self._probed_s[name] = time.monotonic()

    def _cut_logs(self) -> None:
        now_s = time.monotonic()
        if now_s - self._cut_s < _LOGS_EVERY_S:
            return
        self._cut_s = now_s
        for name in self._specs:
            try:
                log_files.cut(self._log(name))
            except OSError:  # a full disk must not take the stack down
                continue

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _sweep(self) -> None:
        """Kill and reap all remaining children, in every case."""
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait()

    @contextmanager
    def _signal_wait(self) -> Iterator[Callable[[float], None]]:
        """Yield a wait function that signals, including SIGCHLD, interrupt (`set_wakeup_fd`)."""

        def count(_number: int, _frame: object) -> None:
            self._n_signals += 1

        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        handlers = {
            number: signal.signal(number, count)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)

        def wait(timeout_s: float) -> None:
            if select.select([reading], [], [], timeout_s)[0]:
                reading.recv(4096)

        try:
            yield wait
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            reading.close()
            writing.close()
