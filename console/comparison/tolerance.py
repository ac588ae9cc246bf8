"""How many differences are accepted: `--allow 3`, `--allow text=5`. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from console.comparison.report import KINDS
from console.errors import RequestWordsError

MAX_ALLOWED = 1_000_000
_MAX_DIGITS = 7


class Tolerance(msgspec.Struct, frozen=True):
    """Accepted differences: `total` of any kind, beyond those that `kinds` accepts by kind."""

    total: int = 0
    kinds: Mapping[str, int] = {}

    def accepts(self, counts: Mapping[str, int]) -> bool:
        """Whether these numbers of differences, by kind, are accepted."""
        beyond = sum(max(0, n - self.kinds.get(kind, 0)) for kind, n in counts.items())
        return beyond <= self.total


def read_tolerance(words: Iterable[str]) -> Tolerance:
    """Read `N` and `KIND=N`; raises `RequestWordsError`, which names the wrong word."""
    total = 0
    kinds: dict[str, int] = {}
    for word in words:
        kind, equals, number = word.rpartition("=")
        if equals and kind not in KINDS:
            raise RequestWordsError(f"--allow {word}: {kind!r} is none of {', '.join(KINDS)}")
        is_count = number.isascii() and number.isdecimal() and len(number) <= _MAX_DIGITS
        if not is_count or int(number) > MAX_ALLOWED:
            raise RequestWordsError(
                f"--allow {word}: {number!r} is no number from 0 to {MAX_ALLOWED}"
            )
        if equals:
            kinds[kind] = int(number)
        else:
            total = int(number)
    return Tolerance(total, kinds)
