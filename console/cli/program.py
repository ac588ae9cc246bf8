"""Programs that do a command's work: `python -m models`, `python -m streamproc`."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from console.errors import ProgramFailedError
from console.exit_codes import ExitCode, of_process
from console.printable import echo, echo_json
from console.stack.roles import base_environ


def run_program(
    module: str, arguments: Sequence[str], *, as_json: bool, line: str | None = None
) -> ExitCode:
    """Run `python -m MODULE` in the caller's environment, with its output and its input.

    `line` replaces its input: what must not stand in an argument list. With `as_json` it is asked
    nothing, and a failure raises `ProgramFailedError`.
    """
    if as_json:
        echo(ask_program(module, arguments, line).decode(errors="replace"), nl=False)
        return ExitCode.DONE
    given = {} if line is None else {"input": f"{line}\n".encode()}
    return of_process(_run(module, *arguments, **given).returncode)


def ask_program(module: str, arguments: Sequence[str], line: str | None = None) -> bytes:
    """Run `python -m MODULE` and return its output; raises `ProgramFailedError`."""
    given = b"" if line is None else f"{line}\n".encode()
    done = _run(module, *arguments, input=given, capture_output=True)
    code = of_process(done.returncode)
    if code is not ExitCode.DONE:
        raise ProgramFailedError(_last_line(done.stderr, module), code)
    return done.stdout


def run_maintenance_program(role: str, arguments: Sequence[str]) -> tuple[int, str]:
    """Run a role of the stream processor to its end; return its exit code and its output."""
    done = _run(
        "streamproc",
        role,
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def show_report(output: str, returncode: int, *, key: str, as_json: bool) -> ExitCode:
    """Print what a role wrote; with `as_json` only its report, the object that has `key`.

    The output may have lines of its log, too. Raises `ProgramFailedError` if there is no report.
    """
    code = of_process(returncode)
    if not as_json:
        echo(output, nl=False)
        return code
    for line in reversed(output.splitlines()):
        if _is_report(line, key):
            echo_json(line.encode())
            return code
    failure = ExitCode.FAILED if code is ExitCode.DONE else code
    raise ProgramFailedError(_last_line(output.encode(), "the program"), failure)


def _run(module: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a module of ours to its end; `options` are those of `subprocess.run`."""
    command = [sys.executable, "-P", "-m", module, *arguments]
    return subprocess.run(command, env=base_environ(os.environ), check=False, **options)


def _is_report(line: str, key: str) -> bool:
    try:
        value = json.loads(line)
    except ValueError:
        return False
    return isinstance(value, dict) and key in value


def _last_line(output: bytes, module: str) -> str:
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"{module} ended with an error"
