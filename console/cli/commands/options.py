"""Options of all commands that send requests to the api."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, TypeVar

import click

from console.cli.terminal import Terminal
from console.cli.typed_words import about, in_typed_words, option_of
from console.errors import ApiProblem

_NOT_FOUND = 404
_IDS = ("task", "key_id", "project_id")  # arguments that name one object

R = TypeVar("R")


def asks_api(command: Callable[Concatenate[Terminal, ...], R]) -> Callable[..., R]:
    """Decorator: add --json and --show-request, and pass a `Terminal` as the first argument.

    Errors at fields of the request are told at the command's options.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @click.option(
        "--show-request", is_flag=True, help="Print the HTTP request instead of sending it."
    )
    @wraps(command)
    def wrapped(*args: Any, as_json: bool, show_request: bool, **kwargs: Any) -> R:
        terminal = Terminal(as_json=as_json, show_request=show_request)
        try:
            return command(terminal, *args, **kwargs)
        except ApiProblem as exc:
            words = _typed_names(click.get_current_context())
            if exc.status == _NOT_FOUND and (typed := _typed_id(click.get_current_context())):
                raise about(exc, typed) from exc
            raise in_typed_words(exc, lambda field: option_of(field, words)) from exc

    return wrapped


def _typed_names(context: click.Context) -> list[str]:
    """Return how a command's help names its options and arguments."""
    return [
        name
        for param in context.command.params
        for name in (
            param.opts if isinstance(param, click.Option) else [param.make_metavar(context)]
        )
    ]


def _typed_id(context: click.Context) -> str | None:
    """Return the id that a command was given; None if it has none."""
    return next((context.params[name] for name in _IDS if context.params.get(name)), None)
