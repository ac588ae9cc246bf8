"""The log bytes of an event: `id: <end>`, `data: <json>`, a blank line, LF only.

`<end>` is the byte offset just after the event, so its own digits count: where two lengths are
self-consistent, the smallest is taken.
"""

from collections.abc import Iterator
from typing import NamedTuple

DONE = b"[DONE]"
_FIXED = len(b"id: \ndata: \n\n")


class Event(NamedTuple):
    """One event of a log: its bytes stand at `[start, end)`, `data` is the text after `data: `."""

    start: int
    end: int
    data: bytes


def frame_event(data: bytes, start: int) -> bytes:
    """Return the event that carries `data` at byte offset `start`.

    Raises ValueError when `data` holds a line break: it would end the event early.
    """
    if b"\n" in data or b"\r" in data:
        raise ValueError("event data must not hold line breaks")
    base = start + _FIXED + len(data)
    n_digits = len(str(base))
    while len(str(base + n_digits)) != n_digits:
        n_digits += 1
    return b"id: %d\ndata: %b\n\n" % (base + n_digits, data)


def parse_events(log: bytes, start: int = 0) -> Iterator[Event]:
    """Yield the whole events of `log`, whose first byte stands at offset `start`.

    `start` must be an event's first byte. An incomplete event at the end is left out. Raises
    ValueError on anything that `frame_event` does not write, wrong end offsets among it.
    """
    at = 0
    while (stop := log.find(b"\n\n", at)) >= 0:
        head, sep, data = log[at:stop].partition(b"\ndata: ")
        end = start + stop + 2
        if not sep or head != b"id: %d" % end or b"\n" in data:
            raise ValueError(f"no event of this log at byte {start + at}")
        yield Event(start + at, end, data)
        at = stop + 2
