"""Settings of the console."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from console.config.values import Config
from console.tui.remembered import Start
from console.tui.view_models.log_book import Logs


class ConsoleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the console. Fields with `_s` are intervals in seconds."""

    tasks_s: float = 1.0
    """Poll interval while tasks run; three times as long if none runs."""
    system_s: float = 2.0
    health_s: float = 5.0
    """Poll interval of the service's health, for the header, while System is not shown."""
    tracks_s: float = 5.0
    draw_s: float = 0.1
    """Minimum time between two redraws of a followed stream."""
    image_widget: type[Any] | None = None
    """Widget for the terminal's graphics protocol (`terminal_graphics`); None: block characters."""
    theme: str | None = None
    """None: that of `console.toml`, else the last one that was chosen."""
    readonly: bool = False
    """Nothing is changed: submit, cancel and the like do not exist, and are not sent."""
    environ: Mapping[str, str] = {}
    """See `terminal_environment`."""
    bell: bool = False
    """Alerts ring the terminal's bell, and are shown as its notification (OSC 9)."""
    config: Config = Config()
    state_path: Path | None = None
    """The file in which theme, tab, borders and views are kept; None: they are not."""
    start: Start = Start()
    local_url: str | None = None
    """The URL of the local stack that runs; None: there is none."""
    local_logs: Path | None = None
    """The directory with the logs of its children."""
    key_environ: Mapping[str, str] = {}
    """Variables in which contexts have their keys."""
    logs_of: Callable[[str], Logs | None] = lambda _: None
    """Returns what reads the logs of the local stack whose api has a URL; None: it is not here."""
    own_process: bool = False
    """The process runs only the console: objects of the first draw are excluded from the GC."""
