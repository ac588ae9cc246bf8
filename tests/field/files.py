"""Awkward videos: what recorders, cutters and careless programs write."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tests.data import clips
from tests.data.clips import B_FRAMES, OPEN_GOP, Recipe

TS_PACKET = 188
_SIZE = (160, 96)
_N_FRAMES = 48
_HOUR = 3600 * 90_000

Maker = Callable[[Path], bytes]


def made(folder: Path, recipe: Recipe) -> bytes:
    """Return the bytes of a clip of at most `_N_FRAMES` frames."""
    short = replace(recipe, size=_SIZE, n_frames=min(recipe.n_frames, _N_FRAMES))
    return clips.write(folder / recipe.name, short).read_bytes()


# Transport and program streams

PLAIN_TS = Recipe("plain.ts", format="mpegts", b_frames=0)
OPEN_TS = Recipe("open.ts", options=OPEN_GOP, format="mpegts")
MPEG = Recipe("plain.mpg", codec="mpeg2video", b_frames=2, format="mpeg")


def joined(recipe: Recipe, times: int = 2) -> Maker:
    """The same recording several times over, as `cat` joins them."""
    return lambda folder: made(folder, recipe) * times


def cut(recipe: Recipe, share: float) -> Maker:
    """A transport stream that begins in the middle, at a packet's edge."""

    def make(folder: Path) -> bytes:
        content = made(folder, recipe)
        n_packets = len(content) // TS_PACKET
        return content[int(n_packets * share) * TS_PACKET :]

    return make


def from_mid_packet(folder: Path) -> bytes:
    return made(folder, PLAIN_TS)[1000:]


def packets_of(size: int, before: bytes, after: bytes) -> Maker:
    """Transport packets of 192 or 204 bytes."""

    def make(folder: Path) -> bytes:
        content = made(folder, PLAIN_TS)
        assert len(before) + TS_PACKET + len(after) == size
        parts = [content[at : at + TS_PACKET] for at in range(0, len(content), TS_PACKET)]
        return b"".join(before + part + after for part in parts)

    return make


def retimed(recipe: Recipe, change: Callable[[int, int], int]) -> Maker:
    """Every PES packet's times changed: `change` takes its number and a time in 90 kHz."""

    def make(folder: Path) -> bytes:
        content = bytearray(made(folder, recipe))
        for number, at in enumerate(_pes_heads(content)):
            flags = content[at + 7] >> 6
            for place in (at + 9, at + 14)[: 2 if flags == 3 else 1 if flags == 2 else 0]:
                _write_time(content, place, change(number, _read_time(content, place)))
        return bytes(content)

    return make


def jittered(number: int, time: int) -> int:
    """Every fifth frame is stamped 150 ms early, as some recorders of cameras do."""
    return time - 13_500 if number % 5 == 3 else time


def with_a_spike(number: int, time: int) -> int:
    return time + _HOUR if number == 20 else time


def _pes_heads(content: bytes | bytearray) -> Iterator[int]:
    """Yield where the heads of video PES packets are."""
    for at in range(0, len(content), TS_PACKET):
        if not content[at + 1] & 0x40:
            continue
        head = at + 4 + (1 + content[at + 4] if content[at + 3] & 0x20 else 0)
        if content[head : head + 3] == b"\0\0\1" and content[head + 3] & 0xF0 == 0xE0:
            yield head


def _read_time(content: bytes | bytearray, at: int) -> int:
    b, c = struct.unpack_from(">HH", content, at + 1)
    time: int = (content[at] >> 1 & 7) << 30 | b >> 1 << 15 | c >> 1
    return time


def _write_time(content: bytearray, at: int, time: int) -> None:
    time %= 1 << 33
    content[at] = content[at] & 0xF1 | (time >> 30 & 7) << 1
    struct.pack_into(">HH", content, at + 1, time >> 14 & 0xFFFE | 1, time << 1 & 0xFFFE | 1)


# MP4

PLAIN_MP4 = Recipe("plain.mp4")
B_MP4 = Recipe("b.mp4", options=B_FRAMES)
MPEG4_MP4 = Recipe("mpeg4.mp4", codec="mpeg4")


def edited(*segments: tuple[int, int], recipe: Recipe = B_MP4) -> Maker:
    """An edit list that shows parts of the clip: (first frame, number of frames) of each."""

    def make(folder: Path) -> bytes:
        content = bytearray(made(folder, recipe))
        at = content.index(b"elst") - 4
        (old_size,) = struct.unpack_from(">I", content, at)
        (shift,) = struct.unpack_from(">i", content, at + 20)
        per_frame = _timescale(content) // recipe.rate
        movie = struct.unpack_from(">I", content, content.index(b"mvhd") + 4 + 12)[0]
        entries = b"".join(
            struct.pack(">IiI", length * movie // recipe.rate, shift + first * per_frame, 1 << 16)
            for first, length in segments
        )
        new = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(segments)) + entries
        grown = len(new) - old_size
        assert content.index(b"mdat") < at, "the sample offsets would move"
        for name in (b"moov", b"trak", b"edts"):
            place = content.index(name) - 4
            (size,) = struct.unpack_from(">I", content, place)
            struct.pack_into(">I", content, place, size + grown)
        return bytes(content[:at]) + new + bytes(content[at + old_size :])

    return make


