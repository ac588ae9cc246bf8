"""Clips (made once per run) and the plain decode that everything is compared with."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import open_source
from streamproc.source.sandbox import decoder_client
from streamproc.source.types import FrameOutputs, ResumePoint, SourceSpec, SourceUsage
from tests.data import clips
from tests.data.walking import walking

Clip = Callable[[str], Path]
"""Makes the clip of a recipe, once per run."""

ALL = Sampling("interval", 1)
WHOLE = FrameRange()


@dataclass(frozen=True)
class Plain:
    """One frame of an independent decode: PyAV, from the start, nothing skipped."""

    index: int
    pts: int
    time_s: float
    is_key: bool
    digest: str


@dataclass(frozen=True)
class Got:
    index: int
    pts: int
    time_s: float
    digest: str
    counters: tuple[int, int, int]
    resume: ResumePoint


@pytest.fixture(scope="session", autouse=True)
def _no_child_left() -> Iterator[None]:
    yield
    decoder_client.end_fork_server()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    folder = tmp_path_factory.mktemp("clips")
    recipes = {recipe.name: recipe for recipe in clips.RECIPES}

    @cache
    def make(name: str) -> Path:
        return clips.write(folder / name, recipes[name])

    return make


@cache
def plain_decode(path: Path) -> tuple[Plain, ...]:
    frames: list[Plain] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        stream.codec_context.thread_count = 1
        first = None
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in decoded:
                assert frame.pts is not None
                first = frame.pts if first is None else first
                frames.append(
                    Plain(
                        len(frames),
                        frame.pts,
                        float((frame.pts - first) * stream.time_base),
                        bool(frame.key_frame),
                        shown(frame),
                    )
                )
    return tuple(frames)


_to_bgr = VideoReformatter()
"""Kept, as each new one costs more than a small picture's conversion."""
_shown: dict[tuple[object, ...], str] = {}


def shown(frame: av.VideoFrame) -> str:
    """Return the digest of a decoded picture in BGR: equal planes are converted once."""
    planes = hashlib.sha1(usedforsecurity=False)
    for plane in frame.planes:
        planes.update(plane)
    kind = frame.format.name, frame.width, frame.height, frame.colorspace, frame.color_range
    key = (*kind, planes.digest())
    if key not in _shown:
        _shown[key] = digest(_to_bgr.reformat(frame, format="bgr24").to_ndarray())
    return _shown[key]


def digest(image: np.ndarray | None) -> str:
    assert image is not None
    return hashlib.sha256(image.tobytes()).hexdigest()


def policy(path: Path, **changes: Any) -> FetchPolicy:
    return FetchPolicy(allowed_file_roots=(path.parent,), **changes)


def run(
    path: Path,
    sampling: Sampling = ALL,
    frames: FrameRange = WHOLE,
    resume: ResumePoint | None = None,
) -> tuple[list[Got], SourceUsage]:
    got = []
    spec = SourceSpec(path.as_uri(), sampling, frames)
    with open_source(spec, policy(path), FrameOutputs(), resume) as source:
        for frame in source:
            counters = frame.counts
            got.append(
                Got(
                    frame.index,
                    frame.pts,
                    frame.time_s,
                    digest(frame.image),
                    counters,
                    frame.resume_point,
                )
            )
            frame.release()
        return got, source.usage()


def walk(
    path: Path,
    sampling: Sampling = ALL,
    frames: FrameRange = WHOLE,
    resume: ResumePoint | None = None,
) -> tuple[list[Got], SourceUsage]:
    """Do what the child does, in this process: the same answer as `run`, without its start."""
    got = []
    with walking(path, sampling, frames, resume) as walk:
        for picked in walk.pictures():
            c = walk.counters
            pixels = shown(picked.frame)
            counters = (c.decoded, c.failed, c.skipped)
            point = walk.resume_point(picked)
            got.append(Got(picked.index, picked.pts, picked.time_s, pixels, counters, point))
        return got, walk.usage


def seen(frames: Iterable[Plain | Got]) -> list[tuple[int, int, str]]:
    return [(f.index, f.pts, f.digest) for f in frames]
