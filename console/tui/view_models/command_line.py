"""View model of the command line (`:`): commands, completion, and what was meant. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from console.config.values import NAME
from console.similar_names import did_you_mean

MAX_LENGTH = 200
MAX_SHOWN = 8


class Kind(NamedTuple):
    """A command: what it takes (empty: nothing), and a line of help."""

    takes: str
    does: str
    is_optional: bool = False


COMMANDS: Mapping[str, Kind] = {
    "tasks": Kind("", "the tab Video Tasks"),
    "live": Kind("", "the tab Live"),
    "tracks": Kind("", "the tab Tracks"),
    "system": Kind("", "the tab System"),
    "tab": Kind("tab", "a tab by its name"),
    "task": Kind("task", "follow a task, by its id or the last letters of it"),
    "view": Kind("view", "show a saved view"),
    "save": Kind("name", "save filter and order of this tab as a view"),
    "ctx": Kind("context", "go to another api: a context of console.toml", is_optional=True),
    "columns": Kind("columns", "the columns of this list, in this order; all", is_optional=True),
    "theme": Kind("theme", "the colours", is_optional=True),
    "help": Kind("", "all keys"),
    "q": Kind("", "quit"),
}


class Command(NamedTuple):
    """A command as it was typed; an omitted argument is empty."""

    name: str
    argument: str = ""


Names = Mapping[str, Sequence[str]]
"""What an argument may be, by what a command takes; a kind that is not in it is free text."""


def parse(text: str, names: Names) -> Command:
    """Return the command; raises ValueError with what is wrong, and what was likely meant.

    A command may be shortened as long as it is the only one that begins so.
    """
    word, _, argument = text.strip().removeprefix(":").strip().partition(" ")
    argument = " ".join(argument.split())
    if not word:
        raise ValueError(f"a command: {', '.join(COMMANDS)}")
    name = _command(word)
    kind = COMMANDS[name]
    if not kind.takes and argument:
        raise ValueError(f"{name} takes nothing after it")
    if kind.takes and not argument and not kind.is_optional:
        raise ValueError(f"{name} {kind.takes.upper()}: {kind.does}")
    if kind.takes == "name" and not re.fullmatch(NAME, argument):
        raise ValueError("a name has 1 to 40 letters, digits, '.', '_' or '-'")
    allowed = names.get(kind.takes)
    if allowed is None or not argument:
        return Command(name, argument)
    for one in argument.split(" ") if kind.takes == "columns" else (argument,):
        if one not in allowed:
            hint = did_you_mean(one, allowed) or f"; there are: {', '.join(allowed) or 'none'}"
            raise ValueError(f"there is no {kind.takes.removesuffix('s')} {one!r}{hint}")
    return Command(name, argument)


def completions(text: str, names: Names) -> list[str]:
    """Return the lines that `text` may become, with all that was typed before its last word."""
    line = text.removeprefix(":").lstrip()
    word, space, argument = line.partition(" ")
    if not space:
        return [f"{name} " if COMMANDS[name].takes else name for name in _beginning(word, COMMANDS)]
    kind = COMMANDS.get(word)
    if kind is None or kind.takes not in names:
        return []
    before, _, last = argument.rpartition(" ")
    if before and kind.takes != "columns":
        return []
    taken = before.split()
    start = f"{word} {before} " if before else f"{word} "
    allowed = [name for name in names[kind.takes] if name not in taken]
    return [f"{start}{name}" for name in _beginning(last, allowed)]


def completed(text: str, names: Names) -> str:
    """Return the text with as much added as all completions have in common."""
    found = completions(text, names)
    if not found:
        return text
    common = found[0]
    for one in found[1:]:
        while not one.startswith(common):
            common = common[:-1]
    return common if len(common) > len(text.removeprefix(":").lstrip()) else text


def _command(word: str) -> str:
    if word in COMMANDS:
        return word
    found = _beginning(word, COMMANDS)
    if len(found) == 1:
        return found[0]
    hint = f": {', '.join(found)}" if found else did_you_mean(word, COMMANDS)
    raise ValueError(f"there is no command {word!r}{hint}")


def _beginning(word: str, names: Sequence[str] | Mapping[str, object]) -> list[str]:
    return [name for name in names if name.startswith(word)]
