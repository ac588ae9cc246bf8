"""`framewire console`: the terminal user interface, also as a web page."""

import os
import sys
from typing import Any

import click
import msgspec

from console.config.reader import config_path, read_config
from console.config.state import state_path
from console.config.values import Config
from console.errors import ConsoleError
from console.stack.data_directory import DataDirectory, default_data_dir
from console.stack.discovery import discover
from console.stack.local_logs import logs_of
from streamproc.contract import env

_TABS = ("tasks", "live", "tracks", "system")
_THEMES = ("framewire-dark", "framewire-light", "framewire-contrast")


@click.command
@click.argument("task", required=False)
@click.option("--tab", type=click.Choice(_TABS), help="The tab to begin with, else the last one.")
@click.option("--view", help="A saved view to begin with.")
@click.option("--serve", is_flag=True, help="Serve the console to browsers instead.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of --serve.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8081,
    show_default=True,
    help="Port of --serve.",
)
@click.option("--url", help="Where browsers find --serve, when that is not the host and port.")
@click.option(
    "--theme",
    type=click.Choice(_THEMES),
    help="Colours: dark, light, or of high contrast. Else console.toml's, else the last ones.",
)
@click.option(
    "--readonly",
    is_flag=True,
    envvar=env.READONLY,
    help=f"Nothing can be submitted or cancelled. Also {env.READONLY}=1.",
)
@click.option(
    "--bell",
    is_flag=True,
    envvar=env.BELL,
    help=f"Alerts ring the bell and notify by the terminal (OSC 9). Also {env.BELL}=1.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the URL of --serve as a JSON object.")
@click.option("--no-graphics", is_flag=True, help="Half blocks also where the terminal has more.")
def console(
    host: str,
    port: int,
    url: str | None,
    theme: str | None,
    task: str | None,
    tab: str | None,
    view: str | None,
    *,
    serve: bool,
    readonly: bool,
    bell: bool,
    no_graphics: bool,
    as_json: bool,
) -> None:
    """Open the operator console: tasks, live streams, tracks and the system.

    With TASK, its id, the console begins with its stream in Live.

    With --serve, everyone who has the printed URL can see what this key may see. Each start
    prints another URL. At most 8 consoles are open at once.
    """
    if sum(map(bool, (task, tab, view))) > 1:
        raise click.UsageError("one of TASK, --tab and --view is enough")
    if as_json and not serve:
        raise click.UsageError("--json prints the URL of --serve; a console has none")
    endpoint = discover(os.environ)
    if serve:
        from console.cli.web_server import serve_console  # noqa: PLC0415 - brings a web server

        serve_console(
            endpoint,
            host=host,
            port=port,
            theme=theme,
            public_url=url,
            readonly=readonly,
            as_json=as_json,
        )
        return
    in_browser = "TEXTUAL_DRIVER" in os.environ
    if not in_browser and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConsoleError("the console needs a terminal; for a browser there is --serve")
    from console.tui.app import ConsoleApp  # noqa: PLC0415 - Textual is slow to import
    from console.tui.console_settings import ConsoleSettings  # noqa: PLC0415 - Textual is slow to import
    from console.tui.known_names import KNOWN  # noqa: PLC0415 - as above
    from console.tui.remembered import Start  # noqa: PLC0415 - as above
    from console.tui.terminal_environment import terminal_environment  # noqa: PLC0415 - as above

    has_pixels = not no_graphics and not in_browser
    image_widget = _image_widget() if has_pixels else None
    config = read_config(config_path(os.environ), KNOWN)
    directory = DataDirectory(default_data_dir(os.environ))
    local = None if in_browser else directory.running()
    settings = ConsoleSettings(
        theme=theme,
        image_widget=image_widget,
        readonly=readonly,
        bell=bell,
        environ=terminal_environment(os.environ),
        config=_without_contexts(config) if in_browser else config,
        key_environ=dict(os.environ),
        local_url=None if local is None else local.url,
        local_logs=None if local is None else directory.logs,
        state_path=None if in_browser else state_path(os.environ),
        start=Start(task=task, tab=tab, view=view),
        logs_of=(lambda _: None) if in_browser else lambda url: logs_of(url, os.environ),
        own_process=True,
    )
    ConsoleApp(endpoint, settings).run()


def _without_contexts(config: Config) -> Config:
    """Return the settings for a browser, whose visitor may use one api only."""
    return msgspec.structs.replace(config, contexts={})


def _image_widget() -> type[Any] | None:
    """Return the widget for the terminal's graphics protocol; None if it has none."""
    try:
        from console.tui.terminal_graphics import ask_terminal, pixel_widget  # noqa: PLC0415 - below
    except ImportError:  # Windows has no termios
        return None
    return pixel_widget(ask_terminal())
