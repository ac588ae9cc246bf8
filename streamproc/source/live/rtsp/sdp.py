"""Session descriptions (SDP, RFC 8866): which video track to play, and how it is packed."""

import base64
import binascii
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Final, NamedTuple

from streamproc.source.errors import SourceNotVideoError, SourceUnsupportedError

MAX_BYTES: Final = 64 * 1024
MAX_LINES: Final = 2048
MAX_MEDIA: Final = 32
MAX_PARAMETER_SETS: Final = 64
CODECS: Final = {"H264": "h264", "H265": "hevc", "JPEG": "mjpeg"}
_CLOCK_HZ: Final = 90_000
_STATIC: Final = {26: ("JPEG", _CLOCK_HZ)}
_PLAIN: Final = frozenset({"RTP/AVP", "RTP/AVPF", "RTP/AVP/TCP", "RTP/AVP/UDP"})
_SETS: Final = ("sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_RATE: Final = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,6})?")


class Track(NamedTuple):
    """The video track to play. `codec` as in `CODECS`; `clock_hz`: RTP timestamps per second.

    `parameter_sets`: NAL units that the description brings. `declared_fps` is the server's word,
    None without one. `control`: as written, relative or absolute.
    """

    codec: str
    payload_type: int
    clock_hz: int
    control: str
    parameter_sets: tuple[bytes, ...] = ()
    declared_fps: float | None = None


class Description(NamedTuple):
    """`track`: the video that is played; `control`: of the whole session, None without one.

    `n_video`, `n_other`: how many tracks of each kind the server offers.
    """

    track: Track
    control: str | None
    n_video: int
    n_other: int


class _Media(NamedTuple):
    kind: str
    protocol: str
    formats: tuple[int, ...]
    lines: tuple[str, ...]


def parse(body: bytes, host: str) -> Description:
    """Return the first video track that can be decoded; `host` is named in errors.

    Raises `SourceNotVideoError`, and `SourceUnsupportedError` for a codec that is not on the list,
    an encrypted stream, or a description beyond the limits.
    """
    if len(body) > MAX_BYTES:
        raise SourceUnsupportedError(f"{host} describes itself in over {MAX_BYTES} bytes")
    lines = body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise SourceUnsupportedError(f"{host} describes itself in over {MAX_LINES} lines")
    session, media = _split(lines)
    if len(media) > MAX_MEDIA:
        raise SourceUnsupportedError(f"{host} offers more than {MAX_MEDIA} tracks")
    video = [one for one in media if one.kind == "video"]
    if not video:
        raise SourceNotVideoError(f"{host} offers no video")
    refusal: SourceUnsupportedError | None = None
    for one in video:
        try:
            track = _track(one, host)
        except SourceUnsupportedError as exc:
            refusal = refusal or exc
            continue
        control = _attribute(session, "control")
        return Description(track, control, len(video), len(media) - len(video))
    raise refusal or SourceNotVideoError(f"{host} offers no video")


def _split(lines: list[str]) -> tuple[tuple[str, ...], list[_Media]]:
    """Return the session's own lines, and the media sections."""
    starts = [i for i, line in enumerate(lines) if line.startswith("m=")]
    media = []
    for start, end in pairwise([*starts, len(lines)]):
        kind, _, rest = lines[start][2:].partition(" ")
        fields = rest.split()
        formats = tuple(int(text) for text in fields[2:] if _NUMBER.fullmatch(text))
        protocol = fields[1].upper() if len(fields) > 1 else ""
        media.append(_Media(kind.lower(), protocol, formats, tuple(lines[start + 1 : end])))
    return tuple(lines[: starts[0] if starts else len(lines)]), media


def _track(media: _Media, host: str) -> Track:
    if "SAVP" in media.protocol:
        raise SourceUnsupportedError(f"{host} encrypts its video (SRTP), which is not supported")
    if media.protocol not in _PLAIN:
        raise SourceUnsupportedError(f"{host} sends its video by another protocol than RTP")
    names = []
    for payload_type in media.formats:
        name, clock_hz = _encoding(media, payload_type)
        if name in CODECS and 0 < clock_hz <= 1_000_000:
            return _readable_track(media, payload_type, CODECS[name], clock_hz, host)
        names.append(name)
    shown = next((name for name in names if re.fullmatch(r"[A-Z0-9._-]{1,32}", name)), "unknown")
    raise SourceUnsupportedError(
        f"{host} sends the codec {shown}; supported are H264, H265 and JPEG"
    )


def _readable_track(
    media: _Media, payload_type: int, codec: str, clock_hz: int, host: str
) -> Track:
    parameters = _format_parameters(media, payload_type)
    if parameters.get("packetization-mode", "1") not in {"0", "1"} or (
        parameters.get("sprop-max-don-diff", "0") != "0"
    ):
        raise SourceUnsupportedError(f"{host} interleaves its pictures, which is not supported")
    rate = _attribute(media.lines, "framerate") or ""
    fps = float(rate) if _RATE.fullmatch(rate) else 0.0
    return Track(
        codec=codec,
        payload_type=payload_type,
        clock_hz=clock_hz,
        control=_attribute(media.lines, "control") or "",
        parameter_sets=_parameter_sets(parameters) if codec != "mjpeg" else (),
        declared_fps=fps or None,
    )


def _encoding(media: _Media, payload_type: int) -> tuple[str, int]:
    for line in media.lines:
        if line.startswith("a=rtpmap:"):
            number, _, encoding = line[len("a=rtpmap:") :].strip().partition(" ")
            name, _, rest = encoding.strip().partition("/")
            clock = rest.partition("/")[0].strip()
            if number == str(payload_type):
                clock_hz = int(clock) if _NUMBER.fullmatch(clock) else 0
                return name.strip().upper(), clock_hz
    return _STATIC.get(payload_type, ("", 0))


def _format_parameters(media: _Media, payload_type: int) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for line in media.lines:
        if line.startswith("a=fmtp:"):
            number, _, text = line[len("a=fmtp:") :].strip().partition(" ")
            if number == str(payload_type):
                for piece in text.split(";"):
                    name, _, value = piece.strip().partition("=")
                    found[name.strip().lower()] = value.strip()
    return found


def _parameter_sets(parameters: Mapping[str, str]) -> tuple[bytes, ...]:
    """Decode the parameter sets; a text that is not base64 is left out: the stream has its own."""
    texts = [text for name in _SETS for text in parameters.get(name, "").split(",") if text.strip()]
    found = []
    for text in texts[:MAX_PARAMETER_SETS]:
        padded = text.strip() + "=" * (-len(text.strip()) % 4)
        try:
            unit = base64.b64decode(padded, validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(unit) > 2:
            found.append(unit)
    return tuple(found)


def _attribute(lines: tuple[str, ...], name: str) -> str | None:
    start = f"a={name}:"
    values = (line[len(start) :].strip() for line in lines if line.startswith(start))
    return next(values, None)
