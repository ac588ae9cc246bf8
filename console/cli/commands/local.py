"""`framewire env` and `framewire logs`: the local stack's address, and what its children wrote."""

import itertools
import json
import os
import shlex
import sys
import time
from pathlib import Path

import click

from console.cli.terminal import Terminal
from console.errors import StackError, UnreachableError
from console.printable import echo, echo_json
from console.similar_names import did_you_mean
from console.stack.data_directory import DataDirectory, default_data_dir
from console.stack.log_tail import LogTail, appended, log_names
from streamproc.contract import env

_LOOK_S = 0.25
_MAX_LINES = 10_000
_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=env.DATA,
    show_envvar=True,
    help="Data directory of the stack; by default that of this user.",
)


@click.command("env")
@_DATA
@click.option("--admin", is_flag=True, help="With the operator's key, too.")
@click.option(
    "--shell",
    type=click.Choice(["sh", "fish"]),
    default="sh",
    show_default=True,
    help="Whose syntax: sh is that of bash and zsh as well.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
def environment(data: Path | None, shell: str, *, admin: bool, as_json: bool) -> None:
    """Print the variables that name the running local stack: eval "$(framewire env)".

    They have its keys, for curl and other programs. For fish: framewire env --shell fish | source.
    """
    directory = DataDirectory(data or default_data_dir(os.environ))
    running = directory.running()
    if running is None:
        raise UnreachableError(
            f"no stack is running on {directory.root}: start one with `framewire up`"
        )
    variables = {env.URL: running.url, env.KEY: running.key}
    if admin:
        variables[env.ADMIN_KEY] = running.admin_key
    if as_json:
        Terminal(as_json=True).show(variables)
        return
    for name, value in variables.items():
        quoted = shlex.quote(value)
        click.echo(f"set -gx {name} {quoted}" if shell == "fish" else f"export {name}={quoted}")
    if sys.stdout.isatty():
        echo('# to set them here: eval "$(framewire env)"', err=True)


def _complete_role(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    directory = DataDirectory(context.params.get("data") or default_data_dir(os.environ))
    return [name for name in log_names(directory.logs) if name.startswith(incomplete)]


@click.command
@click.argument("roles", metavar="[ROLE]...", nargs=-1, shell_complete=_complete_role)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is appended, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    "n_lines",
    type=click.IntRange(0, _MAX_LINES),
    default=20,
    show_default=True,
    help="Last lines of each log to begin with.",
)
@_DATA
@click.option("--json", "as_json", is_flag=True, help="Print each line as a JSON object.")
def logs(
    roles: tuple[str, ...], data: Path | None, n_lines: int, *, follow: bool, as_json: bool
) -> None:
    """Show the logs of the local stack's children: of all, or of api, kafka, worker-1 and so on.

    The stack need not run: the logs of its last start stay.
    """
    directory = DataDirectory(data or default_data_dir(os.environ))
    known = log_names(directory.logs)
    if not known:
        raise StackError(f"no stack has been up on {directory.root}: there are no logs")
    for role in roles:
        if role not in known:
            raise click.UsageError(
                f"there is no log of {role!r}{did_you_mean(role, known)}; "
                f"there are: {', '.join(known)}"
            )
    wanted = roles or known
    width = max(map(len, wanted)) if len(wanted) > 1 else 0
    tails = {role: LogTail(directory.logs / f"{role}.log") for role in dict.fromkeys(wanted)}
    for role, tail in tails.items():
        for line in tail.last(n_lines):
            _print_line(role, line, width, as_json=as_json)
    for _ in itertools.repeat(None) if follow else ():
        for role, line in appended(tails):
            _print_line(role, line, width, as_json=as_json)
        time.sleep(_LOOK_S)
        if not roles:  # a child that was started later
            for role in log_names(directory.logs):
                tails.setdefault(role, LogTail(directory.logs / f"{role}.log"))


def _print_line(role: str, line: str, width: int, *, as_json: bool) -> None:
    if as_json:
        echo_json(json.dumps({"role": role, "line": line}, ensure_ascii=False).encode())
    else:
        echo(f"{role:<{width}} | {line}" if width else line)
