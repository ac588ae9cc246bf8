"""The variables that say where the console's terminal is, and which programs its user prefers."""

from collections.abc import Mapping
from typing import Final

VARIABLES: Final = (
    *("TERM", "TMUX", "STY"),
    *("SSH_CONNECTION", "SSH_TTY"),
    *("DISPLAY", "WAYLAND_DISPLAY"),
    *("VISUAL", "EDITOR", "PAGER"),
)


def terminal_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return those of `VARIABLES` that are set and not empty; no other, such as the key."""
    return {name: environ[name] for name in VARIABLES if environ.get(name)}
