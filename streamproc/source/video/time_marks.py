"""Places inside a file that tell their time, and the last of them before a wanted time. Pure.

A mark is where a demuxer can read on: a transport packet that begins a picture, a Matroska
cluster, a fragment of an MP4. Containers list them, or they are found by looking at the bytes from
some position on. As bytes of an hour cannot all be looked at, the place is found by guessing from
the times on both sides, which takes a handful of looks where the bit rate is about the same.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

_NEAR_BYTES: Final = 512 * 1024
"""Two positions so close are not told apart: what lies between them is read at once."""
_MOST_LOOKS: Final = 40


class Mark(NamedTuple):
    """`time`: in units of the video stream's time base; `position`: in bytes from the start."""

    time: int
    position: int


NextMark = Callable[[int, int], Mark | None]
"""The first mark at or after a position and before an end; None when there is none."""


class DisorderError(Exception):
    """The marks do not tell the way: their times step back, or there are none to be found."""


def last_listed(marks: Sequence[Mark], time: int) -> Mark | None:
    """Return the last mark of a list that is not after `time`; raises `DisorderError`."""
    found = None
    for before, mark in zip((None, *marks), marks, strict=False):
        if before is not None and (mark.time < before.time or mark.position < before.position):
            raise DisorderError
        if mark.time <= time:
            found = mark
    return found


def last_before(
    next_mark: NextMark,
    time: int,
    first: Mark,
    end: Mark,
    *,
    close: int,
    n_samples: int = 0,
) -> Mark:
    """Return a mark that is not after `time`, and not much before: by `close` units of time.

    `first`: where the video begins, not after `time`. `end`: the end of the file and about its
    time, not after the first one's where that is unknown. `n_samples`: so many places over the
    whole file are looked at before, whether time grows. Raises `DisorderError`.
    """
    low, high = first, end
    last_time = first.time
    for at in _spread(first.position, end.position, n_samples):
        mark = next_mark(at, end.position)
        if mark is None:
            continue
        if mark.time < last_time:
            raise DisorderError
        last_time = mark.time
        if mark.time <= time:
            low = mark
        elif high is end:
            high = Mark(mark.time, at)
    if n_samples and end.time > first.time and last_time > end.time + close:
        raise DisorderError
    return _between(next_mark, time, low, high, close)


def _spread(start: int, end: int, n_samples: int) -> list[int]:
    return [start + (end - start) * n // (n_samples + 1) for n in range(1, n_samples + 1)]


def _between(next_mark: NextMark, time: int, low: Mark, high: Mark, close: int) -> Mark:
    for n_looks in range(_MOST_LOOKS):
        span = high.position - low.position
        if time - low.time <= close or span <= _NEAR_BYTES:
            return low
        share = Fraction(1, 2)
        if n_looks % 3 != 2 and high.time > time:  # now and then the middle: rates change
            share = Fraction(time - close // 2 - low.time, high.time - low.time)
        at = low.position + round(span * min(max(share, Fraction(1, 32)), Fraction(31, 32)))
        mark = next_mark(at, high.position)
        if mark is None:
            high = Mark(high.time, at)
        elif mark.time > time:
            high = Mark(mark.time, at)
        elif mark.time < low.time:
            raise DisorderError
        else:
            low = mark
    raise DisorderError
