"""What the console restores at its start: by `console.toml`, else as it was kept in its state."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from console.config.state import State, read_state, write_state
from console.config.values import Config, View
from console.similar_names import did_you_mean
from console.tui.known_names import COLUMNS

_TABS = ("tasks", "tracks", "system")
"""Live has nothing to show until a task is chosen."""
MAX_VIEWS = 100
MAX_ACKNOWLEDGED = 50
"""Projects of apis whose last acknowledgement is kept, the latest ones."""


class Start(msgspec.Struct, frozen=True):
    """What to begin with: a task in Live, a tab, or a saved view; else the last tab."""

    task: str | None = None
    tab: str | None = None
    view: str | None = None


class Remembered:
    """Config and state as one: what a person wrote comes before what the console kept."""

    def __init__(self, config: Config, path: Path | None) -> None:
        """`path` is the state's file; None: nothing is kept."""
        self._config = config
        self._path = path
        self._state = State() if path is None else read_state(path)

    @property
    def faults(self) -> tuple[str, ...]:
        own = self._config.views.keys() & self._state.views.keys()
        return tuple(f"the saved view {name} is hidden by that of console.toml" for name in own)

    @property
    def theme(self) -> str | None:
        return self._config.theme or self._state.theme

    @property
    def tab(self) -> str | None:
        return self._state.tab if self._state.tab in _TABS else None

    @property
    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """The chosen columns of each list; columns that do not exist are left out."""
        wanted = self._state.columns | dict(self._config.columns)
        return {
            tab: tuple(name for name in names if name in COLUMNS[tab])
            for tab, names in wanted.items()
            if tab in COLUMNS
        }

    @property
    def views(self) -> Mapping[str, View]:
        return self._state.views | dict(self._config.views)

    def view(self, name: str) -> View | str:
        """Return the view, or what to say if there is none."""
        view = self.views.get(name)
        hint = did_you_mean(name, self.views) or "; :save NAME makes one"
        return f"There is no view {name!r}{hint}" if view is None else view

    def share(self, splitter: str | None) -> float | None:
        """Return the share that the pane before a splitter had, in percent."""
        share = self._state.splits.get(splitter or "")
        return share if share is not None and 1 <= share <= 99 else None

    @property
    def lists(self) -> Mapping[str, View]:
        """The last filter and order of each list."""
        return {tab: view for tab, view in self._state.lists.items() if tab == view.tab}

    def acknowledged(self, url: str, project: str | None) -> datetime | None:
        """Return when the alerts of a project of an api were last looked at; None if unknown."""
        try:
            when = datetime.fromisoformat(self._state.acknowledged[_name(url, project)])
        except (KeyError, ValueError):
            return None
        return when if when.tzinfo is not None else None

    def keep_acknowledged(self, url: str, project: str | None, when: datetime) -> None:
        """Keep when the alerts of a project of an api were looked at; raises `OSError`."""
        if self._path is None:
            return
        state = read_state(self._path)
        times = state.acknowledged | {_name(url, project): when.isoformat(timespec="seconds")}
        latest = sorted(times.items(), key=lambda one: one[1])[-MAX_ACKNOWLEDGED:]
        self._write(msgspec.structs.replace(state, acknowledged=dict(latest)))

    def save_view(self, name: str, view: View) -> None:
        """Keep a view; raises ValueError with the reason, and `OSError`."""
        if name in self._config.views:
            raise ValueError(f"{name} is a view of console.toml: change it there")
        if self._path is None:
            raise ValueError("this console keeps no state")
        state = read_state(self._path)  # another console may have saved one, too
        if len(state.views) >= MAX_VIEWS and name not in state.views:
            raise ValueError(f"there are {MAX_VIEWS} saved views already")
        self._write(msgspec.structs.replace(state, views=state.views | {name: view}))

    def keep(
        self,
        *,
        theme: str,
        tab: str,
        splits: dict[str, float],
        columns: Mapping[str, tuple[str, ...]],
        lists: Mapping[str, View],
    ) -> None:
        """Keep how the console is left; raises `OSError`."""
        if self._path is None:
            return
        chosen = {name: one for name, one in columns.items() if one != COLUMNS.get(name)}
        state = read_state(self._path)
        self._write(
            msgspec.structs.replace(
                state,
                theme=theme,
                tab=tab,
                splits=state.splits | splits,
                lists=dict(lists),
                columns={n: c for n, c in chosen.items() if n not in self._config.columns},
            )
        )

    def _write(self, state: State) -> None:
        if self._path is not None:
            write_state(self._path, state)
        self._state = state


def _name(url: str, project: str | None) -> str:
    return url if project is None else f"{url} {project}"
