"""`framewire reindex` and `framewire verify`: maintenance of the index and the archive."""

import os
import subprocess
import sys
from pathlib import Path

import click

from console.exit_codes import of_process
from console.printable import echo
from console.stack.data_directory import default_data_dir
from console.stack.maintenance import run_maintenance
from console.stack.roles import base_environ
from streamproc.contract import env


class Quiet:
    """Reporter of unexpected ends of a child only; the job writes its own output."""

    def child_ready(self, name: str, after_s: float) -> None:
        """Print nothing."""

    def child_died(self, name: str, code: int, restart_s: float | None, log: list[str]) -> None:
        if restart_s is not None:
            echo(f"{name} ended with {code}, again in {restart_s:g} s", err=True)
            echo("".join(f"  | {line}\n" for line in log), err=True, nl=False)

    def stopping(self) -> None:
        """Print nothing."""


_DATA = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Data directory of the stack."
)

_YES = click.option(
    "--yes", is_flag=True, help="Go on though S3 has no task and the index has some."
)


@click.command
@_DATA
@_YES
@click.option("--empty", is_flag=True, help="Replace the tables: no other rows are left.")
@click.argument("tasks", metavar="[TASK]...", nargs=-1)
def reindex(data: Path | None, tasks: tuple[str, ...], *, yes: bool, empty: bool) -> int:
    """Rebuild ClickHouse's rows from the archive in S3.

    Works on the stores of a local stack, which must be stopped, or on the servers that
    FRAMEWIRE_S3_ENDPOINT and FRAMEWIRE_CLICKHOUSE name.
    """
    if empty and tasks:
        raise click.UsageError("--empty is for all tasks")
    options = [*(["--empty"] if empty else []), *(["--yes"] if yes else [])]
    return _run("reindex", [*options, *tasks], data)


@click.command
@_DATA
@_YES
def verify(data: Path | None, *, yes: bool) -> int:
    """Compare the archive with ClickHouse's rows. Exits with 1 if they differ.

    Works on the stores of a local stack, which must be stopped, or on the servers that
    FRAMEWIRE_S3_ENDPOINT and FRAMEWIRE_CLICKHOUSE name.
    """
    return _run("verify", ["--yes"] if yes else [], data)


def _run(role: str, arguments: list[str], data: Path | None) -> int:
    if data is None and env.S3_ENDPOINT in os.environ and env.CLICKHOUSE in os.environ:
        command = [sys.executable, "-P", "-m", "streamproc", role, *arguments]
        environ = base_environ(os.environ)
        return of_process(subprocess.run(command, env=environ, check=False).returncode)
    directory = data or default_data_dir(os.environ)
    code, output = run_maintenance(role, arguments, directory, os.environ, Quiet())
    echo(output, nl=False)
    return of_process(code)
