"""Interpolation search for the last position in a file before a given time. Pure.

A mark is a position with a known time from which a demuxer can read: a transport packet that begins
a picture, a Matroska cluster, a fragment of an MP4. Containers list marks, or they are found by
searching the bytes from a position on. An hour of video is too long to read completely, so the
position is interpolated from the times on both sides. This takes a handful of reads if the bit rate
is about constant.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

_NEAR_BYTES: Final = 512 * 1024
"""The search ends when two positions are this close: the bytes between are read at once."""
_MOST_LOOKS: Final = 40


class Mark(NamedTuple):
    """`time`: in units of the video stream's time base; `position`: in bytes from the start."""

    time: int
    position: int


NextMark = Callable[[int, int], Mark | None]
"""Function that returns the first mark at or after a position and before an end, or None."""


class DisorderError(Exception):
    """The marks cannot be used: their times decrease, or none is found."""


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
    """Return a mark at or before `time`, by about `close` units of time at most.

    `first`: the start of the video, not after `time`. `end`: the end of the file and its
    approximate time; a time not after the first one's means unknown. `n_samples`: number of
    positions over the whole file at which to check first that time increases. Raises
    `DisorderError`.
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
        if n_looks % 3 != 2 and high.time > time:  # every third time the middle: rates change
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
