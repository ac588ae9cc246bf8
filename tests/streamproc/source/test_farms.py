"""Several servers behind one name: the same bytes, and validators of their own."""

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.errors import SourceChangedError
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import FrameSource, open_source
from streamproc.source.types import FrameOutputs, SourceSpec
from tests.data import clips
from tests.streamproc.source.conftest import digest, walk
from tests.streamproc.source.origin import Behaviour, Handler, Origin, serving

PART = FrameRange(9.0, 9.6)
ALL = Sampling("interval", 1)
Etag = Callable[[int], str]
"""The validator of the n-th answer."""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MP4 of 10 s and 5 MB, its index behind."""
    folder = tmp_path_factory.mktemp("farm")
    clip = clips.write(folder / "clip.mp4", clips.Recipe("clip.mp4", n_frames=50))
    return clips.looped_clip(folder / "video.mp4", 5, clip, filler_bytes=20_000)


def farm(bodies: Callable[[int], bytes], name: str, value: Etag) -> Behaviour:
    """Serve ranges; the n-th answer is of `bodies(n)` and has a validator of its own.

    One that does not know an ETag of `If-Range` sends everything.
    """
    numbers = itertools.count()

    def behave(handler: Handler) -> None:
        n = next(numbers)
        body, validator = bodies(n), value(n)
        asked = handler.headers["If-Range"]
        if asked is not None and asked != validator:
            handler.answer(200, body, **{name: validator})
            return
        first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
        start, end = int(first), int(last) + 1 if last else len(body)
        place = f"bytes {start}-{end - 1}/{len(body)}"
        handler.answer(206, body[start:end], Content_Range=place, **{name: validator})

    return behave


def _always(validator: str, _n: int) -> str:
    return validator


FARMS: dict[str, tuple[str, Etag]] = {
    "two servers": ("ETag", lambda n: f'"{n % 2}"'),
    "a new one each time": ("ETag", lambda n: f'"{n}"'),
    "the first one alone": ("ETag", lambda n: '"a"' if n == 0 else '"b"'),
    "times of the last change": (
        "Last_Modified",
        lambda n: f"Mon, 30 Nov 2026 00:00:0{n % 3} GMT",
    ),
}


def opened(origin: Origin) -> FrameSource:
    policy = FetchPolicy(allowed_private_hosts=PrivateHosts(origin.authority))
    return open_source(SourceSpec(origin.url, ALL, PART), policy, FrameOutputs())


def taken(source: FrameSource) -> list[tuple[int, str]]:
    with source:
        found = []
        for frame in source:
            found.append((frame.index, digest(frame.image)))
            frame.release()
        return found


@pytest.mark.parametrize("kind", FARMS)
def test_servers_with_validators_of_their_own_are_one_source(video: Path, kind: str) -> None:
    body = video.read_bytes()
    with serving(farm(lambda _: body, *FARMS[kind])) as origin:
        source = opened(origin)
        assert taken(source) == [(got.index, got.digest) for got in walk(video, ALL, PART)[0]]
        assert source.validators_differ


def test_one_server_has_no_differing_validators(video: Path) -> None:
    body = video.read_bytes()
    with serving(farm(lambda _: body, "ETag", lambda _: '"one"')) as origin:
        source = opened(origin)
        assert taken(source)
        assert not source.validators_differ


@pytest.mark.parametrize("kind", FARMS)
@pytest.mark.parametrize("n_before", [1, 3, 5])
def test_other_bytes_of_the_same_length_are_another_source(
    video: Path, kind: str, n_before: int
) -> None:
    body = bytearray(video.read_bytes())
    changed = bytearray(body)
    for at in range(60_000, len(changed), 128 * 1024):  # in the filler of some packet, mostly
        changed[at] ^= 0xFF
    bodies = (bytes(body), bytes(changed))
    behave = farm(lambda n: bodies[n >= n_before], *FARMS[kind])
    with serving(behave) as origin, pytest.raises(SourceChangedError):
        taken(opened(origin))


def test_what_identifies_the_bytes_alone_is_the_same_whatever_the_validators(video: Path) -> None:
    body = video.read_bytes()
    found = set()
    for number in range(2):
        with (
            serving(farm(lambda _: body, "ETag", partial(_always, f'"{number}"'))) as origin,
            opened(origin) as source,
        ):
            found.add((source.content, source.info.fingerprint))
    assert len({content for content, _ in found}) == 1
    assert len({fingerprint for _, fingerprint in found}) == 2
