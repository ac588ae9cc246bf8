"""MP4 boxes by hand: what no muxer would write."""

import struct


def box(kind: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind.encode()) + body


def table(kind: str, *numbers: int) -> bytes:
    """A full box (version and flags 0) of 32-bit numbers."""
    return box(kind, struct.pack(f">{1 + len(numbers)}I", 0, *numbers))


def track(*tables: bytes, handler: bytes = b"vide") -> bytes:
    hdlr = box("hdlr", bytes(8), handler, bytes(13))
    return box("trak", box("mdia", hdlr, box("minf", box("stbl", *tables))))


def movie(*tracks: bytes) -> bytes:
    return box("ftyp", b"isom", bytes(4)) + box("moov", *tracks)
