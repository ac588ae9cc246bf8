"""Command palette that keys may reach before its list is drawn."""

from contextlib import suppress

from textual.command import CommandPalette


class Palette(CommandPalette):
    """Textual's palette; its list (8.2) raises KeyError for a page key before it has lines."""

    def _action_command_list(self, action: str) -> None:
        with suppress(KeyError):
            super()._action_command_list(action)
