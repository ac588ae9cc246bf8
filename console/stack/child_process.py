"""Child processes with a log file, killed by the kernel if the parent dies (PR_SET_PDEATHSIG).

Every child is the leader of its own process group, so a Ctrl-C reaches only `framewire up`. On
Linux, it receives SIGKILL when its parent thread dies. Start children from the main thread: the
signal is bound to the thread that forked.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from console.stack.probes import Probe
from console.stack.supervisor import Rules

_PR_SET_PDEATHSIG = 1
_TAIL_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """Specification of a child: supervision rules, command, environment and readiness probe.

    `probe` is None for a one-shot. `ready_file` is removed before each start.
    """

    rules: Rules
    command: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)
    probe: Probe | None = None
    ready_file: Path | None = None


class Child:
    """One running process of a spec."""

    def __init__(self, spec: ChildSpec, log: Path, cwd: Path) -> None:
        if spec.ready_file is not None:
            spec.ready_file.unlink(missing_ok=True)
        self._log = log
        with log.open("ab") as out:
            self._log_start = out.tell()
            self._process = subprocess.Popen(
                list(spec.command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(spec.environ),
                cwd=cwd,
                process_group=0,
                preexec_fn=bound_to(os.getpid()),  # noqa: PLW1509 - no other thread exists
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code if the process has ended (negative: a signal), else None.

        Other processes in its group are killed before the process is reaped, so that the group id
        cannot be reused.
        """
        if self._process.returncode is not None:
            return self._process.returncode
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return self._process.poll()
        if ended is None:
            return None
        self.kill()
        return self._process.wait()

    def terminate(self) -> None:
        """Send SIGTERM to the process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait until the process ends and return its exit code."""
        return self._process.wait()

    def last_lines(self, n_lines: int = 12) -> list[str]:
        """Return the last non-empty lines that this process wrote, oldest first."""
        try:
            with self._log.open("rb") as file:
                size = self._log.stat().st_size
                start = self._log_start if self._log_start <= size else 0  # else: truncated
                file.seek(max(start, size - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()][-n_lines:]


def bound_to(parent: int) -> Callable[[], None] | None:
    """Return a `preexec_fn` that makes the kernel kill the child when `parent` dies (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return bind
