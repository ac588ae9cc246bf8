"""MJPEG over HTTP: parts with and without a length, and servers that do it their own way."""

import io
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from streamproc.source.errors import SourceError
from streamproc.source.live.containers.multipart import MultipartJpeg, boundary_of, jpeg_size
from streamproc.source.live.rtp.depacketizer import AccessUnit


def jpeg(number: int, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    noise = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", **options)
    return file.getvalue()


PICTURES = [jpeg(number) for number in range(5)]


def parts(*, with_length: bool, line: bytes = b"\r\n", boundary: bytes = b"--cut") -> bytes:
    out = b""
    for picture in PICTURES:
        length = b"Content-Length: %d%s" % (len(picture), line) if with_length else b""
        out += boundary + line + b"Content-Type: image/jpeg" + line + length + line + picture + line
    return out + boundary + line


def read(
    data: bytes, cuts: list[int] | None = None, boundary: bytes = b"--cut"
) -> list[AccessUnit]:
    demuxer = MultipartJpeg("cam", boundary)
    edges = sorted({0, *(cuts or ()), len(data)})
    return [
        unit
        for number, (start, end) in enumerate(pairwise(edges))
        for unit in demuxer.push(data[start:end], number / 10)
    ]


@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("line", [b"\r\n", b"\n"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_each_part_is_a_picture_however_the_bytes_are_cut(
    with_length: bool, line: bytes, seed: int
) -> None:
    data = parts(with_length=with_length, line=line)
    cuts = random.Random(seed).sample(range(len(data)), 50)
    units = read(data, cuts)
    assert [unit.data for unit in units] == PICTURES
    assert all(unit.is_key and not unit.is_damaged for unit in units)
    assert [unit.timestamp for unit in units] == [round(unit.arrival_s * 90_000) for unit in units]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_the_size_is_that_of_the_frame_header(options: dict[str, object]) -> None:
    assert jpeg_size(jpeg(1, (320, 200), **options)) == (320, 200)
    assert jpeg_size(b"\xff\xd8\xff\xd9") is None


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/x-mixed-replace; boundary=cut", b"--cut"),
        ("multipart/x-mixed-replace;boundary=--cut", b"--cut"),
        ('Multipart/X-Mixed-Replace; charset=x; boundary="my cut"', b"--my cut"),
        ("multipart/x-mixed-replace", None),
        ("video/mp4", None),
    ],
)
def test_the_boundary_is_read_as_servers_write_it(
    content_type: str, boundary: bytes | None
) -> None:
    assert boundary_of(content_type) == boundary


def test_a_picture_without_its_end_is_damaged() -> None:
    cut = PICTURES[0][:-100]
    data = b"--cut\r\n\r\n" + cut + b"\r\n--cut\r\n"
    assert [unit.is_damaged for unit in read(data)] == [True]


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 9000,
        b"--cut\r\n" + b"a: b\r\n" * 2000,
        b"--cut\r\nContent-Length: 9000000\r\n\r\n",
        b"--cut\r\n\r\n" + b"\xff\xd8" + bytes(9 << 20),
        b"--cut\r\n\r\n<html>" * 200,
    ],
)
def test_what_is_not_as_announced_ends_within_bounds(data: bytes) -> None:
    with pytest.raises(SourceError, match="cam"):
        read(data, cuts=[*range(0, len(data), 64 * 1024)])
