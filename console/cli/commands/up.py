"""`framewire up`: run the embedded stack."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource

from console.cli.next_steps import data_variables, in_second_terminal
from console.stack.data_directory import StackState, default_data_dir
from console.stack.installed import need_stack
from console.stack.plan import EMBEDDED, MEMORY, StackOptions
from console.stack.stack import run_stack
from streamproc.contract import env

_SHOWN_LINES = 8
_SHOWN_COLUMNS = 300


class LineReporter:
    """Reporter of a stack: progress and exits on stderr, addresses on stdout."""

    def __init__(self, next_steps: Sequence[str], *, as_json: bool, in_memory: bool) -> None:
        """`next_steps` are commands for another shell, told once the stack is up."""
        self._next_steps = next_steps
        self._as_json = as_json
        self._in_memory = in_memory
        self._is_up = False

    def child_ready(self, name: str, after_s: float) -> None:
        click.echo(f"  {name:<12} ready  {after_s:5.1f} s", err=True)

    def child_died(self, name: str, code: int, restart_s: float | None, log: list[str]) -> None:
        what = "is not restarted" if restart_s is None else f"again in {restart_s:g} s"
        click.echo(f"  {name:<12} ended with {code}, {what}", err=True)
        for line in log[-_SHOWN_LINES:]:
            click.echo(f"    | {line[:_SHOWN_COLUMNS]}", err=True)

    def notice(self, text: str) -> None:
        click.echo(f"  note: {text}", err=True)

    def stack_ready(self, state: StackState, after_s: float) -> None:
        self._is_up = True
        if self._as_json:
            click.echo(msgspec.json.encode(state.public()))
            return
        click.echo(f"\nframewire is up after {after_s:.1f} s\n", err=True)
        click.echo(f"  url  {state.url}\n  key  {state.key}\n")
        if self._in_memory:
            click.echo("  Kafka is in memory: all data is lost when this process ends.\n", err=True)
        click.echo("  In a second terminal:", err=True)
        for line in self._next_steps:
            click.echo(f"    {line}", err=True)
        click.echo("  Ctrl-C stops everything.", err=True)

    def stopping(self) -> None:
        click.echo("stopping", err=True)


def _checked_kafka(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value not in {EMBEDDED, MEMORY} and ":" not in value:
        raise click.BadParameter(f"must be {EMBEDDED}, {MEMORY} or host:port")
    return value


def _checked_clickhouse(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    """The value may have a password, so the message does not repeat it."""
    if value and not value.startswith(("http://", "https://")):
        raise click.BadParameter("must be an http or https URL; without it, chDB is embedded")
    return value


@click.command
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=env.DATA,
    show_envvar=True,
    help="Data directory; by default that of this user.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    envvar=env.PORT,
    show_envvar=True,
    help="The api's port; 0: a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 64),
    default=1,
    envvar=env.WORKERS,
    show_envvar=True,
    show_default=True,
    help="Number of worker processes.",
)
@click.option(
    "--kafka",
    default=EMBEDDED,
    envvar=env.KAFKA,
    show_envvar=True,
    show_default=True,
    metavar=f"{EMBEDDED}|{MEMORY}|HOST:PORT",
    callback=_checked_kafka,
    help="Apache Kafka as a child, an in-process one, or your own.",
)
@click.option(
    "--s3-endpoint",
    metavar="URL",
    envvar=env.S3_ENDPOINT,
    show_envvar=True,
    help="Your own S3; keys come from AWS_*.",
)
@click.option(
    "--clickhouse",
    metavar="URL",
    envvar=env.CLICKHOUSE,
    show_envvar=True,
    callback=_checked_clickhouse,
    help="Your own ClickHouse: http(s)://user:password@host:port/database.",
)
@click.option(
    "--file-root",
    "file_roots",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    envvar=env.FILE_ROOTS,
    show_envvar=True,
    help="A directory that file:// URLs may read; may be repeated.",
)
@click.option(
    "--sources",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=env.SOURCES,
    show_envvar=True,
    help="A sources.toml with the cameras that tasks know by name.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON once it is ready.")
def up(
    data: Path | None,
    port: int,
    workers: int,
    kafka: str,
    s3_endpoint: str | None,
    clickhouse: str | None,
    file_roots: tuple[Path, ...],
    sources: Path | None,
    *,
    as_json: bool,
) -> None:
    """Start Kafka, S3, ClickHouse, the api and workers, and keep them running.

    All data is in the data directory; the next start continues with it. An option that is absent
    is taken from its environment variable.
    """
    options = StackOptions(
        data=data or default_data_dir(os.environ),
        port=port,
        n_workers=workers,
        kafka=kafka,
        s3_endpoint=s3_endpoint,
        clickhouse=clickhouse,
        file_roots=file_roots,
        sources=sources,
    )
    need_stack(options)
    click.echo(f"framewire: starting on {options.data}", err=True)
    steps = in_second_terminal(Path(sys.executable), data_variables(options.data, os.environ))
    reporter = LineReporter(steps, as_json=as_json, in_memory=kafka == MEMORY)
    for option, variable in _from_environment(click.get_current_context()):
        reporter.notice(f"{option} is taken from {variable}")
    run_stack(options, os.environ, reporter)


def _from_environment(context: click.Context) -> list[tuple[str, str]]:
    """Return the options whose values come from the environment, each with its variable."""
    return [
        (param.opts[0], str(param.envvar))
        for param in context.command.params
        if param.name is not None
        and context.get_parameter_source(param.name) is ParameterSource.ENVIRONMENT
    ]
