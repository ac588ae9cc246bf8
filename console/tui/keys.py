"""All keys of the console in one table, for the bindings, the help page and docs/console.md."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from textual.binding import Binding


class Key(NamedTuple):
    """One key, or several with the same action; `keys` has Textual's names, separated by commas.

    `name` is the action's name in the footer and the command palette, `does` a line of the help. A
    key without one shares the line of the key before it. `in_footer`: the footer has room for a few
    at 80 columns. `changes`: the action asks the api to
    change something, so it does not exist with --readonly.
    """

    keys: str
    action: str
    name: str
    does: str = ""
    in_footer: bool = False
    changes: bool = False


EVERYWHERE = (
    Key("1", "show('tasks')", "Video Tasks", "the tabs Video Tasks, Live, Tracks, System"),
    Key("2", "show('live')", "Live"),
    Key("3", "show('tracks')", "Tracks"),
    Key("4", "show('system')", "System"),
    Key("tab", "app.focus_next", "Next pane", "next pane, pane before"),
    Key("shift+tab", "app.focus_previous", "Pane before"),
    Key("alt+left,backspace", "go_back", "Back", "back to the place before, forward again"),
    Key("alt+right", "go_forward", "Forward"),
    Key(
        "exclamation_mark",
        "alerts",
        "Alerts",
        "alerts: what failed or does not work; enter goes to it",
    ),
    Key("colon", "command_line", "Command", "command line: :ctx, :view, :save, :task, :columns …"),
    Key("ctrl+p", "command_palette", "Commands", "command palette: every action by its name"),
    Key("ctrl+t", "next_theme", "Theme", "next theme: dark, light, high contrast"),
    Key("question_mark", "help", "Help", "all keys", in_footer=True),
    Key("q", "quit", "Quit", "quit; ctrl+q also while text is typed", in_footer=True),
    Key("ctrl+q", "quit", "Quit"),
)
LISTS = (
    Key("up,k", "move(-1)", "Up", "one row up, down"),
    Key("down,j", "move(1)", "Down"),
    Key("pageup", "page(-1)", "Page up", "one page up, down"),
    Key("pagedown", "page(1)", "Page down"),
    Key("home,g", "edge(-1)", "First", "first row, last row"),
    Key("end,G", "edge(1)", "Last"),
    Key("enter", "choose", "Choose", "follow the task of the row in Live; a worker: its page"),
)
TASKS = (
    Key("n", "submit", "New", "submit a video", in_footer=True, changes=True),
    Key("slash", "filter", "Filter", "filter by a query or words; enter keeps it", in_footer=True),
    Key("escape", "clear_filter", "Clear the filter", "clear the filter"),
    Key("f", "next_status", "Status", "next status"),
    Key("t", "next_window", "Time", "next time window"),
    Key("s", "next_sort", "Sort", "next sort key, reverse the order"),
    Key("S", "reverse", "Reverse"),
    Key("space", "mark", "Mark", "mark the task and go on to the next; again: unmark"),
    Key("v", "mark_range", "Mark a range", "mark all from the last mark to the cursor"),
    Key("asterisk", "mark_all", "Mark all that fit", "mark all tasks that fit the filter"),
    Key("u", "unmark", "Unmark all", "remove all marks"),
    Key("w", "wall", "Wall", "the marked tasks, or all that run, side by side"),
    Key(
        "c",
        "cancel",
        "Cancel",
        "cancel the task, or all marked ones; asks",
        in_footer=True,
        changes=True,
    ),
    Key(
        "r",
        "rerun",
        "Re-run",
        "run its request, or those of all marked, again; asks",
        in_footer=True,
        changes=True,
    ),
    Key(
        "e",
        "edit",
        "Edit as new",
        "edit its request as a new task: in the form, in $EDITOR",
        changes=True,
    ),
    Key("E", "edit_text", "Edit in $EDITOR", changes=True),
    Key(
        "x",
        "export",
        "Export",
        "export its tracks, or those of all marked, as JSON or CSV",
        in_footer=True,
    ),
    Key(
        "equals_sign",
        "compare",
        "Compare",
        "compare its tracks with another task's, or with a second run; or two marked tasks",
        changes=True,
    ),
    Key("y", "copy_id", "Copy id", "copy its id, or those of all marked"),
    Key("Y", "copy_curl", "Copy curl", "copy the curl command of its request, or of all marked"),
    Key("left_square_bracket", "resize(-4)", "Narrower list", "narrower list, wider list"),
    Key("right_square_bracket", "resize(4)", "Wider list"),
)
WALL = (
    Key("plus", "resize(1)", "More panes", "more panes, fewer: 2x2, 3x3, 4x4", in_footer=True),
    Key("minus", "resize(-1)", "Fewer panes", in_footer=True),
    *(
        Key(
            str(number),
            f"open({number})",
            f"Pane {number}",
            "follow the task of a pane in Live" if number == 1 else "",
        )
        for number in range(1, 10)
    ),
    Key("enter", "open", "Open in Live", in_footer=True),
    Key("m", "merge", "Merged log", "the events of all these tasks, by time", in_footer=True),
    Key("left", "go(-1, 0)", "Pane to the left", "another pane"),
    Key("right", "go(1, 0)", "Pane to the right"),
    Key("up", "go(0, -1)", "Pane above"),
    Key("down", "go(0, 1)", "Pane below"),
    Key("escape,w", "leave", "Close", "close the wall", in_footer=True),
)
LIVE = (
    Key("space", "hold", "Hold", "hold the picture; again: back to live", in_footer=True),
    Key("comma", "step(-1)", "Previous", "previous event, next event", in_footer=True),
    Key("full_stop", "step(1)", "Next", in_footer=True),
    Key("less_than_sign", "step(-10)", "10 back", "ten events back, ten on"),
    Key("greater_than_sign", "step(10)", "10 on"),
    Key(
        "b", "seek", "Seek", "seek to a byte, a frame or a time: 48213, f120, 12:30", in_footer=True
    ),
    Key("left", "beside(-1)", "Column back", "one column of the timeline back, on"),
    Key("right", "beside(1)", "Column on"),
    Key("plus", "zoom(1)", "Zoom in", "zoom the timeline in, out"),
    Key("minus", "zoom(-1)", "Zoom out"),
    Key("shift+left", "scroll_timeline(-1)", "Timeline back", "scroll the timeline back, on"),
    Key("shift+right", "scroll_timeline(1)", "Timeline on"),
    Key("l", "live", "Live", "return to live"),
    Key("slash", "search", "Search", "search the log's events for a text", in_footer=True),
    Key("n", "match(1)", "Next match", "next event with the text, the one before"),
    Key("N", "match(-1)", "Match before"),
    Key("v", "view", "View", "the whole event as JSON"),
    Key("P", "page", "Pager", "the loaded events in $PAGER"),
    Key("c", "cancel", "Cancel", "cancel the task; asks", in_footer=True, changes=True),
    Key("o", "open", "Open task", "open another task by its id"),
    Key("p", "preview", "Preview", "turn the preview off and on"),
    Key("y", "copy_event", "Copy event", "copy the event"),
    Key("Y", "copy_curl", "Copy curl", "copy the curl command of the stream from here"),
    Key(
        "left_square_bracket",
        "resize('columns', -4)",
        "Narrower preview",
        "narrower preview, wider; lower, higher",
    ),
    Key("right_square_bracket", "resize('columns', 4)", "Wider preview"),
    Key("left_curly_bracket", "resize('rows', -2)", "Lower preview"),
    Key("right_curly_bracket", "resize('rows', 2)", "Higher preview"),
)
TRACKS = (
    Key("slash", "search", "Search", "search by a query or words; enter searches", in_footer=True),
    Key("escape", "clear", "Back", "back to the list before; clear the search", in_footer=True),
    Key("m", "similar", "Similar", "where else: similar tracks", in_footer=True),
    Key("w", "words", "Words", "what looks like this: a few words", in_footer=True),
    Key("t", "next_window", "Time", "next time window", in_footer=True),
    Key("x", "export", "Export", "export the list as CSV or JSON", in_footer=True),
    Key("y", "copy", "Copy id", "copy the track's id"),
    Key("left_square_bracket", "resize(-4)", "Narrower list", "narrower list, wider list"),
    Key("right_square_bracket", "resize(4)", "Wider list"),
)
SYSTEM = (
    Key("r", "refresh", "Refresh", "ask now", in_footer=True),
    Key("f", "failures", "Failures", "failed tasks by error and source", in_footer=True),
    Key("l", "logs", "Logs", "logs of the local stack, followed", in_footer=True),
    Key("P", "page_logs", "Pager", "the local stack's logs in $PAGER; the chosen worker's first"),
    Key(
        "left_square_bracket",
        "resize('columns', -4)",
        "Narrower lag",
        "narrower lag, wider; fewer workers, more",
    ),
    Key("right_square_bracket", "resize('columns', 4)", "Wider lag"),
    Key("left_curly_bracket", "resize('rows', -2)", "Fewer workers"),
    Key("right_curly_bracket", "resize('rows', 2)", "More workers"),
)
KEYS: Mapping[str, tuple[Key, ...]] = {
    "Everywhere": EVERYWHERE,
    "Lists": LISTS,
    "Video Tasks": TASKS,
    "Wall": WALL,
    "Live": LIVE,
    "Tracks": TRACKS,
    "System": SYSTEM,
}
CHANGES = frozenset(key.action for keys in KEYS.values() for key in keys if key.changes)
"""Actions that ask the api to change something."""
_TEXTUALS = frozenset({"tab", "shift+tab", "ctrl+p", "ctrl+q"})  # Textual binds these itself
_WHERE = {"Everywhere": "console", "Video Tasks": "tasks"}
_SHOWN = {
    "question_mark": "?",
    "asterisk": "*",
    "exclamation_mark": "!",
    "plus": "+",
    "minus": "-",
    "left": "←",
    "right": "→",
    "colon": ":",
    "equals_sign": "=",
    "slash": "/",
    "comma": ",",
    "full_stop": ".",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "up": "↑",
    "down": "↓",
    "escape": "esc",
    "shift+left": "shift+←",
    "shift+right": "shift+→",
    "alt+left": "alt+←",
    "alt+right": "alt+→",
}


def key_id(where: str, key: Key) -> str:
    """Return the name by which `console.toml` gives an action of a table other keys."""
    return f"{_WHERE.get(where, where.lower())}.{key.name.lower().replace(' ', '-')}"


ACTIONS: Mapping[str, str] = {
    key_id(where, key): key.keys
    for where, keys in KEYS.items()
    for key in keys
    if key.keys not in _TEXTUALS
}
"""The keys of each action by its id (`key_id`), without those that Textual binds itself."""


def without_conflicts(keymap: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the keymap without entries that give a key two actions in one tab, and why."""
    kept, faults = dict(keymap), []
    while (conflict := _conflict(kept)) is not None:
        key, ids = conflict
        dropped = next(one for one in reversed(ids) if one in kept)
        del kept[dropped]
        others = " and ".join(one for one in ids if one != dropped)
        faults.append(f"[keys] {dropped}: {key} is that of {others} already; it is ignored")
    return kept, faults


