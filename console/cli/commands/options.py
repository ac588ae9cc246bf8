"""Options of all commands that send requests to the api."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, TypeVar

import click

from console.cli.terminal import Terminal

R = TypeVar("R")


def asks_api(command: Callable[Concatenate[Terminal, ...], R]) -> Callable[..., R]:
    """Decorator: add --json and --show-request, and pass a `Terminal` as the first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @click.option(
        "--show-request", is_flag=True, help="Print the HTTP request instead of sending it."
    )
    @wraps(command)
    def wrapped(*args: Any, as_json: bool, show_request: bool, **kwargs: Any) -> R:
        terminal = Terminal(as_json=as_json, show_request=show_request)
        return command(terminal, *args, **kwargs)

    return wrapped
