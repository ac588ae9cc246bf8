"""Benchmarks one after another, each in a process of its own, and what became of each.

None stops the others: one that lacks something says so (`benchmarks.report`), one that fails is
remembered.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import NOT_MEASURED, PREFIX


@dataclass(frozen=True)
class Outcome:
    """How a benchmark ended; `lacks` is what it said it did not measure, and why."""

    name: str
    exit_code: int
    took_s: float
    lacks: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return self.exit_code not in {0, NOT_MEASURED}

    def __str__(self) -> str:
        if self.failed:
            code = self.exit_code
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            return f"FAILED after {self.took_s:.0f} s ({how})"
        lacks = "; ".join(self.lacks)
        if self.exit_code == NOT_MEASURED:
            return f"not measured: {lacks}"
        return f"measured in {self.took_s:.0f} s" + (f", but not: {lacks}" if lacks else "")


class Suite:
    """The benchmarks of one run, in order."""

    def __init__(self, package: str = "benchmarks") -> None:
        self._package = package
        self._begun_s = time.monotonic()
        self.outcomes: list[Outcome] = []

    def run(self, name: str, *arguments: str) -> None:
        """Run one to its end; what it prints is passed on as it comes."""
        module = f"{self._package}.{name}"
        print(f"\n$ python -m {module} {' '.join(arguments)}".rstrip(), flush=True)
        begun_s = time.monotonic()
        lacks = []
        with subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                if line.startswith(PREFIX):
                    lacks.append(line.removeprefix(PREFIX).strip())
        took_s = time.monotonic() - begun_s
        self.outcomes.append(Outcome(name, process.returncode, took_s, tuple(lacks)))

    def leave_out(self, names: Sequence[str], reason: str) -> None:
        """Note benchmarks that are not run at all."""
        self.outcomes += [Outcome(name, NOT_MEASURED, 0.0, (reason,)) for name in names]

    def fail(self, name: str, reason: str) -> None:
        """Note that something failed which no benchmark ran."""
        print(f"{name}: {reason}", flush=True)
        self.outcomes.append(Outcome(name, 1, 0.0))

    def summary(self) -> str:
        """Return a line for each benchmark: measured, what of it was not, or failed."""
        took_s = time.monotonic() - self._begun_s
        lines = [f"  {outcome.name:<14} {outcome}" for outcome in self.outcomes]
        return "\n".join([f"\nAll benchmarks, in {took_s:.0f} s:", *lines])

    @property
    def exit_code(self) -> int:
        return int(any(outcome.failed for outcome in self.outcomes))
