"""Reader of `console.toml`: typed and bounded. What is wrong in it is told by line, and ignored."""

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from console.config.toml_text import line_of
from console.config.values import NAME, Config, Context, Known, View
from console.printable import printable
from console.similar_names import did_you_mean

FILE_NAME = "console.toml"
MAX_BYTES = 64 * 1024
MAX_NAMED = 100
"""Views, and contexts, at most."""
MAX_TEXT = 2000
_MAX_FAULTS = 20
_OTHERS = 0o077
_SECTIONS = ("theme", "bell", "notify", "keys", "columns", "views", "contexts")
_VIEW = ("tab", "query", "status", "window", "sort")
_CONTEXT = ("url", "key_env", "key_command", "key", "admin_key_env", "project")
_KEYS = re.compile(r"[a-z0-9_+]{1,40}(?:,[a-z0-9_+]{1,40}){0,4}", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")

Table = Mapping[str, Any]
T = TypeVar("T")


def config_path(environ: Mapping[str, str]) -> Path:
    """Return `$XDG_CONFIG_HOME/framewire/console.toml`."""
    base = environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "framewire" / FILE_NAME


def read_config(path: Path, known: Known | None = None) -> Config:
    """Return what the file says; nothing if there is no file. Without `known`, only contexts.

    Raises nothing: a file that cannot be read is a fault, too.
    """
    try:
        with path.open("rb") as file:
            is_private = not os.fstat(file.fileno()).st_mode & _OTHERS
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Config()
    except OSError as exc:
        return Config(faults=(f"{path}: {exc.strerror}",))
    if len(data) > MAX_BYTES:
        return Config(faults=(f"{path} is ignored: it is larger than {MAX_BYTES} bytes",))
    try:
        text = data.decode()
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        return Config(faults=(f"{path} is ignored: {printable(str(exc))}",))
    return _Reader(text, known, is_private=is_private).read(content)


class _Reader:
    """Checks one file's content; `faults` grows."""

    def __init__(self, text: str, known: Known | None, *, is_private: bool) -> None:
        self._text = text
        self._known = known
        self._is_private = is_private
        self._faults: list[str] = []

    def read(self, content: Table) -> Config:
        self._only(content, _SECTIONS, ())
        contexts = self._named(content, "contexts", _CONTEXT, self._context)
        known = self._known
        if known is None:
            return Config(contexts=contexts, faults=self._told())
        return Config(
            theme=self._one_of(content, ("theme",), known.themes),
            bell=self._flag(content, ("bell",)),
            notify=self._flag(content, ("notify",)),
            keys=self._keys(content, known),
            columns=self._columns(content, known),
            views=self._named(content, "views", _VIEW, partial(self._view, known=known)),
            contexts=contexts,
            faults=self._told(),
        )

    def _told(self) -> tuple[str, ...]:
        n_more = len(self._faults) - _MAX_FAULTS
        more = (f"{FILE_NAME}: {n_more} more faults",) if n_more > 0 else ()
        return (*self._faults[:_MAX_FAULTS], *more)

    # -- sections

    def _keys(self, content: Table, known: Known) -> dict[str, str]:
        keys: dict[str, str] = {}
        table = self._table(content, ("keys",))
        for action in self._only(table, known.keys, ("keys",), "action"):
            text = self._string(table, ("keys", action))
            if text is None:
                continue
            names = re.sub(r"\s*,\s*", ",", text.strip())
            if _KEYS.fullmatch(names):
                keys[action] = names
            else:
                said = "is not a key such as c, ctrl+c or f5,F"
                self._say(("keys", action), f"{text!r} {said}")
        return keys

    def _columns(self, content: Table, known: Known) -> dict[str, tuple[str, ...]]:
        columns: dict[str, tuple[str, ...]] = {}
        table = self._table(content, ("columns",))
        for tab in self._only(table, tuple(known.columns), ("columns",), "list"):
            chosen = self._strings(table, ("columns", tab), known.columns[tab])
            if chosen:
                columns[tab] = tuple(dict.fromkeys(chosen))
        return columns

    def _view(self, name: str, table: Table, *, known: Known) -> View | None:
        at = ("views", name)
        sort = self._string(table, (*at, "sort")) or ""
        if sort and sort.removeprefix("-") not in known.sorts:
            hint = did_you_mean(sort, known.sorts)
            self._say((*at, "sort"), f"there is no sort key {sort!r}{hint}")
            sort = ""
        return View(
            tab=self._one_of(table, (*at, "tab"), known.tabs) or "tasks",
            query=self._string(table, (*at, "query")) or "",
            status=self._strings(table, (*at, "status"), known.statuses),
            window=self._one_of(table, (*at, "window"), known.windows) or "any time",
            sort=sort,
        )

    def _context(self, name: str, table: Table) -> Context | None:
        at = ("contexts", name)
        url = self._string(table, (*at, "url"))
        if url is None or not _is_url(url):
            said = "is needed" if url is None else "is no http or https URL of a host"
            self._say((*at, "url") if url else at, f"the context's url {said}; it is ignored")
            return None
        variables = {}
        for field in ("key_env", "admin_key_env"):
            variables[field] = self._string(table, (*at, field)) or ""
            if variables[field] and not _VARIABLE.fullmatch(variables[field]):
                self._say((*at, field), "this is no name of a variable (a key itself is `key`)")
                return None
        key_env = variables["key_env"]
        key = self._string(table, (*at, "key")) or ""
        if key and not self._is_private:
            self._say((*at, "key"), "a key in a file that others can read is not used: chmod 600")
            return None
        command = self._strings(table, (*at, "key_command"))
        if sum(map(bool, (key_env, key, command))) > 1:
            self._say(at, "one of key_env, key_command and key is enough; it is ignored")
            return None
        project = self._string(table, (*at, "project"))
        return Context(
            name=name,
            url=url.rstrip("/"),
            key_env=key_env,
            key_command=command,
            key=key,
            admin_key_env=variables["admin_key_env"],
            project=project,
        )

    # -- values

    def _named(
        self,
        content: Table,
        section: str,
        fields: Sequence[str],
        make: Callable[[str, Table], T | None],
    ) -> dict[str, T]:
        made: dict[str, T] = {}
        for name, table in self._table(content, (section,)).items():
            at = (section, name)
            if not re.fullmatch(NAME, name):
                self._say(at, "a name has 1 to 40 letters, digits, '.', '_' or '-'")
            elif len(made) >= MAX_NAMED:
                self._say(at, f"there are more than {MAX_NAMED} {section}")
                break
            elif not isinstance(table, dict):
                self._say(at, f"this has to be a table: [{section}.{name}]")
            else:
                self._only(table, fields, at)
                one = make(name, table)
                if one is not None:
                    made[name] = one
        return made

    def _table(self, content: Table, path: tuple[str, ...]) -> Table:
        value = content.get(path[-1], {})
        if isinstance(value, dict):
            return value
        self._say(path, f"this has to be a table: [{path[-1]}]")
        return {}

    def _only(
        self, table: Table, names: Iterable[str], at: tuple[str, ...], what: str = "setting"
    ) -> list[str]:
        """Return the table's names that are known; tell the others."""
        known = tuple(names)
        for name in table:
            if name not in known:
                hint = did_you_mean(name, known)
                self._say((*at, name), f"there is no {what} {printable(name)!r}{hint}")
        return [name for name in table if name in known]

    def _flag(self, table: Table, path: tuple[str, ...]) -> bool:
        value = table.get(path[-1], False)
        if isinstance(value, bool):
            return value
        self._say(path, "this has to be true or false")
        return False

    def _string(self, table: Table, path: tuple[str, ...]) -> str | None:
        value = table.get(path[-1])
        if value is None:
            return None
        if isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable():
            return value
        self._say(path, f"this has to be a text of one line, of at most {MAX_TEXT} characters")
        return None

    def _strings(
        self, table: Table, path: tuple[str, ...], known: Sequence[str] = ()
    ) -> tuple[str, ...]:
        value = table.get(path[-1], [])
        is_list = isinstance(value, list) and len(value) <= MAX_NAMED
        if not is_list or not all(isinstance(one, str) and len(one) <= MAX_TEXT for one in value):
            self._say(path, 'this has to be a list of texts: ["a", "b"]')
            return ()
        for one in value:
            if known and one not in known:
                self._say(path, f"there is no {printable(one)!r}{did_you_mean(one, known)}")
        return tuple(one for one in value if not known or one in known)

    def _one_of(self, table: Table, path: tuple[str, ...], known: Sequence[str]) -> str | None:
        value = self._string(table, path)
        if value is None or value in known:
            return value
        hint = did_you_mean(value, known) or f"; there are: {', '.join(known)}"
        self._say(path, f"there is no {value!r}{hint}")
        return None

    def _say(self, path: tuple[str, ...], what: str) -> None:
        where = printable(".".join(path))
        self._faults.append(f"{FILE_NAME} line {line_of(self._text, path)}, {where}: {what}")


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and (parts.port or 1) > 0
            and parts.username is None
            and not parts.query
            and not parts.fragment
        )
    except ValueError:
        return False
