"""`framewire keys` and `framewire projects`: the operator's."""

import click

from api.contract.resources import KeyResource
from console.client import calls
from console.commands.options import asks_api
from console.local.access import PROJECT
from console.printable import echo
from console.terminal import Terminal


@click.group
def keys() -> None:
    """Create, list and revoke project keys (needs the operator's key)."""


@keys.command
@click.option("--project", default=PROJECT, show_default=True)
@click.option("--name", default="", help="What the key is for.")
@asks_api
def create(terminal: Terminal, project: str, name: str) -> None:
    """Make a key and print it: it is shown this once."""
    key = terminal.send(calls.create_key(project, name=name), admin=True)
    if terminal.as_json:
        terminal.show(key)
    else:
        echo(str(key.key))


@keys.command("list")
@click.option("--project", help="Only this project's.")
@asks_api
def list_keys(terminal: Terminal, project: str | None) -> None:
    """List keys; only their beginnings are known."""
    page = terminal.send(calls.keys(project), admin=True)
    if terminal.as_json:
        terminal.show(page.data)
    else:
        _print_keys(terminal, page.data)


@keys.command
@click.argument("key_id", metavar="ID")
@asks_api
def revoke(terminal: Terminal, key_id: str) -> None:
    """Revoke a key by its id, for ever."""
    key = terminal.send(calls.revoke_key(key_id), admin=True)
    if terminal.as_json:
        terminal.show(key)
    else:
        echo(f"{key.id}  revoked")


@click.group
def projects() -> None:
    """Create and list projects (needs the operator's key)."""


@projects.command("create")
@click.argument("name")
@click.option("--id", "project_id", help="Lower-case letters, digits, - and _; made when absent.")
@asks_api
def create_project(terminal: Terminal, name: str, project_id: str | None) -> None:
    """Make a project and print its id."""
    project = terminal.send(calls.create_project(name, project_id=project_id), admin=True)
    if terminal.as_json:
        terminal.show(project)
    else:
        echo(project.id)


@projects.command("list")
@asks_api
def list_projects(terminal: Terminal) -> None:
    """List all projects."""
    page = terminal.send(calls.projects(), admin=True)
    if terminal.as_json:
        terminal.show(page.data)
    else:
        rows = [(project.id, project.name, project.created_at) for project in page.data]
        terminal.table(("ID", "NAME", "CREATED"), rows)


def _print_keys(terminal: Terminal, found: list[KeyResource]) -> None:
    terminal.table(
        ("ID", "PROJECT", "NAME", "BEGINS", "CREATED", "REVOKED"),
        [
            (k.id, k.project, k.name, k.prefix, k.created_at, "yes" if k.revoked else "no")
            for k in found
        ],
    )
