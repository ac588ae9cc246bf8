"""`framewire reindex` and `framewire verify`: maintenance of the index and the archive."""

import os
from pathlib import Path

import click

from console.cli.completion import complete_task
from console.cli.program import run_maintenance_program, run_program, show_report
from console.printable import echo
from console.stack.data_directory import default_data_dir
from console.stack.installed import need_server
from console.stack.maintenance import run_maintenance
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

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")


@click.command
@_DATA
@_YES
@_JSON
@click.option("--empty", is_flag=True, help="Replace the tables: no other rows are left.")
@click.argument("tasks", metavar="[TASK]...", nargs=-1, shell_complete=complete_task)
def reindex(
    data: Path | None, tasks: tuple[str, ...], *, yes: bool, empty: bool, as_json: bool
) -> int:
    """Rebuild ClickHouse's rows from the archive in S3.

    Works on the stores of a local stack, which must be stopped, or on the servers that
    FRAMEWIRE_S3_ENDPOINT and FRAMEWIRE_CLICKHOUSE name.
    """
    if empty and tasks:
        raise click.UsageError("--empty is for all tasks")
    options = [*(["--empty"] if empty else []), *(["--yes"] if yes else [])]
    return _run("reindex", [*options, *tasks], data, key="damaged", as_json=as_json)


@click.command
@_DATA
@_YES
@_JSON
def verify(data: Path | None, *, yes: bool, as_json: bool) -> int:
    """Compare the archive with ClickHouse's rows. Exits with 1 if they differ.

    Works on the stores of a local stack, which must be stopped, or on the servers that
    FRAMEWIRE_S3_ENDPOINT and FRAMEWIRE_CLICKHOUSE name.
    """
    arguments = ["--yes"] if yes else []
    return _run("verify", arguments, data, key="findings", as_json=as_json)


def _run(role: str, arguments: list[str], data: Path | None, *, key: str, as_json: bool) -> int:
    """Run a role on the stores; `key` is a member of its report."""
    need_server()
    if as_json:
        arguments = ["--json", *arguments]
    if data is None and env.S3_ENDPOINT in os.environ and env.CLICKHOUSE in os.environ:
        if not as_json:  # its output appears while it works
            return run_program("streamproc", [role, *arguments], as_json=False)
        code, output = run_maintenance_program(role, arguments)
    else:
        directory = data or default_data_dir(os.environ)
        code, output = run_maintenance(role, arguments, directory, os.environ, Quiet())
    return show_report(output, code, key=key, as_json=as_json)
