"""SSE framing of log events with byte offsets: `data: <json>`, `id: <end>`, a blank line, LF only.

`<end>` is the byte offset just after the event. Its own digits count: if two lengths are
self-consistent, the smaller one is used. `data` comes first because some clients store an `id` as
soon as they have its line: if the connection broke after that line, they would resume after an
event that they never received. Earlier versions wrote `id` first, in the same number of bytes.
Those logs keep their bytes, so readers accept both orders, event by event.
"""

from collections.abc import Iterator
from typing import NamedTuple

DONE = b"[DONE]"
_DATA = b"data: "
_ID = b"id: "
_FIXED = len(b"data: \nid: \n\n")


class Event(NamedTuple):
    """One event of a log: its bytes are at `[start, end)`, `data` is the text after `data: `."""

    start: int
    end: int
    data: bytes


def frame_event(data: bytes, start: int) -> bytes:
    """Return the event that carries `data` at byte offset `start`.

    Raises ValueError if `data` holds a line break, which would end the event early.
    """
    if b"\n" in data or b"\r" in data:
        raise ValueError("event data must not hold line breaks")
    base = start + _FIXED + len(data)
    n_digits = len(str(base))
    while len(str(base + n_digits)) != n_digits:
        n_digits += 1
    return b"data: %b\nid: %d\n\n" % (data, base + n_digits)


def event_lines(block: bytes) -> tuple[bytes, bytes] | None:
    """Return the data and the id of an event, whose lines may be in either order.

    `block` is the event without its blank line. Returns None if it is not the two lines of one
    event. Does not check that the id is the event's end.
    """
    first, sep, second = block.partition(b"\n")
    if not sep or b"\n" in second:
        return None
    if first.startswith(_DATA) and second.startswith(_ID):
        return first[len(_DATA) :], second[len(_ID) :]
    if first.startswith(_ID) and second.startswith(_DATA):
        return second[len(_DATA) :], first[len(_ID) :]
    return None


def event_data(log: bytes) -> bytes:
    """Return the data of the first event of `log`, empty if that is none; its id is not checked."""
    lines = event_lines(log.partition(b"\n\n")[0])
    return b"" if lines is None else lines[0]


def parse_events(log: bytes, start: int = 0) -> Iterator[Event]:
    """Yield the complete events of `log`, whose first byte is at offset `start`.

    `start` must be an event's first byte. An incomplete event at the end is skipped. Raises
    ValueError on anything that no version of `frame_event` wrote, including wrong end offsets.
    """
    at = 0
    while (stop := log.find(b"\n\n", at)) >= 0:
        end = start + stop + 2
        found = event_lines(log[at:stop])
        if found is None or found[1] != b"%d" % end:
            raise ValueError(f"no event of this log at byte {start + at}")
        yield Event(start + at, end, found[0])
        at = stop + 2
