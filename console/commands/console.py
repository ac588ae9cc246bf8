"""`framewire console`."""

import os
import sys

import click

from console.client.endpoint import discover
from console.errors import ConsoleError

_THEMES = ("framewire-dark", "framewire-light", "framewire-contrast")


@click.command
@click.option("--serve", is_flag=True, help="Serve the console to browsers instead.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of --serve.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8081,
    show_default=True,
    help="Port of --serve.",
)
@click.option("--theme", type=click.Choice(_THEMES), default=_THEMES[0], show_default=True)
@click.option("--no-graphics", is_flag=True, help="Half blocks also where the terminal has more.")
def console(host: str, port: int, theme: str, *, serve: bool, no_graphics: bool) -> None:
    """Open the operator console: tasks, live streams, tracks and the system.

    With --serve everybody who reaches the address sees what this key may see: keep it on
    loopback, or behind a proxy that asks who comes.
    """
    endpoint = discover(os.environ)
    if serve:
        from console.serve import serve_console  # noqa: PLC0415 - brings a web server

        serve_console(endpoint, host=host, port=port, theme=theme)
        return
    in_browser = "TEXTUAL_DRIVER" in os.environ
    if not in_browser and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConsoleError("the console needs a terminal; for a browser there is --serve")
    from console.app import ConsoleApp, ConsoleSettings  # noqa: PLC0415 - Textual is slow to import
    from console.widgets.preview import pixel_widget  # noqa: PLC0415

    graphics = not no_graphics and not in_browser and pixel_widget() is not None
    settings = ConsoleSettings(theme=theme, graphics=graphics, own_process=True)
    ConsoleApp(endpoint, settings).run()