def _conflict(keymap: Mapping[str, str]) -> tuple[str, list[str]] | None:
    """Return a key that has several actions in one tab, with their ids; None if there is none."""
    for where in KEYS:
        ids = defaultdict[str, list[str]](list)
        for table in dict.fromkeys((where, "Lists", "Everywhere")):
            for key in KEYS[table]:
                name = key_id(table, key)
                for one in remapped_key(table, key, keymap).keys.split(","):
                    if name not in ids[one]:
                        ids[one].append(name)
        for one, names in ids.items():
            if len(names) > 1 and any(name in keymap for name in names):
                return one, names
    return None


def remapped_key(where: str, key: Key, keymap: Mapping[str, str]) -> Key:
    """Return the key as the keymap has it."""
    if key.keys in _TEXTUALS:
        return key
    return key._replace(keys=keymap.get(key_id(where, key), key.keys))


def remapped(keymap: Mapping[str, str]) -> Mapping[str, tuple[Key, ...]]:
    """Return the table of keys as the keymap has it."""
    return {
        where: tuple(remapped_key(where, key, keymap) for key in keys)
        for where, keys in KEYS.items()
    }


def bindings(keys: Iterable[Key]) -> list[Binding]:
    """Return Textual's bindings of the keys, with their ids if they are a table of `KEYS`."""
    where = next((title for title, table in KEYS.items() if table is keys), None)
    return [
        Binding(
            key.keys,
            key.action,
            key.name,
            show=key.in_footer,
            key_display=_SHOWN.get(key.keys),
            tooltip=key.does or key.name,
            id=None if where is None else key_id(where, key),
        )
        for key in keys
        if key.keys not in _TEXTUALS
    ]


def shown(key: Key) -> str:
    """Return the key as a person knows it: `[`, `↑ k`."""
    return " ".join(_SHOWN.get(name, name) for name in key.keys.split(","))


def help_rows(keys: Iterable[Key], *, readonly: bool = False) -> list[tuple[str, str]]:
    """Return (keys, what they do) for each line of the help."""
    rows: list[tuple[str, str]] = []
    for key in keys:
        if key.changes and readonly:
            continue
        if key.does:
            rows.append((shown(key), key.does))
        else:
            rows[-1] = (f"{rows[-1][0]} {shown(key)}", rows[-1][1])
    return rows
