"""An engine that goes on from a state says the same of its source, however it is opened then."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from streamproc.allowed_hosts import PrivateHosts
from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.providers.engine import EndOfStream, FrameResult
from streamproc.providers.local import LocalEngine
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.frame_source import FrameSource, open_source
from streamproc.source.types import FrameOutputs, ResumePoint, SourceSpec
from streamproc.stages.perception import Plan
from streamproc.stages.tracking.parameters import TrackParameters
from tests.data import clips
from tests.streamproc.source.origin import Behaviour, Handler, Origin, serving
from tests.streamproc.source.test_farms import farm

EVERY = Sampling("interval", 30)
WHOLE = FrameRange()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transport stream of 10 s."""
    path = tmp_path_factory.mktemp("engine") / "video.ts"
    return clips.write(path, clips.Recipe(path.name, n_frames=250, format="mpegts"))


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def opener(origin: Origin, part: FrameRange = WHOLE) -> Callable[[ResumePoint | None], FrameSource]:
    policy = FetchPolicy(allowed_private_hosts=PrivateHosts(origin.authority))
    spec = SourceSpec(origin.url, EVERY, part)
    return lambda resume: open_source(spec, policy, FrameOutputs(), resume)


def engine(
    opened: Callable[[ResumePoint | None], FrameSource],
    pool: ThreadPoolExecutor,
    state: bytes | None = None,
    pin: str | None = None,
    *,
    is_staged: bool = False,
) -> LocalEngine:
    return LocalEngine(
        opened,
        Plan((), (), 0.5),
        pool,
        tracking=TrackParameters(),
        max_frames=100,
        include_vector=False,
        depth=2,
        state=state,
        pin=pin,
        is_staged=is_staged,
    )


def after(engine: LocalEngine, n_frames: int) -> tuple[list[FrameResult], bytes, str]:
    """(so many results, the state behind them, the pin); the engine is closed."""
    with closing(engine):
        results = [frame(engine) for _ in range(n_frames)]
        return results, engine.state(), engine.pin


def frame(engine: LocalEngine) -> FrameResult:
    result = engine.next(10.0)
    assert isinstance(result, FrameResult)
    return result


def rest(engine: LocalEngine) -> tuple[list[FrameResult], EndOfStream]:
    results = []
    with closing(engine):
        while isinstance(result := engine.next(10.0), FrameResult):
            results.append(result)
    assert isinstance(result, EndOfStream)
    return results, result


def test_a_length_that_was_unknown_stays_so_when_the_staged_copy_knows_it(
    video: Path, pool: ThreadPoolExecutor
) -> None:
    body = video.read_bytes()

    def whole(handler: Handler) -> None:
        handler.answer(200, body)

    def ranges(handler: Handler) -> None:
        handler.answer_range(body)

    with serving(whole) as origin:
        begun, state, pin = after(engine(opener(origin), pool), 3)
    with serving(ranges) as origin:
        with opener(origin)(None) as source:
            assert source.info.total_frames == 250
        going_on, end = rest(engine(opener(origin), pool, state, pin, is_staged=True))
    assert [one.frame_index for one in begun + going_on] == [*range(0, 250, 30)]
    assert {one.total_frames for one in begun + going_on} == {None}
    assert end.total_frames == 250


@pytest.mark.parametrize("n_servers", [1, 2])
def test_a_source_is_the_same_when_only_its_validators_are_known_to_differ(
    video: Path, pool: ThreadPoolExecutor, n_servers: int
) -> None:
    body = video.read_bytes()

    def served(first: int) -> Behaviour:
        return farm(lambda _: body, "ETag", lambda n: f'"{first + n % n_servers}"')

    with serving(served(0)) as origin:
        begun, state, pin = after(engine(opener(origin), pool), 3)
    with serving(served(7)) as origin:
        one = engine(opener(origin), pool, state, pin)
        going_on, _ = rest(one)
    assert [one.frame_index for one in begun + going_on] == [*range(0, 250, 30)]
    assert (one.pin == pin) == (n_servers > 1)


def test_results_say_whether_their_number_was_counted(
    video: Path, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    clip = clips.write(tmp_path / "clip.mp4", clips.Recipe("clip.mp4", n_frames=50))
    far = clips.looped_clip(tmp_path / "far.ts", 10, clip, format="mpegts", filler_bytes=50_000)
    for path, start_s, is_exact in ((video, 8.0, True), (far, 17.0, False)):
        body = path.read_bytes()
        with serving(partial(Handler.answer_range, body=body)) as origin:
            results, _ = rest(engine(opener(origin, FrameRange(start_s, start_s + 1.9)), pool))
        first = round(start_s * 25)
        assert [one.frame_index for one in results] == [first, first + 30]
        assert {one.index_is_exact for one in results} == {is_exact}
