"""A range of a video that is far away: its place is found, not read up to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.types import ResumePoint
from streamproc.source.video import seek
from streamproc.source.video.frame_iterator import FrameIterator
from tests.data import clips
from tests.data.walking import FarFile, far_walking, walking
from tests.streamproc.source.conftest import shown

ALL = Sampling("interval", 1)
FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"
N_TIMES = 10
CLIP = clips.Recipe(
    "clip.mp4",
    n_frames=60,
    options={"x264-params": "bframes=3:b-adapt=0:b-pyramid=normal:keyint=20:scenecut=0"},
)
OPEN_CLIP = clips.Recipe("open.mp4", n_frames=60, options=clips.OPEN_GOP)
KINDS: dict[str, tuple[str | None, dict[str, str]]] = {
    "listed.mp4": (None, {"movflags": FRAGMENTS}),
    "sidx.mp4": (None, {"movflags": f"{FRAGMENTS}+global_sidx+skip_trailer"}),
    "unlisted.mp4": (None, {"movflags": "frag_keyframe+empty_moov+skip_trailer"}),
    "cues.mkv": (None, {}),
    "no_cues.mkv": ("matroska", {"live": "1"}),
    "plain.ts": ("mpegts", {}),
    "open.ts": ("mpegts", {}),
    "wrapping.ts": ("mpegts", {"output_ts_offset": "95430"}),
    "packets_192.ts": ("mpegts", {}),
    "packets_204.ts": ("mpegts", {}),
}
PADDING = {"packets_192.ts": (bytes(4), b""), "packets_204.ts": (b"", bytes(16))}
Make = Callable[[str], Path]


@dataclass(frozen=True)
class Got:
    index: int
    pts: int
    time_s: float
    pos: int
    digest: str


@pytest.fixture(autouse=True)
def _nothing_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seek, "NEAR_BYTES", 256 * 1024)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Make a file of 24 s and 12 MB, once."""
    folder = tmp_path_factory.mktemp("far")

    @cache
    def made(name: str) -> Path:
        container, muxer = KINDS[name]
        recipe = OPEN_CLIP if name.startswith("open") else CLIP
        clip = clips.write(folder / f"{name}.{recipe.name}", recipe)
        path = folder / name
        clips.looped_clip(path, N_TIMES, clip, format=container, muxer=muxer, filler_bytes=20_000)
        if name in PADDING:
            before, after = PADDING[name]
            content = path.read_bytes()
            packets = (content[at : at + 188] for at in range(0, len(content), 188))
            path.write_bytes(b"".join(before + packet + after for packet in packets))
        return path

    return made


def taken(walk: FrameIterator) -> Iterator[tuple[Got, ResumePoint]]:
    for one in walk.pictures():
        got = Got(one.index, one.pts, one.time_s, one.pos, shown(one.frame))
        yield got, walk.resume_point(one)


def near(path: Path, sampling: Sampling, frames: FrameRange) -> list[Got]:
    with walking(path, sampling, frames, None) as walk:
        return [got for got, _ in taken(walk)]


def far(
    path: Path,
    sampling: Sampling,
    frames: FrameRange,
    resume: ResumePoint | None = None,
    *,
    anchor_s: float | None = None,
) -> tuple[list[Got], list[ResumePoint], int]:
    """(frames, their resume points, bytes read)."""
    with path.open("rb") as opened:
        file = FarFile(opened.fileno())
        with far_walking(file, sampling, frames, resume, anchor_s=anchor_s) as walk:
            pairs = list(taken(walk))
        n_bytes = len(file.blocks) * file.BLOCK_BYTES
    return [got for got, _ in pairs], [point for _, point in pairs], n_bytes


@pytest.mark.parametrize("start_s", [9.0, 15.13, 22.5])
@pytest.mark.parametrize("name", KINDS)
def test_a_far_range_has_the_frames_of_the_whole_file(
    make: Make, name: str, start_s: float
) -> None:
    part = FrameRange(start_s, start_s + 0.7)
    wanted = near(make(name), ALL, part)
    got, points, n_bytes = far(make(name), ALL, part)
    assert got == wanted
    assert all(point.index_is_estimate for point in points)
    assert n_bytes < make(name).stat().st_size * 0.6


