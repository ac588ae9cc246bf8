"""`Transport` and `Session` headers of RTSP (RFC 2326, 12.39 and 12.37)."""

import re
from typing import Final, NamedTuple

MAX_SESSION: Final = 256
DEFAULT_TIMEOUT_S: Final = 60
_LEAST_TIMEOUT_S: Final = 5
_MOST_TIMEOUT_S: Final = 3600
_PAIR: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_SESSION: Final = re.compile(r"[!-:<-~]+")
_MAX_PORT: Final = 65535


class Channels(NamedTuple):
    """Interleaved channels, or UDP ports, of RTP and of RTCP."""

    rtp: int
    rtcp: int


def interleaved(channels: Channels) -> str:
    """Return the header that asks for RTP within the RTSP connection."""
    return f"RTP/AVP/TCP;unicast;interleaved={channels.rtp}-{channels.rtcp}"


def datagrams(ports: Channels) -> str:
    """Return the header that asks for RTP in UDP datagrams to our ports."""
    return f"RTP/AVP;unicast;client_port={ports.rtp}-{ports.rtcp}"


def accepted_channels(header: str | None, asked: Channels) -> Channels:
    """Return the channels of the answer to `interleaved`.

    Raises `ValueError` if the server chose another transport.
    """
    fields = _fields(header)
    if "TCP" not in fields.get("", "RTP/AVP/TCP").upper():
        raise ValueError("not the transport that was asked for")
    if "interleaved" not in fields:
        return asked
    found = _pair(fields["interleaved"])
    if found is None or max(found) > 255:
        raise ValueError("no valid channels")
    return found


def accepted_ports(header: str | None) -> Channels | None:
    """Return the server's ports of the answer to `datagrams`; None if it names none.

    Raises `ValueError` if the server chose another transport. The answer's `source` is ignored:
    datagrams go to, and are taken from, the address that RTSP is connected to.
    """
    fields = _fields(header)
    if "TCP" in fields.get("", "").upper() or "interleaved" in fields:
        raise ValueError("not the transport that was asked for")
    if "multicast" in fields:
        raise ValueError("not the transport that was asked for")
    if "server_port" not in fields:
        return None
    found = _pair(fields["server_port"])
    if found is None or not 0 < min(found) <= max(found) <= _MAX_PORT:
        raise ValueError("no valid ports")
    return found


def session(header: str | None) -> tuple[str | None, int]:
    """Return the session's identifier and its timeout in s, within 5 s and an hour.

    Raises `ValueError` for an identifier that cannot be sent back.
    """
    if header is None:
        return None, DEFAULT_TIMEOUT_S
    identifier, *rest = (part.strip() for part in header.split(";"))
    if _SESSION.fullmatch(identifier) is None or len(identifier) > MAX_SESSION:
        raise ValueError("no valid session")
    for part in rest:
        name, _, value = part.partition("=")
        if name.strip().lower() == "timeout" and re.fullmatch(r"[0-9]{1,9}", value.strip()):
            return identifier, min(max(int(value), _LEAST_TIMEOUT_S), _MOST_TIMEOUT_S)
    return identifier, DEFAULT_TIMEOUT_S


def _fields(header: str | None) -> dict[str, str]:
    """Return the parameters of a transport by name; that without a name is the protocol."""
    first, *rest = [part.strip() for part in (header or "").split(",")[0].split(";")]
    found = {"": first} if first else {}
    for part in rest:
        name, _, value = part.partition("=")
        found.setdefault(name.strip().lower(), value.strip())
    return found


def _pair(text: str) -> Channels | None:
    match = _PAIR.fullmatch(text)
    if match is None:
        return None
    first = int(match[1])
    return Channels(first, int(match[2]) if match[2] else first + 1)
