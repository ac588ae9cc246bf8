"""Errors of the command line on stderr: lines for people, or one line of JSON for programs."""

import json
from collections.abc import Sequence

import click

from console.errors import ApiProblem, ConsoleError
from console.exit_codes import ExitCode
from console.printable import echo, printable, printable_json


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether `--json` is among the options: arguments behind `--` are none.

    It is asked of the raw arguments, because those that cannot be parsed are an error to report.
    """
    options = list(arguments)
    return "--json" in (options[: options.index("--")] if "--" in options else options)


def print_error(error: ConsoleError, *, as_json: bool) -> None:
    """Print an error: its line, and one line for each further invalid field."""
    fields = error.errors if isinstance(error, ApiProblem) else []
    if as_json:
        status = error.status if isinstance(error, ApiProblem) else None
        text = error.detail or error.code if isinstance(error, ApiProblem) else str(error)
        _print_json(error.exit_code, error.code, text, status=status, fields=fields)
        return
    echo(f"framewire: {error}", err=True)
    for field in fields[1:]:
        name = field.get("option", field.get("field", ""))
        echo(f"  {printable(name)}: {printable(field.get('message', ''))}", err=True)


def print_usage_error(error: click.ClickException, *, as_json: bool) -> None:
    """Print what is wrong with the command line, and how the command is used."""
    if as_json:
        _print_json(ExitCode.USAGE, "usage", error.format_message())
    else:
        error.show()


def _print_json(
    exit_code: ExitCode,
    code: str,
    message: str,
    *,
    status: int | None = None,
    fields: Sequence[dict[str, str]] = (),
) -> None:
    error: dict[str, object] = {"code": code, "message": message, "exit_code": int(exit_code)}
    if status is not None:
        error["status"] = status
    if fields:
        error["errors"] = list(fields)
    text = json.dumps({"error": error}, ensure_ascii=False)
    click.echo(printable_json(text), err=True)
