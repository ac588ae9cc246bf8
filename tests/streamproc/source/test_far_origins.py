"""What is fetched over HTTP: what is needed; and the first frame comes before the rest was sent."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.contract.preview import FrameOrder
from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.preview import answer_order
from streamproc.source.fetch.opener import open_reader
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import Frame, open_source
from streamproc.source.types import FrameOutputs, ResumePoint, SourceSpec
from tests.data import clips
from tests.streamproc.source.conftest import digest, walk
from tests.streamproc.source.origin import Handler, Origin, serving

ALL = Sampling("interval", 1)
PART = FrameRange(22.0, 22.5)
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
KINDS: dict[str, tuple[str | None, dict[str, str]]] = {
    "video.mp4": (None, FRAGMENTS),
    "video.mkv": (None, {}),
    "video.ts": ("mpegts", {}),
}
_PIECE = 1 << 18
"""What is sent before the client must have read it all: 1% of a file."""


@pytest.fixture(scope="module", params=KINDS)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 24 s and 27 MB."""
    folder = tmp_path_factory.mktemp("far")
    recipe = clips.Recipe("clip.mp4", n_frames=60, options=clips.B_FRAMES)
    clip = clips.write(folder / recipe.name, recipe)
    container, muxer = KINDS[request.param]
    path = folder / request.param
    return clips.looped_clip(path, 10, clip, format=container, muxer=muxer, filler_bytes=45_000)


class Ranged:
    """Serves ranges of a file and counts the bytes that were read."""

    def __init__(self, path: Path) -> None:
        self.body = path.read_bytes()
        self.n_sent = 0

    def __call__(self, handler: Handler) -> None:
        first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
        start, end = int(first), int(last) + 1 if last else len(self.body)
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(self.body)}")
        handler.send_header("Content-Length", str(end - start))
        handler.end_headers()
        for at in range(start, end, _PIECE):
            piece = self.body[at : min(at + _PIECE, end)]
            handler.wfile.write(piece)
            handler.wait_until_read()
            with handler.server.lock:
                self.n_sent += len(piece)


@pytest.fixture
def ranged(video: Path) -> Iterator[tuple[Origin, Ranged]]:
    behave = Ranged(video)
    with serving(behave) as origin:
        yield origin, behave


def policy(origin: Origin, *, counts_frames: bool = False) -> FetchPolicy:
    return FetchPolicy(
        allowed_private_hosts=PrivateHosts(origin.authority), counts_frames=counts_frames
    )


def taken(
    origin: Origin, resume: ResumePoint | None = None, *, counts_frames: bool = False
) -> list[tuple[int, int, str, ResumePoint]]:
    spec = SourceSpec(origin.url, ALL, PART)
    limits = policy(origin, counts_frames=counts_frames)
    with open_source(spec, limits, FrameOutputs(), resume) as source:
        return [_noted(frame) for frame in source]


def _noted(frame: Frame) -> tuple[int, int, str, ResumePoint]:
    try:
        return frame.index, frame.pts, digest(frame.image), frame.resume_point
    finally:
        frame.release()


def test_a_range_near_the_end_is_fetched_alone(video: Path, ranged: tuple[Origin, Ranged]) -> None:
    origin, sent = ranged
    wanted = [(got.index, got.pts, got.digest) for got in walk(video, ALL, PART)[0]]
    found = taken(origin)
    assert [one[:3] for one in found] == wanted
    assert all(one[3].index_is_estimate for one in found)
    assert sent.n_sent < len(sent.body) * 0.4
    assert taken(origin, found[4][3]) == found[5:]


def test_a_source_whose_frames_are_counted_is_read(video: Path) -> None:
    body = video.read_bytes()
    with serving(lambda handler: handler.answer_range(body)) as origin:
        found = taken(origin, counts_frames=True)
    wanted = [(got.index, got.pts, got.digest) for got in walk(video, ALL, PART)[0]]
    assert [one[:3] for one in found] == wanted
    assert not any(one[3].index_is_estimate for one in found)


def test_a_frame_of_a_far_range_is_shown_without_reading_up_to_it(
    video: Path, ranged: tuple[Origin, Ranged]
) -> None:
    origin, sent = ranged
    index = taken(origin)[3][0]
    sent.n_sent = 0
    answer, jpeg = answer_order(
        FrameOrder(origin.url, index, range_start_s=PART.start), policy(origin)
    )
    assert answer.error_code is None
    assert sent.n_sent < len(sent.body) * 0.4
    local = FetchPolicy(allowed_file_roots=(video.parent,))
    _, same = answer_order(FrameOrder(video.as_uri(), index), local)
    assert jpeg == same
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.any()


def test_the_first_frame_comes_before_the_rest_was_sent(video: Path) -> None:
    body = video.read_bytes()

    def behave(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 4])
        handler.wfile.flush()
        handler.server.released.wait()
        handler.wfile.write(body[len(body) // 4 :])

    with serving(behave) as origin:
        spec = SourceSpec(origin.url, Sampling("interval", 100))
        with open_source(spec, policy(origin), FrameOutputs()) as source:
            frames = iter(source)
            assert next(frames).index == 0
            origin.released.set()
            assert [frame.index for frame in frames] == [100, 200, 300, 400, 500]
            assert source.n_frames == 600


def test_a_jump_asks_for_little_and_who_reads_on_for_more(video: Path) -> None:
    body = video.read_bytes()
    with serving(lambda handler: handler.answer_range(body)) as origin:
        reader = open_reader(origin.url, policy(origin))
        try:
            at = 4 << 20
            while at < len(body):
                part = reader.read_at(at, 1 << 20)
                assert part == body[at : at + len(part)]
                at += len(part)
        finally:
            reader.close()
        lengths = [_length(asked) for asked in origin.requests[1:]]
    assert lengths == [512 << 10, 4 << 20, None]


def _length(asked: str | None) -> int | None:
    first, last = (asked or "").removeprefix("bytes=").split("-")
    return int(last) + 1 - int(first) if last else None
