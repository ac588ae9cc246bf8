"""All commands of the command line, as click knows them."""

from collections.abc import Iterator

import click

from console.cli.main import cli


def commands(
    group: click.Group = cli, prefix: str = "framewire"
) -> Iterator[tuple[str, click.Command]]:
    """Yield each command that is not a group, with its whole name."""
    context = group.make_context(prefix, [], resilient_parsing=True)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command
