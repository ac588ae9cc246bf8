"""Files that are no video, lie, or are broken: a clear error, and what decodes is delivered."""

import os
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from models.sizes import InputFit
from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.errors import SourceError
from streamproc.source.fetch.opener import open_reader
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import open_source
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.data import clips
from tests.streamproc.source.conftest import (
    ALL,
    Clip,
    digest,
    plain_decode,
    policy,
    run,
    seen,
    walk,
)


def code_of(path: Path, content: bytes | None = None, **changes: Any) -> str:
    if content is not None:
        path.write_bytes(content)
    with (
        pytest.raises(SourceError) as caught,
        open_source(SourceSpec(path.as_uri()), policy(path, **changes), FrameOutputs()) as source,
    ):
        for _ in source:
            pass
    assert str(path.parent) not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "source_empty"),
        (b"<!DOCTYPE html><title>no</title>", "source_not_video"),
        (b"just words\n" * 50, "source_not_video"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n", "source_unsupported"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "source_unsupported"),
        (b"\x89PNG\r\n\x1a\n" + bytes(300), "source_not_video"),
        (b"GIF89a" + bytes(300), "source_not_video"),
        (b"RIFF\x10\0\0\0WEBPVP8X\x0a\0\0\0\x02" + bytes(300), "source_unsupported"),
        (b"\xff\xd8\xff\xe0" + bytes(300), "source_not_video"),
        (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(300), "source_not_video"),
        (b"\0\0\0\x18ftypheic" + bytes(300), "source_not_video"),
        (b"ID3\x04" + bytes(300), "source_not_video"),
        (bytes(range(256)) * 4, "source_unsupported"),
        (b"\0\0\0\x18ftypisom" + bytes(16), "source_unsupported"),
        (b"\x1a\x45\xdf\xa3" + b"\x80" * 500, "source_unsupported"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    assert code_of(tmp_path / "file.mp4", content) == code


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert code_of(path) == "source_not_video"


def test_a_video_without_frames_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.avi"
    clips.write(path, clips.Recipe("empty.avi", codec="mpeg4", n_frames=1))
    with av.open(str(path)) as container:
        packet = next(container.demux(video=0))
        assert packet.pos is not None
        start = packet.pos - 8
    data = bytearray(path.read_bytes())
    del data[start:]
    data[4:8] = struct.pack("<I", len(data) - 8)
    assert code_of(tmp_path / "none.avi", bytes(data)) == "source_empty"


def test_too_many_pixels_are_refused_before_any_is_decoded(clip: Clip, tmp_path: Path) -> None:
    data = bytearray(clip("mjpeg.avi").read_bytes())
    at = data.index(b"strf") + 12
    data[at : at + 8] = struct.pack("<ii", 16384, 16384)
    start = b"\xff\xc0\x00\x11\x08"
    big = bytes(data).replace(start + struct.pack(">HH", 96, 160), start + b"\x40\x00\x40\x00")
    assert code_of(tmp_path / "big.avi", big) == "source_too_large"
    assert code_of(clip("plain.mp4"), max_pixels=1000) == "source_too_large"
    assert code_of(clip("plain.mp4"), max_bytes=1000) == "source_too_large"


def test_files_outside_the_allowed_folders_are_forbidden(clip: Clip, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.mp4").symlink_to(clip("plain.mp4"))
    outside = tmp_path / "outside.mp4"
    outside.write_bytes(b"x")
    os.mkfifo(inside / "pipe.mp4")
    allowed = FetchPolicy(allowed_file_roots=(inside,))
    for path, code in (
        ("link.mp4", "source_forbidden"),
        ("../outside.mp4", "source_forbidden"),
        ("%2e%2e/outside.mp4", "source_forbidden"),
        (".", "source_forbidden"),
        ("pipe.mp4", "source_forbidden"),
        ("missing.mp4", "source_unreachable"),
    ):
        with pytest.raises(SourceError) as caught:
            open_reader(f"file://{inside}/{path}", allowed)
        assert caught.value.code == code
        assert str(inside) not in str(caught.value)
    assert str(caught.value) == "the file cannot be opened: No such file or directory"


@pytest.mark.parametrize("told", [1, 20, 100_000])
def test_a_header_that_lies_about_the_frame_count_does_not_matter(
    clip: Clip, tmp_path: Path, told: int
) -> None:
    path = clips.lie_about_frames(clip("mpeg4.avi"), tmp_path / "liar.avi", told)
    for sampling in (ALL, Sampling("keyframe")):
        got, usage = run(path, sampling)
        plain = plain_decode(clip("mpeg4.avi"))
        assert usage.decoded + usage.skipped_undecoded == 60
        assert seen(got) == seen(f for f in plain if sampling is ALL or f.is_key)


@pytest.mark.parametrize("name", ["plain.mp4", "b_frames.mp4", "mpeg4.avi", "open_gop.mkv"])
def test_a_truncated_file_gives_what_decodes_and_then_an_error(
    clip: Clip, tmp_path: Path, name: str
) -> None:
    whole = clip(name)
    if name.endswith("mp4"):
        whole = clips.faststart(whole, tmp_path / "front.mp4")
    path = tmp_path / f"cut-{name}"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    found: list[tuple[int, int]] = []
    with open_source(SourceSpec(path.as_uri(), ALL), policy(path), FrameOutputs()) as source:
        with pytest.raises(SourceError) as caught:
            found.extend((frame.index, frame.pts) for frame in source)
        usage = source.usage()
    assert caught.value.code == "source_truncated"
    plain = [(frame.index, frame.pts) for frame in plain_decode(clip(name))]
    n_whole = len(found) - 2
    assert n_whole > 15
    assert found[:n_whole] == plain[:n_whole]
    assert usage.decoded == len(found)


def test_a_range_that_ends_before_the_cut_has_no_error(clip: Clip, tmp_path: Path) -> None:
    whole = clips.faststart(clip("plain.mp4"), tmp_path / "front.mp4")
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    got, _ = run(path, ALL, FrameRange(0, 20, "frames"))
    assert len(got) == 20


def test_an_index_cut_off_is_truncated(clip: Clip, tmp_path: Path) -> None:
    data = clip("plain.mp4").read_bytes()
    assert code_of(tmp_path / "cut.mp4", data[: len(data) // 2]) == "source_truncated"


def test_a_broken_frame_is_counted_and_the_rest_keeps_its_index(clip: Clip, tmp_path: Path) -> None:
    path = clips.damage(clip("mjpeg.avi"), tmp_path / "hurt.avi", [20, 41], lambda b: bytes(len(b)))
    got, usage = walk(path)
    assert [frame.index for frame in got] == [i for i in range(60) if i not in {20, 41}]
    assert (usage.decoded, usage.failed) == (58, 2)
    assert {f.index: f.digest for f in got}.items() <= {
        f.index: f.digest for f in plain_decode(clip("mjpeg.avi"))
    }.items()
    assert got[20].counters == (21, 1, 0)
    late, late_usage = walk(path, ALL, FrameRange(30, None, "frames"))
    assert [frame.index for frame in late] == [i for i in range(30, 60) if i != 41]
    assert (late_usage.decoded, late_usage.failed) == (29, 1)
    resumed, _ = walk(path, resume=got[10].resume)
    assert resumed == got[11:]


@pytest.mark.parametrize(
    "name", ["b_frames.mp4", "open_gop.mp4", "mpeg4_b.mp4", "hevc.mp4", "mpeg4.avi"]
)
def test_every_frame_of_a_broken_file_is_accounted_for(
    clip: Clip, tmp_path: Path, name: str
) -> None:
    n_frames = len(plain_decode(clip(name)))
    noise = np.random.default_rng(3)
    path = clips.damage(
        clip(name),
        tmp_path / name,
        [18, 19, 33],
        lambda b: b[:4] + noise.integers(0, 256, len(b) - 4, np.uint8).tobytes(),
    )
    got, usage = walk(path)
    assert usage.decoded == len(got)
    assert usage.decoded + usage.failed == n_frames
    assert got[-1].index == n_frames - 1


@pytest.mark.parametrize(
    ("codec", "form"), [("libx264", "h264"), ("libx265", "hevc"), ("mpeg2video", "mpeg2video")]
)
def test_a_raw_stream_without_times_is_sampled_by_keyframe(
    tmp_path: Path, codec: str, form: str
) -> None:
    options = {"x265-params": "keyint=12:log-level=none"} if codec == "libx265" else {}
    recipe = clips.Recipe("raw", codec=codec, format=form, n_frames=30, options=options)
    path = clips.write(tmp_path / f"raw.{form}", recipe)
    got, usage = walk(path, Sampling("keyframe"))
    with av.open(str(path)) as container:
        keys = [
            frame.to_ndarray(format="bgr24")
            for frame in container.decode(video=0)
            if frame.key_frame
        ]
    assert len(keys) == 3
    assert [frame.digest for frame in got] == [digest(image) for image in keys]
    assert (usage.decoded + usage.skipped_undecoded, usage.failed) == (30, 0)
    resumed, _ = walk(path, Sampling("keyframe"), resume=got[0].resume)
    assert resumed == got[1:]


@pytest.mark.parametrize("n_lost", [1, 2, 7])
def test_keyframe_sampling_of_a_stream_cut_behind_its_only_keyframe_ends_well(
    tmp_path: Path, n_lost: int
) -> None:
    options = {"x264-params": "intra-refresh=1:keyint=20:bframes=0"}
    whole = clips.write(
        tmp_path / "whole.ts", clips.Recipe("whole.ts", format="mpegts", options=options)
    )
    path = clips.cut_ts(whole, tmp_path / "cut.ts", n_lost)
    every, _ = walk(path)
    assert len(every) > 20
    got, usage = walk(path, Sampling("keyframe"))
    assert [frame.index for frame in got] == []
    assert usage.decoded == len(every)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_video_comes_out_upright(clip: Clip, tmp_path: Path, degrees: int) -> None:
    path = clips.rotate_mp4(clip("plain.mp4"), tmp_path / "turned.mp4", degrees)
    outputs = FrameOutputs(full=True, scaled=InputFit(64, 64))
    turns = {90: 3, 180: 2, 270: 1}[degrees]
    with av.open(str(clip("plain.mp4"))) as container:
        expected = [
            np.rot90(f.to_ndarray(format="bgr24"), turns) for f in container.decode(video=0)
        ]
    with open_source(SourceSpec(path.as_uri(), ALL), policy(path), outputs) as source:
        assert (source.info.width, source.info.height) == expected[0].shape[1::-1]
        for frame, upright in zip(source, expected, strict=True):
            assert frame.image is not None
            assert frame.scaled is not None
            assert np.array_equal(frame.image, upright)
            height, width = upright.shape[:2]
            rows, columns = np.arange(64) * height // 64, np.arange(64) * width // 64
            rough = upright[rows][:, columns].astype(int)
            assert np.abs(frame.scaled.astype(int) - rough).mean() < 25
            frame.release()


DURATION_MS = struct.Struct(">d")


def with_duration(path: Path, to: Path, duration_ms: float) -> Path:
    """Copy a Matroska file with another Duration (element 0x4489, 8 bytes) in its head."""
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = DURATION_MS.pack(duration_ms)
    to.write_bytes(data)
    return to


@pytest.mark.parametrize("duration_ms", [-1000.0, -1e300, 1e300, float("nan"), float("inf"), 0.0])
def test_a_duration_that_cannot_be_is_not_known(
    clip: Clip, tmp_path: Path, duration_ms: float
) -> None:
    path = with_duration(clip("vfr.mkv"), tmp_path / "lies.mkv", duration_ms)
    with open_source(SourceSpec(path.as_uri(), ALL), policy(path), FrameOutputs()) as source:
        assert source.info.total_frames is None or source.info.total_frames <= 2**40
        assert source.info.duration_s is None or 0 <= source.info.duration_s <= 1e9
        n_frames = sum(1 for _ in source)
    assert n_frames == len(plain_decode(clip("vfr.mkv")))


@pytest.mark.parametrize("title", [b"Caf\xe9", b"\xff\xfe\xfd\xc0"])
def test_a_tag_that_is_not_utf_8_is_nobodys_business(
    clip: Clip, tmp_path: Path, title: bytes
) -> None:
    data = clip("mpeg4.avi").read_bytes()
    at = data.index(b"ISFT") + 8  # the name of the writing program
    path = tmp_path / "tagged.avi"
    path.write_bytes(data[:at] + title + data[at + len(title) :])
    assert seen(run(path)[0]) == seen(plain_decode(clip("mpeg4.avi")))


def test_another_stream_is_read_when_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as made:
        sizes = ((64, 48), (160, 96))
        streams = [made.add_stream("mpeg4", rate=10) for _ in sizes]
        for stream, (width, height) in zip(streams, sizes, strict=True):
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for at in range(4):
            for stream, (width, height) in zip(streams, sizes, strict=True):
                picture = np.full((height, width, 3), 50 * at, np.uint8)
                made.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        for stream in streams:
            made.mux(stream.encode(None))

    def width_of(number: int | None) -> int:
        spec = SourceSpec(path.as_uri(), ALL, stream=number)
        with open_source(spec, policy(path), FrameOutputs()) as source:
            return source.info.width

    assert [width_of(number) for number in (0, 1)] == [64, 160]
    assert width_of(None) == 160
    with pytest.raises(SourceError, match="stream 7 of the file is not a video stream"):
        width_of(7)
