"""`framewire models`: list models; add, quantize and remove a user's own."""

import os
import subprocess
import sys

import click
import msgspec

from console.cli.commands.options import asks_api
from console.cli.terminal import Terminal
from console.client import calls
from console.errors import ConsoleError
from console.stack.data_directory import DataDirectory, default_data_dir
from console.stack.roles import base_environ
from streamproc.contract import env


@click.group
def models() -> None:
    """List models; add or remove your own."""


@models.command("list")
@asks_api
def list_models(terminal: Terminal) -> None:
    """List the models that steps can use."""
    page = terminal.send(calls.models())
    if terminal.as_json:
        terminal.show(page.data)
        return
    terminal.table(
        ("MODEL", "KIND", "DEFAULT", "CLASSES", "LICENCE", "DESCRIPTION"),
        [
            (m.id, m.kind, "yes" if m.default else "", len(m.classes), m.licence, m.description)
            for m in page.data
        ],
    )


@models.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def add(arguments: tuple[str, ...]) -> int:
    """Import a model (ONNX or OpenVINO IR) to this machine's models; --help lists options.

    Without options it is a detector. What its outputs mean and its class names are recognised. It
    is copied to FRAMEWIRE_MODELS, else to the data directory of the local stack; running processes
    find it there.
    """
    return _run("add", arguments)


@models.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def quantize(arguments: tuple[str, ...]) -> int:
    """Add an 8-bit network to one of your detectors: NAME CLIP …; --help lists options.

    First it shows what changes on the clips. It needs NNCF: pip install 'framewire[quantize]'.
    """
    return _run("quantize", arguments)


@models.command
@click.argument("name")
@click.option("--force", is_flag=True, help="Do not ask which tasks need it.")
@asks_api
def remove(terminal: Terminal, name: str, *, force: bool) -> int:
    """Remove one of your own models from this machine: NAME, or NAME@VERSION.

    Refused while tasks need it. A worker that has it loaded ends what it has begun.
    """
    options = ("--json",) if terminal.as_json else ()
    asked = subprocess.run(
        _command("remove", "--check", "--json", *_directory(), "--", name),
        env=base_environ(os.environ),
        stdout=subprocess.PIPE,
        check=False,
    )
    if asked.returncode:
        return asked.returncode
    model = msgspec.json.decode(asked.stdout, type=_Removable)
    if model.kind != _TEXT_ENCODER and not force:
        _check_unused(terminal, model.ref)
    return _run("remove", (*options, model.ref))


_TEXT_ENCODER = "text-encoder"
"""Models of this kind are in no task."""
_SHOWN_TASKS = 5


class _Removable(msgspec.Struct):
    ref: str
    kind: str


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


def _run(action: str, arguments: tuple[str, ...]) -> int:
    command = _command(action, *arguments)
    if not {"-h", "--help"} & set(arguments):
        command += _directory()
    return subprocess.run(command, env=base_environ(os.environ), check=False).returncode


def _command(action: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "models", action, *arguments]


def _directory() -> list[str]:
    """The option that names this machine's own models."""
    directory = os.environ.get(env.MODELS) or DataDirectory(default_data_dir(os.environ)).models
    return ["--dir", str(directory)]
