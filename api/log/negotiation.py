"""Response negotiation for log requests: a pure decision from the request and the log's extent.

`read_ask` parses the request, `negotiate` decides. Neither waits, does I/O or uses a clock: a wait
is a result (`Hold`) that the caller performs before it calls again.
"""

import enum
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, overload

from api.errors import BadRequestError, ConflictError, OffsetRangeError
from streamproc.contract.timestamps import usable_time_ms

MIN_HEARTBEAT_S = 1.0
MAX_HEARTBEAT_S = 300.0

END = "end"
"""As `?offset=`: the end of the log at this time."""

_NUMBER = re.compile(r"[0-9]{1,19}")
_SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?")
_RANGE = re.compile(r"bytes=(?P<first>[0-9]{0,19})-(?P<last>[0-9]{0,19})")


class Live(enum.Enum):
    """How a request wants to read an open log: as a stream, by long polling, or what exists now."""

    STREAM = "true"
    LONG_POLL = "long-poll"
    NOW = "false"


class Ask(NamedTuple):
    """A parsed request for a log. `offset` None: the client gave no start.

    `at_end`: it starts where the log ends now. `from_ms`: it starts at the first frame of that
    time, in Unix ms. Both become an `offset` once the log is known (`starting`).
    `if_none_match` holds entity tags and possibly `*`.
    """

    offset: int | None = None
    live: Live = Live.STREAM
    heartbeat_s: float | None = None
    byte_range: str | None = None
    if_range: str | None = None
    if_none_match: tuple[str, ...] = ()
    at_end: bool = False
    from_ms: int | None = None


class LogExtent(NamedTuple):
    """The facts about a log that its response depends on."""

    task: str
    length: int
    closed: bool


class Body(NamedTuple):
    """Send log bytes from `start` to `end`; if `end` is None, as they arrive."""

    status: int
    start: int
    end: int | None
    headers: dict[str, str]


class Empty(NamedTuple):
    """Send a status without a body."""

    status: int
    headers: dict[str, str]


class Hold(NamedTuple):
    """Wait until the log has at least `length` bytes or is closed, then negotiate again.

    `ahead`: the client's offset is beyond the log's end; wait only briefly.
    """

    length: int
    ahead: bool


def read_ask(query: Mapping[str, Sequence[str]], headers: Mapping[str, str]) -> Ask:
    """Parse a request for a log.

    `headers` has lower-case names; the values of a repeated field are joined with commas.
    `Last-Event-ID` overrides `?offset=`, because browsers repeat the URL when they reconnect.
    Raises `BadRequestError` on invalid values, repeated parameters, and a heartbeat without a
    stream.
    """
    offset, at_end, from_ms = _start(query)
    ids = {text.strip() for text in headers.get("last-event-id", "").split(",")} - {""}
    if len(ids) > 1:
        raise BadRequestError("Last-Event-ID must be given once")
    if ids:
        offset, at_end, from_ms = _offset("Last-Event-ID", ids.pop()), False, None
    live_text = _single(query, "live")
    try:
        live = Live.STREAM if live_text is None else Live(live_text)
    except ValueError as exc:
        raise BadRequestError("live must be one of: true, false, long-poll") from exc
    heartbeat_s = _heartbeat_s(_single(query, "heartbeat"))
    if heartbeat_s is not None and live is not Live.STREAM:
        raise BadRequestError("heartbeat needs a live stream: leave live out")
    return Ask(
        offset=offset,
        at_end=at_end,
        from_ms=from_ms,
        live=live,
        heartbeat_s=heartbeat_s,
        byte_range=headers.get("range"),
        if_range=headers.get("if-range"),
        if_none_match=_tags(headers.get("if-none-match", "")),
    )


@overload
def negotiate(
    ask: Ask, log: LogExtent, *, waited: Literal[False] = False
) -> Body | Empty | Hold: ...
@overload
def negotiate(ask: Ask, log: LogExtent, *, waited: Literal[True]) -> Body | Empty: ...
def negotiate(ask: Ask, log: LogExtent, *, waited: bool = False) -> Body | Empty | Hold:
    """Return the response. Set `waited` after a `Hold`: then no second one is returned.

    Raises `OffsetRangeError` for an offset beyond a closed log, `ConflictError` for one beyond an
    open log; both contain the log's length.
    """
    start = ask.offset or 0
    if log.closed:
        return _closed(ask, log, start)
    if start > log.length:
        if not waited:
            return Hold(start, ahead=True)
        raise ConflictError(
            f"The offset lies ahead of the log, which has {log.length} bytes so far.",
            code="offset_ahead",
            extra={"length": log.length},
            headers=_state(log, None),
        )
    if ask.live is Live.STREAM:
        return Body(200, start, None, _state(log, start))
    if ask.live is Live.LONG_POLL and start == log.length:
        if not waited:
            return Hold(start + 1, ahead=False)
        return Empty(204, _state(log, start, log.length))
    return Body(200, start, log.length, _state(log, start, log.length))


