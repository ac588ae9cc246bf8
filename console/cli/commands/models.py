"""`framewire models`: list models, import a user's own detector."""

import os
import subprocess
import sys

import click

from console.cli.commands.options import asks_api
from console.cli.suggestions import SuggestingGroup
from console.cli.terminal import Terminal
from console.client import calls
from console.exit_codes import of_process
from console.stack.data_directory import DataDirectory, default_data_dir
from console.stack.roles import base_environ
from streamproc.contract import env


@click.group(cls=SuggestingGroup)
def models() -> None:
    """List models, or add your own."""


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
    """Import a detector (ONNX or OpenVINO IR) to this machine's models; --help lists options.

    What its outputs mean and its class names are recognised. It is copied to FRAMEWIRE_MODELS, else
    to the data directory of the local stack; running processes find it there.
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


def _run(action: str, arguments: tuple[str, ...]) -> int:
    directory = os.environ.get(env.MODELS) or DataDirectory(default_data_dir(os.environ)).models
    command = [sys.executable, "-P", "-m", "models", action, *arguments]
    if not {"-h", "--help"} & set(arguments):
        command += ["--dir", str(directory)]
    return of_process(subprocess.run(command, env=base_environ(os.environ), check=False).returncode)