def _timescale(content: bytes | bytearray) -> int:
    return int(struct.unpack_from(">I", content, content.index(b"mdhd") + 4 + 12)[0])


def without_keyframes(recipe: Recipe) -> Maker:
    """No table of keyframes: every sample is one, says the container."""
    return lambda folder: made(folder, recipe).replace(b"stss", b"free")


def with_text_behind(folder: Path) -> bytes:
    line = b"$GPRMC,081836,A,3751.65,S,14507.36,E,000.0,360.0,130998,011.3,E*62\r\n"
    return made(folder, PLAIN_MP4) + 5 * line


def with_a_long_mdat(folder: Path) -> bytes:
    recipe = replace(PLAIN_MP4, name="fast.mp4", muxer={"movflags": "faststart"})
    content = bytearray(made(folder, recipe))
    at = content.index(b"mdat") - 4
    struct.pack_into(">I", content, at, struct.unpack_from(">I", content, at)[0] + 1_000_000)
    return bytes(content)


# AVI

B_AVI = Recipe("b.avi", options=B_FRAMES)
MSMPEG4_AVI = Recipe("ms.avi", codec="msmpeg4v2")


def with_riff_size(size: int) -> Maker:
    """The file's own length is wrong: by so many bytes, or so many in all."""

    def make(folder: Path) -> bytes:
        content = bytearray(made(folder, Recipe("plain.avi", codec="mpeg4")))
        (old,) = struct.unpack_from("<I", content, 4)
        struct.pack_into("<I", content, 4, old + size if size < 100 else size)
        return bytes(content)

    return make


def without_index(folder: Path) -> bytes:
    """A recorder that lost its power: no idx1, no length."""
    content = bytearray(made(folder, MSMPEG4_AVI))
    struct.pack_into("<I", content, 4, 0)
    return bytes(content[: content.rindex(b"idx1")])


# No container, and others

H264 = Recipe("bare.h264", format="h264", options=B_FRAMES)
HEVC = Recipe(
    "bare.hevc",
    codec="libx265",
    format="hevc",
    options={"x265-params": "keyint=12:log-level=none"},
)


B_MKV = Recipe("b.mkv", codec="mpeg4", b_frames=2, gop=4)
MJPEG = Recipe("bare.mjpeg", codec="mjpeg", format="mjpeg")
GIF = Recipe("moving.gif", codec="gif", format="gif", pix_fmt="rgb8", n_frames=12)
APNG = Recipe("moving.png", codec="apng", format="apng", pix_fmt="rgb24", n_frames=12)


def behind_a_head(folder: Path) -> bytes:
    """Hikvision's own 40 bytes before a program stream."""
    return b"IMKH\x01\x01\x00\x00\x02\x00\x01\x00".ljust(40, b"\0") + made(folder, MPEG)


def with_pauses(folder: Path) -> bytes:
    """A screen recording: nothing changes for minutes."""
    steps = [40] * _N_FRAMES
    steps[16], steps[32] = 600_000, 1_200_000
    pts = tuple(sum(steps[: at + 1]) for at in range(_N_FRAMES))
    return made(folder, Recipe("pauses.mkv", pts=pts, n_frames=_N_FRAMES, options=B_FRAMES))


FILES: dict[str, Maker] = {
    "joined.ts": joined(PLAIN_TS),
    "joined_open.ts": joined(OPEN_TS),
    "joined.mpg": joined(MPEG, 3),
    "cut_open.ts": cut(OPEN_TS, 0.37),
    "cut.ts": cut(PLAIN_TS, 0.4),
    "mid_packet.ts": from_mid_packet,
    "packets_192.ts": packets_of(192, b"\0\0\0\0", b""),
    "packets_204.ts": packets_of(204, b"", bytes(16)),
    "jitter.ts": retimed(PLAIN_TS, jittered),
    "spike.ts": retimed(PLAIN_TS, with_a_spike),
    "edit_inside.mp4": edited((7, 30)),
    "edit_twice.mp4": edited((5, 15), (31, 14)),
    "no_stss.mp4": without_keyframes(MPEG4_MP4),
    "no_stss_b.mp4": without_keyframes(B_MP4),
    "text_behind.mp4": with_text_behind,
    "long_mdat.mp4": with_a_long_mdat,
    "b_frames.avi": lambda folder: made(folder, B_AVI),
    "riff_plus_2.avi": with_riff_size(2),
    "riff_256_mib.avi": with_riff_size(256 << 20),
    "no_index.avi": without_index,
    "bare.h264": lambda folder: made(folder, H264),
    "bare.hevc": lambda folder: made(folder, HEVC),
    "imkh.mp4": behind_a_head,
    "pauses.mkv": with_pauses,
    "b_frames.mkv": lambda folder: made(folder, B_MKV),
    "bare.mjpeg": lambda folder: made(folder, MJPEG),
    "moving.gif": lambda folder: made(folder, GIF),
    "moving.png": lambda folder: made(folder, APNG),
}
