"""View model of a request that is edited as JSON text. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

MAX_BYTES = 1024 * 1024
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)


class RequestTextError(ValueError):
    """The text is no request; the message names the field, or the place in the text."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Sampling(_Part, frozen=True):
    mode: Literal["fps", "interval", "keyframe"]
    value: float | None = None


class _Range(_Part, frozen=True):
    start: float | None = None
    end: float | None = None
    unit: Literal["seconds", "frames"] = "seconds"


class _Record(_Part, frozen=True):
    retention_s: int | None = None


class _Live(_Part, frozen=True):
    transport: Literal["tcp", "udp"] | None = None
    on_loss: Literal["skip", "conceal"] | None = None
    max_lag_s: float | None = None
    give_up_s: float | None = None
    retention_days: int | None = None
    record: _Record | None = None


class _Video(_Part, frozen=True):
    type: Literal["video_url", "video_base64"] = "video_url"
    url: str = ""
    data: str = ""
    sampling: _Sampling | None = None
    range: _Range | None = None
    max_frames: int | None = None
    stream: int | None = None
    live: _Live | None = None


class _When(_Part, frozen=True):
    class_is: str | list[str] | None = None
    min_confidence: float | None = None


class _Step(_Part, frozen=True):
    model: str
    parameters: dict[str, Any] = {}
    when: _When | None = None


class _Request(_Part, frozen=True):
    input: list[_Video]
    steps: list[_Step]
    model: str | None = None
    precision: str | None = None


def request_text(body: Mapping[str, Any]) -> str:
    """Return the request as JSON to edit; an uploaded video is left out, as by the form."""
    items = [
        {"type": "video_url", "url": "", **{k: v for k, v in item.items() if k != "data"}}
        | ({"type": "video_url"} if "data" in item else {})
        for item in body.get("input") or ()
    ]
    data = msgspec.json.encode({**body, "input": items})
    return msgspec.json.format(data, indent=2).decode() + "\n"


def parse_request(text: str) -> dict[str, Any]:
    """Return the request's body; raises `RequestTextError`.

    The shape is checked here, because the form would lose what it does not know. The api checks
    the values.
    """
    data = text.encode("utf-8", "replace")
    if len(data) > MAX_BYTES:
        raise RequestTextError(f"the text has {len(data)} bytes, at most {MAX_BYTES} are read")
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError as exc:
        raise RequestTextError(f"this is not JSON: {_with_line(str(exc), data)}") from exc
    try:
        request = msgspec.convert(body, _Request)
    except msgspec.ValidationError as exc:
        found = _PLACE.match(str(exc))
        what, path = (found["what"], found["path"]) if found else (str(exc), None)
        raise RequestTextError(f"{path or 'the request'}: {what[:1].lower()}{what[1:]}") from exc
    if len(request.input) != 1:
        raise RequestTextError("input: must have exactly one video")
    kept: dict[str, Any] = body
    return kept


def _with_line(why: str, data: bytes) -> str:
    """Return the decoder's message with the line of its byte, where it names one."""
    at = re.search(r"\(byte (\d+)\)", why)
    if at is None:
        return why
    line = data[: int(at[1])].count(b"\n") + 1
    return f"{why[: at.start()].rstrip()} in line {line}"
