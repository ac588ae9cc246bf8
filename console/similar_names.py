"""Suggestions for mistyped names: `strat` → `start`. Pure."""

import difflib
from collections.abc import Iterable

_SIMILARITY = 0.6  # difflib's own default; below it, suggestions surprise


def closest(word: str, names: Iterable[str]) -> str | None:
    """Return the name that was most likely meant, ignoring case; None if none is similar."""
    by_folded = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=_SIMILARITY)
    return by_folded[found[0]] if found else None


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return `; did you mean 'start'?`, empty if no name is similar."""
    found = closest(word, names)
    return f"; did you mean {found!r}?" if found is not None else ""