@pytest.mark.parametrize("mode", [ALL, Sampling("fps", 3), Sampling("keyframe")], ids=str)
@pytest.mark.parametrize("name", KINDS)
def test_a_far_range_goes_on_behind_any_of_its_frames(
    make: Make, name: str, mode: Sampling
) -> None:
    part = FrameRange(17.3, 19.4)
    whole, points, _ = far(make(name), mode, part)
    assert whole == near(make(name), mode, part)
    for n in (0, len(whole) // 2, len(whole) - 1):
        rest, rest_points, n_bytes = far(make(name), mode, part, points[n])
        assert rest == whole[n + 1 :]
        assert rest_points == points[n + 1 :]
        assert n_bytes < make(name).stat().st_size * 0.6


@pytest.mark.parametrize("name", ["listed.mp4", "no_cues.mkv", "plain.ts"])
def test_a_frame_by_its_number_is_the_one_that_the_range_gave_it(make: Make, name: str) -> None:
    part = FrameRange(18.2, 19.0)
    for got in far(make(name), ALL, part)[0]:
        one = FrameRange(got.index, got.index + 1, "frames")
        assert far(make(name), ALL, one, anchor_s=18.2)[0] == [got]


@pytest.mark.parametrize("name", ["listed.mp4", "cues.mkv", "plain.ts"])
def test_a_range_in_frames_is_counted_from_the_start(make: Make, name: str) -> None:
    part = FrameRange(450, 453, "frames")
    got, points, _ = far(make(name), ALL, part)
    assert got == near(make(name), ALL, part)
    assert not any(point.index_is_estimate for point in points)


def test_who_counts_frames_reads_what_lies_before(make: Make) -> None:
    part = FrameRange(20.0, 20.3)
    path = make("cues.mkv")
    with path.open("rb") as opened:
        file = FarFile(opened.fileno())
        with far_walking(file, ALL, part, by_clock=False) as walk:
            pairs = list(taken(walk))
    assert [got for got, _ in pairs] == near(path, ALL, part)
    assert not any(point.index_is_estimate for _, point in pairs)


@pytest.mark.parametrize("name", KINDS)
def test_what_lies_near_is_counted(make: Make, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seek, "NEAR_BYTES", 10 << 20)
    part = FrameRange(12.0, 12.3)
    got, points, _ = far(make(name), ALL, part)
    assert got == near(make(name), ALL, part)
    assert not any(point.index_is_estimate for point in points)


def test_recordings_that_were_joined_are_read(make: Make, tmp_path: Path) -> None:
    """Their clocks tell several times of one place: nothing but counting is right."""
    path = tmp_path / "joined.ts"
    path.write_bytes(make("plain.ts").read_bytes() * 3)
    part = FrameRange(22.1, 22.4)
    got, points, _ = far(path, ALL, part)
    assert got == near(path, ALL, part)
    assert not any(point.index_is_estimate for point in points)


def test_a_variable_rate_makes_numbers_that_say_they_are_estimates(tmp_path: Path) -> None:
    steps = [40] * 300 + [400] * 300
    recipe = clips.Recipe(
        "vfr.mkv",
        codec="mpeg4",
        n_frames=600,
        size=(320, 192),
        pts=tuple(sum(steps[:at]) for at in range(600)),
        options={"qmin": "1", "qmax": "1"},
    )
    path = clips.write(tmp_path / recipe.name, recipe)
    part = FrameRange(100.0, 103.0)
    wanted = near(path, ALL, part)
    got, points, _ = far(path, ALL, part)
    assert [replace(one, index=0) for one in got] == [replace(one, index=0) for one in wanted]
    assert got[0].index != wanted[0].index
    assert [one.index - got[0].index for one in got] == list(range(len(got)))
    assert all(point.index_is_estimate for point in points)
    assert far(path, ALL, part, points[2])[0] == got[3:]
    one = FrameRange(got[5].index, got[5].index + 1, "frames")
    assert far(path, ALL, one, anchor_s=100.0)[0] == [got[5]]


@pytest.mark.parametrize("rate", [30])
@pytest.mark.parametrize("name", ["listed.mp4", "cues.mkv"])
def test_a_first_frame_that_is_stamped_early_shifts_no_number(
    name: str, rate: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As this libav writes fragments; and Matroska rounds times to milliseconds."""
    monkeypatch.setattr(seek, "NEAR_BYTES", 64 * 1024)
    container, muxer = KINDS[name]
    recipe = clips.Recipe(
        name,
        n_frames=500,
        rate=rate,
        sound="first",
        format=container,
        muxer=muxer,
        options=clips.B_FRAMES,
    )
    path = clips.write(tmp_path / name, recipe)
    part = FrameRange(451 / rate, 460 / rate)
    got, points, _ = far(path, ALL, part)
    assert got == near(path, ALL, part)
    assert got
    assert all(point.index_is_estimate for point in points)


@pytest.mark.parametrize("name", ["listed.mp4", "unlisted.mp4"])
@pytest.mark.parametrize("is_arriving", [False, True])
def test_a_far_file_of_fragments_that_was_cut_is_truncated(
    make: Make, tmp_path: Path, name: str, is_arriving: bool
) -> None:
    path = tmp_path / name
    content = make(name).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with path.open("rb") as opened:
        file = FarFile(opened.fileno(), is_arriving=is_arriving)
        with far_walking(file, Sampling("fps", 1), FrameRange()) as walk:
            assert sum(1 for _ in walk.pictures()) > 8
            assert walk.truncated
    with make(name).open("rb") as opened:
        file = FarFile(opened.fileno(), is_arriving=is_arriving)
        with far_walking(file, Sampling("fps", 1), FrameRange()) as walk:
            assert sum(1 for _ in walk.pictures()) == 24
            assert not walk.truncated


@pytest.mark.parametrize("name", ["listed.mp4", "cues.mkv", "plain.ts"])
def test_a_file_that_is_arriving_is_read_from_front_to_back(make: Make, name: str) -> None:
    with make(name).open("rb") as opened:
        file = FarFile(opened.fileno(), is_arriving=True)
        with far_walking(file, ALL, FrameRange()) as walk:
            next(walk.pictures())
            assert max(file.blocks) * file.BLOCK_BYTES < 3 << 20
