"""Where a TOML text has a key: tomllib does not tell. Pure."""

import re
from collections.abc import Sequence

_TABLE = re.compile(r"\s*\[\[?\s*(?P<path>[^\]]+?)\s*\]")
_KEY = re.compile(r"""\s*(?P<path>(?:[A-Za-z0-9_.\s-]|"[^"]*"|'[^']*')+?)\s*=""")
_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*\.?""")


def line_of(text: str, path: Sequence[str]) -> int:
    """Return the number of the line, from 1 on, that sets the value at `path` or a part of it.

    Of a path that no line has as a whole, the line of its longest beginning; 1 if there is none.
    """
    wanted = tuple(path)
    table: tuple[str, ...] = ()
    best, found = 0, 1
    for number, line in enumerate(text.splitlines(), 1):
        if (header := _TABLE.match(line)) is not None:
            table = here = _parts(header["path"])
        elif (key := _KEY.match(line)) is not None:
            here = (*table, *_parts(key["path"]))
        else:
            continue
        n_same = _n_same(here, wanted)
        if n_same > best and n_same in {len(here), len(wanted)}:
            best, found = n_same, number
    return found


def _parts(path: str) -> tuple[str, ...]:
    return tuple(a or b or c for a, b, c in _PART.findall(path))


def _n_same(here: tuple[str, ...], wanted: tuple[str, ...]) -> int:
    n = 0
    for a, b in zip(here, wanted, strict=False):
        if a != b:
            break
        n += 1
    return n
