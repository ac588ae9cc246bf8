"""Click command whose arguments are a query: `-ocr` is a term of it, and no options."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import click

_NEGATED = re.compile(r'-[^-\s].+|-"', re.DOTALL)
"""A `-` before a term; one letter alone is an option, or a mistake."""


class QueryCommand(click.Command):
    """Takes negated terms as they are typed; in click `-ocr` would be `-o -c -r`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        taking = {
            name
            for param in self.params
            if isinstance(param, click.Option) and not param.is_flag
            for name in param.opts
        }
        return super().parse_args(ctx, terms_last(args, taking))


def terms_last(words: Sequence[str], taking: AbstractSet[str]) -> list[str]:
    """Return the words with negated terms behind a `--`; `taking` are options with a value."""
    options: list[str] = []
    terms: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            terms += left
        elif _NEGATED.match(word):
            terms.append(word)
        else:
            options.append(word)
            if word in taking:
                options += [value for value in [next(left, None)] if value is not None]
    return [*options, "--", *terms] if terms else options
