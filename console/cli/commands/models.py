"""`framewire models`: list models; a user's own ones are in `model_files`."""

import click

from console.cli.commands.model_files import add, quantize
from console.cli.commands.options import asks_api
from console.cli.suggestions import SuggestingGroup
from console.cli.terminal import Terminal
from console.client import calls


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


models.add_command(add)
models.add_command(quantize)
