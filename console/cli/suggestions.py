"""Click group that suggests what was meant by a mistyped command: `strat` → `start`."""

from typing import Any

import click

from console.similar_names import did_you_mean

HELP_OPTIONS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


def with_help(command: click.Command) -> click.Command:
    """Let the command know -h by itself.

    It would inherit that from its group's context, but click keeps what the first context says.
    """
    command.context_settings = {**HELP_OPTIONS, **command.context_settings}
    return command


class SuggestingGroup(click.Group):
    """Click group whose error for an unknown command names the one that was likely meant."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        super().add_command(with_help(cmd), name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command and its arguments; raises `click.UsageError` for an unknown name."""
        word = args[0]
        if (
            not ctx.resilient_parsing
            and not word.startswith("-")
            and self.get_command(ctx, word) is None
        ):
            hint = did_you_mean(word, self.list_commands(ctx))
            raise click.UsageError(f"there is no command {word!r}{hint}", ctx=ctx)
        return super().resolve_command(ctx, args)
