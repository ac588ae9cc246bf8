"""`framewire models remove`: removal of a user's own model, after asking which tasks need it."""

import click
import msgspec

from console.cli.commands.model_files import own_models
from console.cli.commands.options import asks_api
from console.cli.completion import complete_model
from console.cli.program import ask_program, run_program
from console.cli.terminal import Terminal
from console.client import calls
from console.errors import ConsoleError
from console.exit_codes import ExitCode
from console.stack.installed import need_server

_TEXT_ENCODER = "text-encoder"
"""Models of this kind are in no task."""
_SHOWN_TASKS = 5


class _Removable(msgspec.Struct):
    ref: str
    kind: str


@click.command
@click.argument("name", shell_complete=complete_model)
@click.option("--force", is_flag=True, help="Do not ask which tasks need it.")
@asks_api
def remove(terminal: Terminal, name: str, *, force: bool) -> ExitCode:
    """Remove one of your own models from this machine: NAME, or NAME@VERSION.

    Refused while tasks need it. A worker that has it loaded ends what it has begun.
    """
    need_server()
    place = ("--dir", str(own_models()))
    found = ask_program("models", ("remove", "--check", "--json", *place, "--", name))
    model = msgspec.json.decode(found, type=_Removable)
    if model.kind != _TEXT_ENCODER and not force:
        _check_unused(terminal, model.ref)
    options = ("--json",) if terminal.as_json else ()
    words = ("remove", *options, *place, "--", model.ref)
    return run_program("models", words, as_json=terminal.as_json)


def _check_unused(terminal: Terminal, ref: str) -> None:
    """Raise ConsoleError if tasks need the model, or if it is not known whether any does."""
    try:
        page = terminal.send(calls.model_tasks(ref), admin=True)
    except ConsoleError as exc:
        raise ConsoleError(
            f"which tasks need {ref} cannot be asked: {exc}; --force removes it all the same"
        ) from exc
    if not page.total:
        return
    shown = [f"{task.id} ({task.project}, {task.status})" for task in page.data[:_SHOWN_TASKS]]
    more = f" and {page.total - len(shown)} more" if page.total > len(shown) else ""
    raise ConsoleError(
        f"{ref} is needed by {', '.join(shown)}{more}: wait for them or cancel them;"
        " --force removes it all the same"
    )
