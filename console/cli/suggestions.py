"""Suggestions for mistyped names: `strat` → `start`. Pure, but for the click group that uses it."""

import difflib
from collections.abc import Iterable
from typing import Any

import click

_SIMILARITY = 0.6  # difflib's own default; below it, suggestions surprise


def closest(word: str, names: Iterable[str]) -> str | None:
    """Return the name that was most likely meant, ignoring case; None if none is similar."""
    by_folded = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=_SIMILARITY)
    return by_folded[found[0]] if found else None


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return `; did you mean 'start'?`, empty if no name is similar."""
    found = closest(word, names)
    return f"; did you mean {found!r}?" if found is not None else ""


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
