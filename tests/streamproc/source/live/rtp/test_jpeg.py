"""JPEG from packets without tables: the tables of Annex K, as PIL's encoder knows them."""

import io
import struct

import pytest
from PIL import Image

from streamproc.source.live.rtp.depacketizer import Depacketizer
from streamproc.source.live.rtp.jpeg_tables import quantization_tables
from streamproc.source.live.rtsp.sdp import Track

TRACK = Track("mjpeg", 26, 90_000, "")


def saved(quality: int, *, subsampling: str = "4:2:0") -> bytes:
    image = Image.radial_gradient("L").resize((160, 96)).convert("RGB")
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality, subsampling=subsampling)
    return target.getvalue()


def scan_of(data: bytes) -> bytes:
    at = data.index(b"\xff\xda")
    return data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] : -2]


def packets(scan: bytes, kind: int, quality: int, tables: bytes = b"") -> list[bytes]:
    found = []
    for number, at in enumerate(range(0, len(scan), 400)):
        part = scan[at : at + 400]
        marker = 128 if at + 400 >= len(scan) else 0
        head = struct.pack(">BBHII", 0x80, 26 | marker, number, 5, 9)
        head += bytes([0]) + at.to_bytes(3, "big") + bytes([kind, quality, 160 // 8, 96 // 8])
        found.append(head + (tables if at == 0 else b"") + part)
    return found


def made(parts: list[bytes]) -> list[bytes]:
    machine = Depacketizer(TRACK, is_udp=False)
    return [unit.data for part in parts for unit in machine.push(part, 0.0) if not unit.is_damaged]


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 51, 75, 99])
@pytest.mark.parametrize(("kind", "subsampling"), [(0, "4:2:2"), (1, "4:2:0")])
def test_a_quality_stands_for_its_tables(quality: int, kind: int, subsampling: str) -> None:
    original = saved(quality, subsampling=subsampling)
    (picture,) = made(packets(scan_of(original), kind, quality))
    ours, theirs = (Image.open(io.BytesIO(data)) for data in (picture, original))
    assert ours.quantization == theirs.quantization  # type: ignore[attr-defined]
    assert ours.tobytes() == theirs.tobytes()


def test_tables_that_were_sent_once_are_remembered_for_their_quality() -> None:
    original = saved(60)
    tables = quantization_tables(60)
    with_tables = packets(scan_of(original), 1, 200, struct.pack(">BBH", 0, 0, 128) + tables)
    without = packets(scan_of(original), 1, 200, struct.pack(">BBH", 0, 0, 0))
    later = [
        part[:2] + (100 + number).to_bytes(2, "big") + (9).to_bytes(4, "big") + part[8:]
        for number, part in enumerate(without)
    ]
    assert len(made(with_tables)) == 1
    assert made(without) == []
    shifted = [part[:2] + (100 - len(with_tables) + n).to_bytes(2, "big") + part[4:]
               for n, part in enumerate(with_tables)]  # fmt: skip
    pictures = made(shifted + later)
    assert len(pictures) == 2
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize("quality", [0, 100, 127])
def test_a_quality_without_a_meaning_gives_no_picture(quality: int) -> None:
    assert made(packets(scan_of(saved(50)), 1, quality)) == []
