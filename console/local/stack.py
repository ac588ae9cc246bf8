"""The driver of an embedded stack: performs what the supervisor decides, in one thread."""

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Protocol

from console.errors import StackError
from console.local import kafka, seaweedfs
from console.local.access import open_project
from console.local.children import Child, ChildSpec, rotate
from console.local.plan import Plan, StackOptions, make_plan
from console.local.ports import LOOPBACK
from console.local.state import DataDirectory, StackState
from console.local.supervisor import GiveUp, Kill, Phase, Restart, Spawn, Supervisor, Terminate

_TICK_STARTING_S = 0.05
_TICK_STEADY_S = 0.5
_PROBE_PAUSE_S = 0.2  # between two looks at one child: each may cost it a query
_ACCESS_DEADLINE_S = 30.0


class Reporter(Protocol):
    """Who is told of a stack's life; called from the stack's own thread."""

    def child_ready(self, name: str, after_s: float) -> None: ...

    def child_died(self, name: str, code: int, restart_s: float | None, log: list[str]) -> None: ...

    def stack_ready(self, state: StackState, after_s: float) -> None: ...

    def stopping(self) -> None: ...


class Stack:
    """One embedded stack on one data directory."""

    def __init__(
        self, options: StackOptions, environ: Mapping[str, str], reporter: Reporter
    ) -> None:
        self._options = options
        self._environ = environ
        self._reporter = reporter
        self._directory = DataDirectory(options.data)
        self._children: dict[str, Child] = {}
        self._specs: dict[str, ChildSpec] = {}
        self._probed_s: dict[str, float] = {}
        self._signals = 0
        self._started_s = 0.0

    def run(self) -> None:
        """Run until a signal or until a child is given up; returns when no child is left.

        Must be called in the main thread. Raises `StackError` when the stack could not go on,
        and `DirectoryInUseError` when another one holds the directory.
        """
        self._started_s = time.monotonic()
        with ExitStack() as cleanup:
            self._directory.prepare()
            cleanup.callback(os.close, self._directory.lock())
            secrets = self._directory.secrets()
            plan = make_plan(self._options, self._directory, secrets, self._environ)
            self._specs = {spec.rules.name: spec for spec in plan.specs}
            for name in self._specs:
                rotate(self._directory.logs / f"{name}.log")
            supervisor = Supervisor([spec.rules for spec in plan.specs])
            cleanup.callback(self._sweep, plan)
            wait = cleanup.enter_context(self._signal_wait())
            self._loop(supervisor, plan, wait)
        if supervisor.failure is not None:
            raise StackError(_failure_text(supervisor.failure))

    def _loop(self, supervisor: Supervisor, plan: Plan, wait: Callable[[float], None]) -> None:
        state: StackState | None = None
        told_s: float | None = None
        hurried = False
        while not supervisor.all_stopped:
            if self._signals and not supervisor.stopping:
                supervisor.stop()
            if self._signals > 1 and not hurried:
                hurried = True
                self._perform(supervisor.hurry())
            if supervisor.stopping and told_s is None:
                told_s = time.monotonic()
                self._directory.forget_running()
                self._reporter.stopping()
            self._reap(supervisor)
            self._perform(supervisor.advance(time.monotonic()))
            self._probe(supervisor)
            if state is None and supervisor.all_ready and not supervisor.stopping:
                state = self._announce(plan)
            wait(_TICK_STEADY_S if supervisor.all_ready else _TICK_STARTING_S)

    def _perform(self, actions: list[Spawn | Terminate | Kill]) -> None:
        for action in actions:
            match action:
                case Spawn(name):
                    log = self._directory.logs / f"{name}.log"
                    self._children[name] = Child(self._specs[name], log, self._directory.root)
                case Terminate(name):
                    self._children[name].terminate()
                case Kill(name):
                    self._children[name].kill()

    def _reap(self, supervisor: Supervisor) -> None:
        for name, child in list(self._children.items()):
            code = child.exit_code()
            if code is None:
                continue
            del self._children[name]
            aftermath = supervisor.exited(name, code, time.monotonic())
            if supervisor.phase(name) is Phase.DONE:
                self._reporter.child_ready(name, self._age_s())
            elif aftermath is not None:
                restart_s = aftermath.delay_s if isinstance(aftermath, Restart) else None
                self._reporter.child_died(name, code, restart_s, child.last_lines())

    def _probe(self, supervisor: Supervisor) -> None:
        for name in self._children:
            probe = self._specs[name].probe
            if probe is None or supervisor.phase(name) is not Phase.STARTING:
                continue
            if time.monotonic() - self._probed_s.get(name, 0.0) < _PROBE_PAUSE_S:
                continue
            if probe():
                supervisor.ready(name, time.monotonic())
                self._reporter.child_ready(name, self._age_s())
            self._probed_s[name] = time.monotonic()

    def _announce(self, plan: Plan) -> StackState:
        """Make sure of the project and its key, and tell the world where the stack is."""
        url = f"http://{LOOPBACK}:{plan.api_port}"
        secrets = self._directory.secrets()
        project, key = open_project(
            url, secrets.admin_key, secrets.project_key, deadline_s=_ACCESS_DEADLINE_S
        )
        if key != secrets.project_key:
            secrets.project_key = key
            self._directory.keep_secrets(secrets)
        state = StackState(
            pid=os.getpid(),
            url=url,
            key=key,
            project=project,
            admin_key=secrets.admin_key,
            kafka=plan.kafka,
            s3=plan.s3,
            clickhouse=plan.clickhouse,
            file_roots=[str(root.resolve()) for root in self._options.file_roots],
            children={name: child.pid for name, child in self._children.items()},
        )
        self._directory.keep_running(state)
        self._reporter.stack_ready(state, self._age_s())
        return state

    def _age_s(self) -> float:
        return time.monotonic() - self._started_s

    def _sweep(self, plan: Plan) -> None:
        """Leave nothing behind, whatever ended the loop."""
        self._directory.forget_running()
        for child in self._children.values():
            child.kill()
            while child.exit_code() is None:
                time.sleep(0.01)
        for path in seaweedfs.sockets(plan.ports):
            path.unlink(missing_ok=True)

    @contextmanager
    def _signal_wait(self) -> Iterator[Callable[[float], None]]:
        """Yield a wait that SIGINT, SIGTERM and SIGCHLD end early; the first two are counted."""

        def count(_number: int, _frame: object) -> None:
            self._signals += 1

        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        handlers = {
            signal.SIGINT: signal.signal(signal.SIGINT, count),
            signal.SIGTERM: signal.signal(signal.SIGTERM, count),
            signal.SIGHUP: signal.signal(signal.SIGHUP, count),
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None),
        }
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


def _failure_text(failure: GiveUp) -> str:
    if failure.name == kafka.NAME and failure.code == kafka.EXIT_NO_JARS:
        return (
            "Apache Kafka's jars cannot be resolved here; "
            "`--kafka memory` runs without them, and nothing survives"
        )
    return f"{failure.name} ended with {failure.code} and is not started again"
