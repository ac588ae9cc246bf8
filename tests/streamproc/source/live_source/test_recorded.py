"""Frames of a recording: the piece is read, and the frame that was asked for is decoded."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from streamproc.contract.preview import NO_SUCH_FRAME, FrameOrder
from streamproc.preview import answer_order
from streamproc.source.errors import SourceTooLargeError, SourceUnsupportedError
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live.recording import multipart, transport_stream
from streamproc.source.live.recording.picture import RecordedPicture
from streamproc.source.live_source import recorded as recorded_frames
from streamproc.source.live_source.recorded import first_needed, recorded_frame
from tests.live.clip import clip, read_number
from tests.streamproc.source.live.recording.test_containers import recorded, stored
from tests.streamproc.source.live_source.test_decoder import units

pytestmark = pytest.mark.usefixtures("processes")

Stores = Callable[[bytes], str]


@pytest.fixture
def store(tmp_path: Path) -> Stores:
    def kept(data: bytes) -> str:
        path = tmp_path / "piece"
        path.write_bytes(data)
        return path.as_uri()

    return kept


@pytest.fixture
def policy(tmp_path: Path) -> FetchPolicy:
    return FetchPolicy(allowed_file_roots=(tmp_path,))


def piece_of(codec: str) -> bytes:
    """Return a piece of the camera's clip: the frame 500 + n shows the number n."""
    pictures = [
        RecordedPicture(unit.data, 500 + n, 3600 * n, unit.is_key, 1000 + n)
        for n, unit in enumerate(units(clip(codec)))
    ]
    return (
        multipart.muxed(pictures) if codec == "mjpeg" else transport_stream.muxed(codec, pictures)
    )


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_the_frame_is_the_one_with_that_index(
    codec: str, store: Stores, policy: FetchPolicy
) -> None:
    url = store(piece_of(codec))
    for index in (500, 511, 525, 599):
        found = recorded_frame(url, index, policy)
        assert found is not None
        assert read_number(found.image) == index - 500
        assert found.captured_ms == 500 + index
    assert recorded_frame(url, 499, policy) is None
    assert recorded_frame(url, 600, policy) is None


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_reordered_pictures_are_found_by_their_own_index(
    codec: str, store: Stores, policy: FetchPolicy
) -> None:
    url = store(stored(codec))
    for index in (100, 101, 102, 103, 117, 138, 139):
        found = recorded_frame(url, index, policy)
        assert found is not None
        assert round(found.image.mean() / 5) == index - 100


def test_a_picture_that_is_shown_before_its_keyframe_needs_the_one_before() -> None:
    shown = [10, 12, 11, 20, 18, 19, 21]
    keys = {0, 3}
    pictures = [
        RecordedPicture(b"", index, 0, place in keys, 0) for place, index in enumerate(shown)
    ]
    assert [first_needed(pictures, place) for place in range(7)] == [0, 0, 0, 3, 0, 0, 3]
    assert first_needed(pictures[3:], 1) is None


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_a_picture_whose_bytes_are_spoilt_is_no_other_picture(
    codec: str, store: Stores, policy: FetchPolicy
) -> None:
    pictures = [one._replace(data=b"\0\0\0\1\x09\xf0" + bytes(40)) for one in recorded(codec)]
    whole = (
        multipart.muxed(pictures) if codec == "mjpeg" else transport_stream.muxed(codec, pictures)
    )
    assert recorded_frame(store(whole), 105, policy) is None


def test_poison_is_refused(
    store: Stores, policy: FetchPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = piece_of("h264")
    for data in (b"<html>", whole[: 188 * 3], whole[376:], re.sub(b"FWRC.", b"FWRC\x09", whole)):
        with pytest.raises(SourceUnsupportedError, match="damaged"):
            recorded_frame(store(data), 500, policy)
    monkeypatch.setattr(recorded_frames, "MAX_PIECE_BYTES", 1000)
    with pytest.raises(SourceTooLargeError):
        recorded_frame(store(whole), 500, policy)


def test_the_child_makes_a_jpeg_of_it_or_says_that_there_is_none(
    store: Stores, policy: FetchPolicy
) -> None:
    url = store(piece_of("h264"))
    answer, jpeg = answer_order(FrameOrder(url, 507, 96, recorded=True), policy)
    assert (answer.width_px, answer.height_px, answer.captured_ms) == (192, 112, 1007)
    assert jpeg[:2] == b"\xff\xd8"
    none, _ = answer_order(FrameOrder(url, 1, recorded=True), policy)
    assert none.error_code == NO_SUCH_FRAME
    damaged, _ = answer_order(FrameOrder(store(b"G" * 188), 1, recorded=True), policy)
    assert damaged.error_code == SourceUnsupportedError.code
