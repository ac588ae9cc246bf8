"""An MP4 that announces more than it can hold is refused before libav believes it."""

import struct
import time
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.errors import SourceTooLargeError
from streamproc.source.video import mp4_boxes
from streamproc.source.video.codecs import open_options
from tests.data import clips
from tests.data.boxes import box, movie, table, track
from tests.streamproc.source.conftest import Clip, run
from tests.streamproc.source.test_bad_files import code_of

MIB = 1 << 20


def checked(content: bytes, size_bytes: int | None = None) -> None:
    def read_at(position: int, length: int) -> bytes:
        return content[position : position + length]

    mp4_boxes.check(read_at, len(content) if size_bytes is None else size_bytes)


def refused(content: bytes, size_bytes: int | None = None) -> str:
    with pytest.raises(SourceTooLargeError) as caught:
        checked(content, size_bytes)
    return str(caught.value)


@pytest.mark.parametrize("n_tracks", [1, 50])
@given(sample_bytes=st.integers(1, 1 << 20), n_samples=st.integers(20_000, 2**32 - 1))
def test_samples_of_one_size_have_to_fit_into_the_file(
    n_tracks: int, sample_bytes: int, n_samples: int
) -> None:
    tables = table("stts", 1, n_samples, 512), table("stsz", sample_bytes, n_samples)
    refused(movie(*[track(*tables)] * n_tracks))


@pytest.mark.parametrize(
    "told",
    [
        table("stsz", 0, 20_000_000),
        table("stz2", 4, 400_000_000),
        table("stts", 90_000_000, 1, 1),
        table("ctts", 90_000_000),
        table("stsc", 90_000_000),
        table("stco", 90_000_000),
        table("co64", 90_000_000),
        table("stss", 90_000_000),
    ],
    ids=lambda told: told[4:8].decode(),
)
def test_a_table_has_to_fit_into_the_file(told: bytes) -> None:
    assert "than it can hold" in refused(movie(track(told)))


def test_the_tracks_together_have_a_limit_that_a_large_file_does_not_lift() -> None:
    tables = table("stts", 1, 5_000_000, 512), table("stsz", 100, 5_000_000)
    checked(movie(*[track(*tables)] * 3), 1 << 40)
    assert "16000000 samples" in refused(movie(*[track(*tables)] * 4), 1 << 40)


def test_plain_sound_of_hours_is_no_flood_of_samples() -> None:
    """libav indexes it by chunks: a sample has one size and lasts one tick."""
    n_samples = 48_000 * 3600 * 6
    tables = table("stts", 1, n_samples, 1), table("stsz", 4, n_samples)
    checked(movie(track(*tables, handler=b"soun")), 4 * n_samples + MIB)
    for same in (
        track(*tables),
        track(table("stts", 1, n_samples, 2), tables[1], handler=b"soun"),
        track(tables[1], table("stts", 2, n_samples, 1), handler=b"soun"),
    ):
        refused(movie(same), 4 * n_samples + MIB)


def test_a_fragment_whose_samples_have_no_bytes_is_counted() -> None:
    run_of = box("trun", struct.pack(">II", 0x000001, 20_000_000), bytes(4))
    refused(movie() + box("moof", box("traf", run_of)))
    few = box("trun", struct.pack(">II", 0x000001, 2_000), bytes(4))
    checked(movie() + box("moof", box("traf", few)) * 100)


@pytest.mark.parametrize("at", ["front", "back", "inside"])
def test_two_million_boxes_are_refused_at_once(at: str, tmp_path: Path) -> None:
    flood = box("free") * 2_000_000
    content = {
        "front": box("ftyp", bytes(8)) + flood + movie(),
        "back": movie() + flood,
        "inside": movie(flood),
    }[at]
    path = tmp_path / "flood.mp4"
    path.write_bytes(content)
    started = time.process_time()
    refused(content)
    assert time.process_time() - started < 5
    assert code_of(path) == "source_too_large"


def test_a_day_of_fragments_is_not_refused() -> None:
    fragment = (
        box("styp", bytes(16))
        + box("prft", bytes(24))
        + box("moof", box("mfhd", bytes(8)), box("traf", box("tfhd", bytes(16))))
        + box("mdat", bytes(100))
    )
    checked(movie() + fragment * 6_000)


@given(content=st.binary(max_size=400))
def test_any_bytes_are_walked_to_an_end(content: bytes) -> None:
    for size_bytes in (len(content), None):
        try:
            mp4_boxes.check(lambda at, n: content[at : at + n], size_bytes)
        except SourceTooLargeError:
            continue


@pytest.mark.parametrize("name", [r.name for r in clips.RECIPES if r.name.endswith(".mp4")])
def test_good_files_pass(clip: Clip, name: str) -> None:
    checked(clip(name).read_bytes())


def test_a_bomb_in_a_small_file_is_refused(tmp_path: Path, clip: Clip) -> None:
    content = clip("plain.mp4").read_bytes()
    at = content.index(b"stsz")
    bomb = content[: at + 8] + struct.pack(">II", 1, 50_000_000) + content[at + 16 :]
    assert code_of(tmp_path / "bomb.mp4", bomb) == "source_too_large"


@pytest.mark.parametrize("container", ["mp4", "avi"])
def test_a_decoder_that_is_not_listed_never_runs(container: str, tmp_path: Path) -> None:
    """libav's own probing would decode with it before the codec's name is looked at."""
    path = tmp_path / f"unlisted.{container}"
    codec = "jpeg2000" if container == "mp4" else "zmbv"
    with av.open(str(path), "w") as made:
        stream = made.add_stream(codec, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = 64, 64
        stream.pix_fmt = "yuv420p" if codec == "jpeg2000" else "bgr0"
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(clips.picture(index, (64, 64)), format="bgr24")
            made.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        made.mux(stream.encode(None))
    assert code_of(path) == "source_unsupported"
    name = {"mp4": "mov"}.get(container, container)
    av.logging.set_level(av.logging.ERROR)
    with (
        path.open("rb") as file,
        av.logging.Capture() as log,
        av.open(file, format=name, container_options=open_options(name)),
    ):
        assert any(f"({codec}) not on whitelist" in line for _, _, line in log)
    av.logging.set_level(None)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts", "avi"])
def test_sound_that_is_not_decoded_hides_no_picture(container: str, tmp_path: Path) -> None:
    recipe = clips.Recipe(
        f"sound.{container}", sound="first", format="mpegts" if container == "ts" else None
    )
    got, usage = run(clips.write(tmp_path / recipe.name, recipe))
    assert (len(got), usage.decoded, usage.failed) == (recipe.n_frames, recipe.n_frames, 0)


def test_more_tracks_than_the_limit_are_refused_or_left_out(tmp_path: Path) -> None:
    path = tmp_path / "tracks.mp4"
    with av.open(str(path), "w") as made:
        streams = [made.add_stream("mpeg4", rate=10) for _ in range(200)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        frame = av.VideoFrame.from_ndarray(clips.picture(0, (32, 32)), format="bgr24")
        for stream in streams:
            made.mux(stream.encode(frame))
            made.mux(stream.encode(None))
    started = time.monotonic()
    assert code_of(path) == "source_too_large"
    assert time.monotonic() - started < 10
