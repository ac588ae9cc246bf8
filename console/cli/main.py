"""Entry point of the command line: a click group that imports each command lazily.

`framewire --help` imports only click, so it is fast.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import UnsupportedOperation
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from console.cli.error_output import print_error, print_usage_error, wants_json
from console.cli.suggestions import HELP_OPTIONS, SuggestingGroup, with_help
from console.errors import ConsoleError
from console.exit_codes import ExitCode
from streamproc.contract import env

COMPLETE_VARIABLE = "_FRAMEWIRE_COMPLETE"  # click's name for it


class Entry(NamedTuple):
    """Location of a command, and its line in the help."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "run": Entry("submit", "run", "Submit a video and follow it to its end."),
    "start": Entry("submit", "start", "Submit a video and print the task."),
    "status": Entry("tasks", "status", "Show a task."),
    "list": Entry("task_list", "list_tasks", "List tasks, newest first, or by a query."),
    "stream": Entry("stream", "stream", "Write a task's log, from any byte offset."),
    "results": Entry("tasks", "results", "Show a task's tracks."),
    "tracks": Entry("tracks", "tracks", "Search tracks over all tasks of the project."),
    "cancel": Entry("cancel", "cancel", "Cancel tasks."),
    "rerun": Entry("rerun", "rerun", "Run the requests of tasks again, as new tasks."),
    "export": Entry("export", "export", "Write the tracks of tasks to files."),
    "wait": Entry("tasks", "wait", "Wait for a task's end."),
    "diff": Entry("diff", "diff", "Run a task again with another model, and compare the tracks."),
    "up": Entry("up", "up", "Start the embedded stack and keep it running."),
    "demo": Entry("demo", "demo", "Process a bundled clip on an embedded stack."),
    "env": Entry("local", "environment", "Print the local stack's address and key for a shell."),
    "logs": Entry("local", "logs", "Show the logs of the local stack's children."),
    "completion": Entry("completion", "completion", "Print a shell's script for completion."),
    "models": Entry("models", "models", "List models; add or remove your own."),
    "keys": Entry("admin", "keys", "Create, list, rotate and revoke project keys."),
    "projects": Entry("admin", "projects", "Create projects and set their limits."),
    "usage": Entry("usage", "usage", "Show what each project used on each day."),
    "audit": Entry("audit", "audit", "Show who did what."),
    "sql": Entry("sql", "sql", "Ask ClickHouse through the api, read-only."),
    "sources": Entry("sources", "sources", "List the named cameras; look at one."),
    "system": Entry("system", "system", "Show workers, parts and lag."),
    "console": Entry("console", "console", "Open the operator console in this terminal."),
    "reindex": Entry("maintenance", "reindex", "Rebuild ClickHouse's rows from the archive."),
    "verify": Entry("maintenance", "verify", "Check the archive and ClickHouse's rows."),
}


class LazyGroup(SuggestingGroup):
    """Lazy-loading click group: knows commands by name, and imports a command when it is used."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. A reader that closes the pipe (`| head`) has enough: no error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _discard_output()
            return ExitCode.DONE

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"console.cli.commands.{entry.module}")
        command: click.Command = getattr(module, entry.attribute)
        return with_help(command)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return commands and options that begin so, without importing a command."""
        found = [
            CompletionItem(name, help=entry.help)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def format_epilog(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), code.meaning) for code in ExitCode])


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from api.contract.version import VERSION  # noqa: PLC0415 - reads the installed metadata

        click.echo(f"framewire {VERSION}")
        ctx.exit()


def _use_context(ctx: click.Context, _parameter: click.Parameter, name: str | None) -> None:
    """Let this command, and what it starts, use the context: as if the variable were set."""
    if name is not None and not ctx.resilient_parsing:
        os.environ[env.CONTEXT] = name


@click.group(cls=LazyGroup, context_settings=HELP_OPTIONS)
@click.option(
    "--context",
    metavar="NAME",
    expose_value=False,
    callback=_use_context,
    help=f"The api to use: a context of console.toml. Also {env.CONTEXT}.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and end.",
)
def cli() -> None:
    """Framewire: a Video API whose result stream is a durable log.

    Uses the api of --context, else that at FRAMEWIRE_URL with FRAMEWIRE_KEY, else the running
    local stack (`framewire up`).
    """


def run(arguments: Sequence[str], **settings: Any) -> int:
    """Run the command line and return its exit code (`ExitCode`); errors are printed on stderr.

    An error is one line, and with --json one line of JSON: `{"error": {"code", "message", …}}`.
    """
    as_json = wants_json(arguments)
    if COMPLETE_VARIABLE in os.environ:
        from console.cli.completion_scripts import register  # noqa: PLC0415 - for this alone

        register()
    try:
        result = cli.main(
            args=list(arguments), prog_name="framewire", standalone_mode=False, **settings
        )
    except (click.exceptions.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except click.ClickException as exc:
        print_usage_error(exc, as_json=as_json)
        return ExitCode.USAGE
    except ConsoleError as exc:
        print_error(exc, as_json=as_json)
        return exc.exit_code
    except OSError as exc:  # a disk that is full, a directory of another user
        place = f"{exc.filename}: " if exc.filename else ""
        print_error(ConsoleError(f"{place}{exc.strerror or exc}"), as_json=as_json)
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.DONE


def _discard_output() -> None:
    """Let what is still in stdout's buffer go nowhere: its flush at exit would fail again."""
    with suppress(UnsupportedOperation):  # a test's stdout
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
