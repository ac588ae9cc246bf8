"""Messages of the foreign protocol inside chunks, and the bytes of its answers.

A message travels as the `text` of a target: JSON as it came, everything else in base64. So every
record of the suite is one that a worker could have written.
"""

import base64
import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from streamproc.contract.chunk import Roi, Target, decode_chunk
from streamproc.contract.framing import DONE, parse_events
from tests.conformance.streams import RefusedError

_LINES = re.compile(rb"\r\n|\r|\n")
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_NOWHERE = Roi(0, 0, 0, 0)


class Read(NamedTuple):
    """What log bytes hold: their messages, the offset after them, whether the log ends there."""

    messages: list[bytes]
    end: int
    closed: bool
    rest: bytes


def split_messages(body: bytes, *, as_json: bool) -> list[bytes]:
    """Return the messages that a body appends; of JSON, one level of array is taken apart.

    Raises `RefusedError` on what is no JSON.
    """
    if not as_json:
        return [body] if body else []
    try:
        msgspec.json.decode(body)
        if body.lstrip()[:1] == b"[":
            return [bytes(raw) for raw in _RAW_LIST.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise RefusedError(400, "not JSON") from exc
    return [body.strip()]


def targets_of(messages: Sequence[bytes], *, as_json: bool) -> list[Target]:
    return [
        Target(n, "message", 1.0, _NOWHERE, text=_packed(message, as_json=as_json))
        for n, message in enumerate(messages, 1)
    ]


def read_log(log: bytes, start: int, *, as_json: bool) -> Read:
    """Return what the whole events at the beginning of `log` hold, which starts at `start`.

    Raises `ValueError` where no event starts.
    """
    messages: list[bytes] = []
    end, closed = start, False
    for event in parse_events(log, start):
        end = event.end
        if event.data == DONE:
            closed = True
            continue
        for result in decode_chunk(event.data).delta.results:
            messages += [_unpacked(str(t.text), as_json=as_json) for t in result.targets]
    return Read(messages, end, closed, log[end - start :])


def body_of(messages: Sequence[bytes], *, as_json: bool) -> bytes:
    return b"[" + b",".join(messages) + b"]" if as_json else b"".join(messages)


def data_event(messages: Sequence[bytes], *, as_json: bool, as_text: bool) -> bytes:
    """Return messages as one `data` event; what is no text in base64."""
    body = body_of(messages, as_json=as_json)
    if not as_text:
        body = base64.b64encode(body)
    return b"event: data\n" + b"".join(b"data:%b\n" % line for line in _LINES.split(body)) + b"\n"


def control_event(offset: str, cursor: str, *, up_to_date: bool, closed: bool) -> bytes:
    control: dict[str, object] = {"streamNextOffset": offset}
    if closed:
        control["streamClosed"] = True
    else:
        control["streamCursor"] = cursor
        if up_to_date:
            control["upToDate"] = True
    return b"event: control\ndata:" + msgspec.json.encode(control) + b"\n\n"


def _packed(message: bytes, *, as_json: bool) -> str:
    return message.decode() if as_json else base64.b64encode(message).decode()


def _unpacked(text: str, *, as_json: bool) -> bytes:
    return text.encode() if as_json else base64.b64decode(text)
