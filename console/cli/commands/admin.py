"""`framewire keys` and `framewire projects`: commands for the operator."""

from typing import get_args

import click
import msgspec

from api.contract.projects import KeyResource, Scope
from console.cli.commands.options import asks_api
from console.cli.durations import moment, seconds
from console.cli.suggestions import SuggestingGroup
from console.cli.terminal import Terminal
from console.client import calls
from console.printable import echo
from console.stack.default_project import PROJECT

SCOPES = get_args(Scope)


@click.group(cls=SuggestingGroup)
def keys() -> None:
    """Create, list, rotate and revoke project keys.

    Needs the operator's key, or a project's key with the scope admin:project.
    """


@keys.command
@click.option("--project", default=PROJECT, show_default=True, help="The key is for this project.")
@click.option("--name", default="", help="What the key is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="What the key may do; may be repeated. Without one: read and submit.",
)
@click.option("--expires", metavar="30d|DATE|TIME", help="When the key ends; never unless given.")
@asks_api
def create(
    terminal: Terminal, project: str, name: str, scopes: tuple[str, ...], expires: str | None
) -> None:
    """Create a key and print it. It is shown only this once."""
    expires_at = None if expires is None else moment(expires)
    call = calls.create_key(project, name=name, scopes=scopes, expires_at=expires_at)
    _show_new(terminal, terminal.send_as_keeper(call))


@keys.command
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap",
    default="24h",
    show_default=True,
    metavar="24h",
    help="How long the old key still works.",
)
@click.option("--expires", metavar="30d|DATE|TIME", help="When the new key ends.")
@asks_api
def rotate(terminal: Terminal, key_id: str, overlap: str, expires: str | None) -> None:
    """Create a key that replaces another and print it. The old key ends after the overlap."""
    expires_at = None if expires is None else moment(expires)
    call = calls.rotate_key(key_id, overlap_s=seconds(overlap), expires_at=expires_at)
    _show_new(terminal, terminal.send_as_keeper(call))


@keys.command("list")
@click.option("--project", help="Only this project's.")
@asks_api
def list_keys(terminal: Terminal, project: str | None) -> None:
    """List keys. Only the first characters of a key are known."""
    page = terminal.send_as_keeper(calls.keys(project))
    if terminal.as_json:
        terminal.show(page.data)
    else:
        _print_keys(terminal, page.data)


@keys.command
@click.argument("key_id", metavar="ID")
@asks_api
def revoke(terminal: Terminal, key_id: str) -> None:
    """Revoke a key by its id, permanently."""
    key = terminal.send_as_keeper(calls.revoke_key(key_id))
    if terminal.as_json:
        terminal.show(key)
    else:
        echo(f"{key.id}  revoked")


@click.group(cls=SuggestingGroup)
def projects() -> None:
    """Create and list projects, and set their limits (needs the operator's key)."""


@projects.command("create")
@click.argument("name")
@click.option("--id", "project_id", help="Lower-case letters, digits, - and _; made when absent.")
@asks_api
def create_project(terminal: Terminal, name: str, project_id: str | None) -> None:
    """Create a project and print its id."""
    project = terminal.send(calls.create_project(name, project_id=project_id), admin=True)
    if terminal.as_json:
        terminal.show(project)
    else:
        echo(project.id)


@projects.command("limit")
@click.argument("project_id", metavar="ID")
@click.argument("limits", metavar="NAME=VALUE…", nargs=-1, required=True)
@asks_api
def limit_project(terminal: Terminal, project_id: str, limits: tuple[str, ...]) -> None:
    """Set a project's limits: `open_streams=50`, 0 for none, `default` for the server's default."""
    wanted: dict[str, int | None] = {}
    for text in limits:
        name, _, value = text.partition("=")
        try:
            wanted[name] = None if value == "default" else int(value)
        except ValueError as exc:
            raise click.BadParameter(
                f"{text}: NAME=VALUE, the value a whole number or `default`"
            ) from exc
    project = terminal.send(calls.set_limits(project_id, wanted), admin=True)
    if terminal.as_json:
        terminal.show(project)
    else:
        for name, own in msgspec.structs.asdict(project.limits).items():
            echo(f"{name}  {'default' if own is None else own}")


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


def _show_new(terminal: Terminal, key: KeyResource) -> None:
    if terminal.as_json:
        terminal.show(key)
    else:
        echo(str(key.key))


def _print_keys(terminal: Terminal, found: list[KeyResource]) -> None:
    terminal.table(
        ("ID", "PROJECT", "NAME", "BEGINS", "SCOPES", "CREATED", "USED", "EXPIRES", "REVOKED"),
        [
            (
                *(k.id, k.project, k.name, k.prefix, ",".join(k.scopes)),
                *(k.created_at, k.last_used_at, k.expires_at, "yes" if k.revoked else "no"),
            )
            for k in found
        ],
    )
