"""Keys that reach the console back to back, as over a slow connection or from a fast typist."""

from typing import Any

from textual.events import Key
from textual.keys import _character_to_key

from console.tui.app import ConsoleApp
from tests.console.tui.conftest import until


def post_keys(console: ConsoleApp, *keys: str) -> None:
    """Send the keys in one go, before the console can handle the first of them."""
    for key in keys:
        character = key if len(key) == 1 else " " if key == "space" else None
        name = _character_to_key(key) if len(key) == 1 else key
        console.post_message(Key(name, character))


async def typed(pilot: Any, console: ConsoleApp, *keys: str) -> None:
    """Send the keys in one go, and wait until all of them are handled."""
    post_keys(console, *keys)
    await until(pilot, lambda: not console.is_handling_keys)
