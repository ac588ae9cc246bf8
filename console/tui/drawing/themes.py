"""Themes of the console: dark, light, high contrast. Textual's themes are also available."""

from textual.theme import Theme

DARK = Theme(
    name="framewire-dark",
    primary="#6ea8fe",
    secondary="#56c8d8",
    accent="#f2a65a",
    foreground="#d7dce4",
    background="#0f1319",
    surface="#151a22",
    panel="#1d2430",
    success="#5ec98a",
    warning="#e8c15a",
    error="#f0716a",
    dark=True,
    variables={"border-blurred": "#2b3443", "footer-key-foreground": "#f2a65a"},
)
LIGHT = Theme(
    name="framewire-light",
    primary="#1d5fd1",
    secondary="#0e7490",
    accent="#b45309",
    foreground="#1d2430",
    background="#fbfbf9",
    surface="#f3f3ef",
    panel="#e6e7e3",
    success="#1a7f45",
    warning="#946200",
    error="#c0332b",
    dark=False,
    variables={"border-blurred": "#c9ccc6", "footer-key-foreground": "#b45309"},
)
CONTRAST = Theme(
    name="framewire-contrast",
    primary="#ffffff",
    secondary="#00ffff",
    accent="#ffff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    success="#00ff66",
    warning="#ffff00",
    error="#ff5c5c",
    dark=True,
    variables={"border-blurred": "#8a8a8a", "footer-key-foreground": "#ffff00"},
)
THEMES = (DARK, LIGHT, CONTRAST)