def _closed(ask: Ask, log: LogExtent, start: int) -> Body | Empty:
    if start > log.length:
        raise _beyond(log, f"The log ends at byte {log.length}: there is nothing beyond.")
    if start == log.length:
        return Empty(204, _state(log, start, log.length))
    if ask.live is not Live.NOW or ask.offset:
        next_offset = None if ask.live is Live.STREAM else log.length
        return Body(200, start, log.length, _state(log, start, next_offset))
    return _whole(ask, log)


def _whole(ask: Ask, log: LogExtent) -> Body | Empty:
    """Serve a closed log from its first byte like an immutable file, with ETag and Range."""
    tag = f'"{log.task}.{log.length}"'
    headers = _state(log, 0, log.length) | {"ETag": tag, "Accept-Ranges": "bytes"}
    if "*" in ask.if_none_match or tag in ask.if_none_match:
        return Empty(304, headers)
    if ask.byte_range is None or (ask.if_range is not None and ask.if_range.strip() != tag):
        return Body(200, 0, log.length, headers)
    asked = _RANGE.fullmatch(ask.byte_range.strip().replace(" ", ""))
    if asked is None or not (asked["first"] or asked["last"]):
        return Body(200, 0, log.length, headers)
    if asked["first"]:
        first = int(asked["first"])
        end = min(int(asked["last"]) + 1, log.length) if asked["last"] else log.length
        if asked["last"] and int(asked["last"]) < first:
            return Body(200, 0, log.length, headers)
    else:
        first = max(log.length - int(asked["last"]), 0)
        end = log.length
    if first >= log.length:
        raise _beyond(log, f"The range lies beyond the log's {log.length} bytes.")
    headers |= {
        "Stream-Start-Offset": str(first),
        "Stream-Next-Offset": str(end),
        "Content-Range": f"bytes {first}-{end - 1}/{log.length}",
    }
    return Body(206, first, end, headers)


def _state(log: LogExtent, start: int | None, next_offset: int | None = None) -> dict[str, str]:
    headers = {"Stream-Closed": "true" if log.closed else "false"}
    if start is not None:
        headers["Stream-Start-Offset"] = str(start)
    if next_offset is not None:
        headers["Stream-Next-Offset"] = str(next_offset)
    return headers


def _beyond(log: LogExtent, detail: str) -> OffsetRangeError:
    return OffsetRangeError(
        detail,
        extra={"length": log.length},
        headers=_state(log, None) | {"Content-Range": f"bytes */{log.length}"},
    )


def _start(query: Mapping[str, Sequence[str]]) -> tuple[int | None, bool, int | None]:
    """Return where the query starts: a byte, the log's end, or a time in Unix ms."""
    text, moment = _single(query, "offset"), _single(query, "from")
    if moment is None:
        return (None, True, None) if text == END else (_offset("offset", text), False, None)
    if text is not None:
        raise BadRequestError("give offset or from, not both")
    # A plus sign in a query is a space.
    from_ms = usable_time_ms(moment.replace(" ", "+") if "T" in moment else moment)
    if from_ms is None:
        raise BadRequestError("from must be a time with its zone, such as 2026-01-31T12:00:00Z")
    return None, False, from_ms


def _single(query: Mapping[str, Sequence[str]], name: str) -> str | None:
    values = query.get(name, ())
    if len(values) > 1:
        raise BadRequestError(f"{name} must be given once")
    return values[0] if values else None


def _offset(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None:
        what = f"0 or more, in at most 19 digits{', or end' if name == 'offset' else ''}"
        raise BadRequestError(f"{name} must be a byte offset: {what}")
    return int(text)


def _heartbeat_s(text: str | None) -> float | None:
    if text is None:
        return None
    if _SECONDS.fullmatch(text) is None or not MIN_HEARTBEAT_S <= float(text) <= MAX_HEARTBEAT_S:
        raise BadRequestError(
            f"heartbeat must be seconds from {MIN_HEARTBEAT_S:g} to {MAX_HEARTBEAT_S:g}"
        )
    return float(text)


def _tags(text: str) -> tuple[str, ...]:
    return tuple(tag.strip().removeprefix("W/") for tag in text.split(",") if tag.strip())
