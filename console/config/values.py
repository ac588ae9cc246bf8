"""What `console.toml` says, as values. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}"
"""A view's or a context's name."""


class View(msgspec.Struct, frozen=True, omit_defaults=True):
    """A saved list: its tab, query, statuses, time window and sort key (`-fps`: reversed)."""

    tab: str = "tasks"
    query: str = ""
    status: tuple[str, ...] = ()
    window: str = "any time"
    sort: str = ""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """An api by a name. The key is that of the variable `key_env`, or what `key_command` prints.

    A `key` in the file itself is used only if no one else can read the file. `project` is shown
    until the api has told it.
    """

    name: str
    url: str
    key_env: str = ""
    key_command: tuple[str, ...] = ()
    key: str = ""
    admin_key_env: str = ""
    project: str | None = None

    def __repr__(self) -> str:
        return f"Context(name={self.name!r}, url={self.url!r})"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The file's content: `keys` has Textual's names of keys by the ids of actions.

    `bell` and `notify` (OSC 9) are how alerts are told besides toasts.
    """

    theme: str | None = None
    bell: bool = False
    notify: bool = False
    keys: Mapping[str, str] = {}
    columns: Mapping[str, tuple[str, ...]] = {}
    views: Mapping[str, View] = {}
    contexts: Mapping[str, Context] = {}
    faults: tuple[str, ...] = ()
    """What is wrong in it, one line each; such values are ignored."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """The names that the file may use: of themes, actions, tabs, columns, windows and sort keys."""

    themes: Sequence[str]
    keys: Sequence[str]
    columns: Mapping[str, Sequence[str]]
    tabs: Sequence[str]
    windows: Sequence[str]
    sorts: Sequence[str]
    statuses: Sequence[str]
