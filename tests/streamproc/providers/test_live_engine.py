"""Cameras perceived and tracked: what results say, what overload leaves out, how a task goes on."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
import pytest
from msgspec import UNSET

from models.sizes import InputFit, SourceShape
from models.types import Detections, Image
from streamproc.allowed_hosts import PrivateHosts
from streamproc.contract.chunk import CHUNK_OBJECT, Chunk, Delta, Result, StreamInfo
from streamproc.contract.object_keys import PictureInfo
from streamproc.contract.recordings import before_frame, find_piece, read_piece_key
from streamproc.contract.task_spec import FrameRange, LiveOptions, Sampling
from streamproc.errors import TaskFailedError
from streamproc.providers import live_pictures
from streamproc.providers.engine import EndOfStream, FrameResult, SourceNotice
from streamproc.providers.live import LiveEngine
from streamproc.providers.live_pictures import TaskPictures
from streamproc.providers.live_recordings import LiveRecordings, TaskRecording
from streamproc.providers.live_state import continued, decode_state
from streamproc.providers.newest_first import IN_PERCEPTION
from streamproc.providers.warm_up import WarmUp
from streamproc.source.fetch.interrupt import Interrupt
from streamproc.source.fetch.policy import FetchPolicy
from streamproc.source.live import reconnect, source_watch
from streamproc.source.live.connection import LiveConnection
from streamproc.source.live.hls.place import Place
from streamproc.source.live.hls.stream import open_hls
from streamproc.source.live.recording import piece_maker
from streamproc.source.live.rtsp.url import parse
from streamproc.source.live.session import open_session
from streamproc.source.live_source.recorded import recorded_frame
from streamproc.source.types import FrameOutputs
from streamproc.stages.perception import DetectStep, Plan
from streamproc.stages.tracking.parameters import TrackParameters
from tests.live.camera import Camera, camera
from tests.live.clip import clip, read_number
from tests.live.media_server import Reply, media_server

SHORT = clip(fps=50, gop=10)
LOCAL = FetchPolicy(allowed_private_hosts=PrivateHosts("127.0.0.1"))
PATIENT = LiveOptions(max_lag_s=20.0)
TRACKING = TrackParameters()
EVERY = Sampling("interval", 1)
WHOLE = FrameRange()
pytestmark = pytest.mark.usefixtures("processes")


class Eye:
    """A detector that sees two objects in every picture, and waits in it while it is told to.

    Its network for a shape is there once `compiled` is set.
    """

    fit = InputFit(96, 56)

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.compiled = threading.Event()
        self.compiled.set()
        self.shapes: list[SourceShape] = []
        self.numbers: list[int] = []

    def is_ready(self, source: SourceShape, parameters: Mapping[str, Any]) -> bool:
        return self.compiled.is_set()

    def prepare(self, source: SourceShape, parameters: Mapping[str, Any]) -> None:
        self.shapes.append(source)
        assert self.compiled.wait(60)

    def detect(
        self,
        image_bgr: Image,
        parameters: Mapping[str, Any],
        source: SourceShape | None = None,
        *,
        is_fitted: bool = False,
        full: Image | None = None,
    ) -> Detections:
        self.numbers.append(read_number(image_bgr))
        assert self.open.wait(60)
        width = image_bgr.shape[1]
        boxes = np.array([[10, 20, 40, 90], [width - 60, 20, width - 30, 90]], np.float32)
        return Detections(boxes, np.array([0.9, 0.8], np.float32), np.array([0, 0], np.int32))


@pytest.fixture
def eye() -> Eye:
    return Eye()


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


Starts = Callable[..., LiveEngine]


@pytest.fixture
def starts(eye: Eye, pool: ThreadPoolExecutor) -> Starts:
    def start(
        one: Camera,
        *,
        login: str = "",
        options: LiveOptions = PATIENT,
        sampling: Sampling = EVERY,
        frames: FrameRange = WHOLE,
        max_frames: int | None = None,
        state: bytes | None = None,
        pictures: TaskPictures | None = None,
        recording: TaskRecording | None = None,
        on_lag: Callable[[float], object] = lambda _: None,
        opens: Callable[[Interrupt], LiveConnection] | None = None,
    ) -> LiveEngine:
        url, credentials = parse(one.url(login))
        interrupt = Interrupt()
        opens = opens or (lambda stop: open_session(url, credentials, LOCAL, stop))
        step = DetectStep(eye, {}, np.array([0], np.int32))
        return LiveEngine(
            partial(opens, interrupt),
            Plan((step,), ("person",), 0.5),
            pool,
            interrupt,
            policy=LOCAL,
            outputs=FrameOutputs(full=True),
            options=options,
            sampling=sampling,
            frames=frames,
            max_frames=max_frames,
            tracking=TRACKING,
            include_vector=False,
            state=state,
            pin="p",
            warm_up=WarmUp(),
            pictures=pictures,
            recording=recording,
            on_lag=on_lag,
        )

    return start


def item(engine: LiveEngine, timeout_s: float = 30.0) -> FrameResult | SourceNotice | EndOfStream:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        found = engine.next(0.25)
        if found is not None:
            return found
    raise AssertionError("nothing came")


def result(engine: LiveEngine) -> FrameResult:
    while not isinstance(found := item(engine), FrameResult):
        assert isinstance(found, SourceNotice)
    return found


def results(engine: LiveEngine, n: int) -> list[FrameResult]:
    return [result(engine) for _ in range(n)]


def dropped(one: FrameResult) -> dict[str, int]:
    assert one.live is not None
    return one.live.dropped


def check(found: list[FrameResult]) -> None:
    """Indexes and times rise, and every picture is counted once."""
    assert all(a.frame_index < b.frame_index for a, b in pairwise(found))
    assert all((a.time_s or 0) < (b.time_s or 0) for a, b in pairwise(found))
    for one in found:
        reasons = dropped(one)
        assert one.counts.dropped == sum(reasons.values())
        assert one.counts.failed == reasons.get("undecodable", 0)


def test_a_picture_is_kept_at_the_start_and_once_new_tracks_are_confirmed(
    starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_pictures, "LEAST_S", 0.0)
    kept: list[tuple[Image, PictureInfo]] = []
    pictures = TaskPictures(lambda *one: kept.append(one), every_s=3600.0)
    with camera(SHORT) as one, closing(starts(one, pictures=pictures)) as engine:
        found = results(engine, 20)
    seen = next(one.frame_index for one in found if one.targets)
    first, second = [info for _, info in kept]  # both tracks are confirmed in one frame
    assert (first.width, first.height, first.frame) == (192, 112, found[0].frame_index)
    assert found[0].live is not None
    assert first.captured_ms == round(found[0].live.captured_wall_s * 1000)
    assert seen < second.frame <= found[-1].frame_index + 50
    fields = [read_number(image) - info.frame for image, info in kept]
    assert fields[0] % 100 == fields[1] % 100  # each is the picture of its own frame


class Pieces:
    """A store of recordings that keeps them in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recordings = LiveRecordings(self)

    def put_piece(
        self, object_key: str, body: bytes, content_type: str, metadata: Mapping[str, str]
    ) -> None:
        path = self.folder / object_key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def frame(self, index: int) -> tuple[Image, int]:
        """Return the frame and the time of its capture, as the api would have them."""
        keys = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*.*"))
        after = before_frame("p", "t", index)
        pieces = [read_piece_key(key) for key in keys if key > after]
        found = find_piece([one for one in pieces if one is not None], index)
        assert found is not None
        policy = FetchPolicy(allowed_file_roots=(self.folder,))
        frame = recorded_frame((self.folder / found.key).as_uri(), index, policy)
        assert frame is not None
        return frame


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_a_recorded_frame_is_the_one_of_its_chunk_also_over_two_workers(
    starts: Starts,
    eye: Eye,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    codec: str,
) -> None:
    monkeypatch.setattr(piece_maker, "PIECE_S", 0.5)
    pieces = Pieces(tmp_path)
    found, state, shown = list[FrameResult](), None, dict[int, int]()
    with camera(clip(codec, fps=50, gop=10)) as one:
        for epoch in (5, 9):
            recording = pieces.recordings.of_task("p", "t", epoch)
            with closing(
                starts(one, sampling=Sampling("interval", 3), state=state, recording=recording)
            ) as engine:
                eye.numbers.clear()
                new = results(engine, 30)
                state = engine.state()
            seen = zip(eye.numbers, new, strict=False)  # two at a time, so some are swapped
            offsets = Counter((number - chunk.frame_index) % 100 for number, chunk in seen)
            ((offset, _),) = offsets.most_common(1)
            shown |= {one.frame_index: (one.frame_index + offset) % 100 for one in new}
            found += new
    pieces.recordings.close(30.0)
    check(found)
    assert pieces.recordings.counts()["stored"] >= 4
    for chunk in found[::7]:
        image, captured_ms = pieces.frame(chunk.frame_index)
        assert chunk.live is not None
        assert captured_ms == round(chunk.live.captured_wall_s * 1000)
        assert read_number(image) == shown[chunk.frame_index]


def test_a_result_says_which_frames_are_not_recorded(
    starts: Starts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piece_maker, "PIECE_S", 0.5)
    pieces = Pieces(tmp_path)
    pieces.recordings = LiveRecordings(pieces, max_waiting_bytes=0)  # none may wait
    recording = pieces.recordings.of_task("p", "t", 5)
    with camera(SHORT) as one, closing(starts(one, recording=recording)) as engine:
        found = [result(engine)]
        while found[-1].live is None or found[-1].live.recording_lost is None:
            found.append(result(engine))
    loss = found[-1].live.recording_lost
    assert loss.reason == "busy"
    assert loss.first_frame <= found[0].frame_index
    assert loss.first_frame < loss.last_frame < found[-1].frame_index + 100
    assert loss.pictures >= loss.last_frame - loss.first_frame + 1 >= 10
    pieces.recordings.close(30.0)


def test_results_say_when_and_what(starts: Starts, eye: Eye) -> None:
    with camera(SHORT) as one, closing(starts(one, sampling=Sampling("interval", 5))) as engine:
        found = results(engine, 6)
        state = engine.source_state("t")
    check(found)
    assert {b.frame_index - a.frame_index for a, b in pairwise(found)} == {5}
    assert [b - a for a, b in pairwise(eye.numbers[:6])] == [5] * 5
    first, last = found[0], found[-1]
    assert first.time_s == 0.0
    assert last.time_s == pytest.approx(0.5, abs=0.4)
    assert last.total_frames is None
    assert dropped(last).get("sampling", 0) >= 20
    assert [target.track_id for target in last.targets] == [1, 2]
    mark = last.live
    assert mark is not None
    assert (mark.size, mark.gap, mark.is_source_clock) == ((192, 112), None, True)
    assert abs(time.time() - mark.captured_wall_s) < 10
    assert 5 < last.fps <= 200  # 50, unless pictures that waited arrive at once
    assert (state.task, state.state, state.code, state.reconnects) == ("t", "live", None, 0)
    assert state.keyframe_interval_s == pytest.approx(0.2, abs=0.1)
    assert state.last_frame_ms is not None
    assert abs(state.last_frame_ms / 1000 - time.time()) < 10


def test_each_result_is_counted_with_its_lag(starts: Starts) -> None:
    lags_s: list[float] = []
    with camera(SHORT) as one, closing(starts(one, on_lag=lags_s.append)) as engine:
        for n in range(1, 6):
            found = result(engine)
            assert found.live is not None
            assert len(lags_s) == n
            assert lags_s[-1] == pytest.approx(time.time() - found.live.captured_wall_s, abs=0.5)
        state = engine.source_state("t")
    assert state.lag_ms == round(1000 * lags_s[-1])


def test_overload_leaves_out_all_but_the_newest(starts: Starts, eye: Eye) -> None:
    eye.open.clear()
    with camera(SHORT) as one, closing(starts(one)) as engine:
        one.wait(lambda: len(eye.numbers) == IN_PERCEPTION)
        enough = one.n_sent + 60
        one.wait(lambda: one.n_sent >= enough)
        assert len(eye.numbers) == IN_PERCEPTION
        assert engine.next(0.0) is None
        eye.open.set()
        before, second, newest = results(engine, 3)
        assert second.frame_index == before.frame_index + 1
        assert newest.frame_index > before.frame_index + 40
        assert dropped(newest)["overload"] >= 40
        assert dropped(newest)["overload"] <= newest.frame_index - second.frame_index
        check([before, second, newest, *results(engine, 5)])


def test_the_first_frame_is_the_newest_once_the_networks_for_its_shape_are_ready(
    starts: Starts, eye: Eye
) -> None:
    eye.compiled.clear()
    with camera(SHORT) as one, closing(starts(one)) as engine:
        frames = engine._frames
        one.wait(lambda: frames._waiting is not None and frames._waiting.index >= 40)
        assert engine.next(0.0) is None
        assert not eye.numbers  # nothing waits in the pool, which is that of all tasks
        eye.compiled.set()
        first, *others = found = results(engine, 5)
        assert first.frame_index >= 40
        assert dropped(first)["warm_up"] == first.frame_index
        assert "overload" not in dropped(others[0])
        assert {(shape.width, shape.height) for shape in eye.shapes} == {(192, 112)}
        check(found)


def test_networks_are_made_ready_for_the_size_of_a_camera_that_is_still_away(
    starts: Starts, eye: Eye
) -> None:
    with camera(SHORT) as one:
        with closing(starts(one)) as engine:
            result(engine)
            state = engine.state()
        assert not eye.shapes
        one.kill()
        eye.compiled.clear()
        with closing(starts(one, state=state)):
            one.wait(lambda: bool(eye.shapes))
            eye.compiled.set()
    assert eye.shapes == [SourceShape(192, 112)]


def test_what_the_session_leaves_lying_is_dropped(starts: Starts) -> None:
    options = LiveOptions(max_lag_s=0.3)
    with camera(SHORT) as one, closing(starts(one, options=options)) as engine:
        result(engine)
        enough = one.n_sent + 50
        one.wait(lambda: one.n_sent >= enough)
        found = result(engine)
        assert found.live is not None
        assert time.time() - found.live.captured_wall_s < 1.0
        assert dropped(found)["late"] >= IN_PERCEPTION


def test_a_loss_is_told_and_its_end_has_a_gap_and_the_same_ids(
    starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_watch, "NOTICE_AFTER_S", 0.3)
    with camera(SHORT) as one, closing(starts(one)) as engine:
        before = results(engine, 5)
        one.kill()
        while isinstance(found := item(engine), FrameResult):
            before.append(found)
        assert isinstance(found, SourceNotice)
        assert (found.state, found.code) == ("lost", "source_unreachable")
        assert found.n_attempts >= 1
        assert engine.source_state("t").state == "lost"
        one.revive()
        after = result(engine)
        for _ in range(20):  # frames that were still being decoded
            if after.live is not None and after.live.gap is None:
                before.append(after)
                after = result(engine)
        assert after.live is not None
        assert after.live.gap is not None
        assert after.live.gap.reason == "source_lost"
        assert after.live.gap.seconds == pytest.approx(
            (after.time_s or 0) - (before[-1].time_s or 0), abs=0.05
        )
        assert [target.track_id for target in after.targets] == [1, 2]
        check([*before, after])
        assert engine.source_state("t").reconnects == 1


def test_a_task_goes_on_from_its_state(starts: Starts) -> None:
    with camera(SHORT) as one:
        with closing(starts(one, sampling=Sampling("interval", 3))) as engine:
            before = results(engine, 5)
            state = engine.state()
        with closing(starts(one, sampling=Sampling("interval", 3), state=state)) as engine:
            assert engine.state() == state
            after = results(engine, 5)
            assert engine.state() != state
    check([*before, *after])
    assert after[0].frame_index <= before[-1].frame_index + 20
    assert {(one.frame_index - before[0].frame_index) % 3 for one in after} == {0}
    assert (after[0].time_s or 0) > (before[-1].time_s or 0) + 0.01
    assert [target.track_id for target in after[-1].targets] == [1, 2]


def test_a_camera_that_is_away_when_another_worker_goes_on_is_waited_for(
    starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconnect, "START_PATIENCE_S", 0.2)
    monkeypatch.setattr(source_watch, "NOTICE_AFTER_S", 0.5)
    with camera(SHORT) as one:
        with closing(starts(one)) as engine:
            before = results(engine, 2)
            state = engine.state()
        one.kill()
        with closing(starts(one, state=state)) as engine:
            assert isinstance(item(engine), SourceNotice)
            one.revive()
            check([*before, result(engine)])


def test_a_size_of_the_same_shape_keeps_the_ids_and_another_does_not(starts: Starts) -> None:
    with camera(SHORT) as one, closing(starts(one)) as engine:
        results(engine, 5)
        for size, ids in (((384, 224), 1), ((320, 320), 3)):
            one.clip = clip(size=size, fps=50, gop=10)
            while (found := result(engine)).live is None or found.live.size != size:
                pass
            assert found.live.gap is not None
            assert found.live.gap.reason == "discontinuity"
            if ids == 3:
                assert min(target.track_id for target in found.targets) >= 3


def test_the_end_of_a_range_and_the_number_of_frames_end_it(starts: Starts) -> None:
    with camera(SHORT) as one:
        with closing(starts(one, max_frames=4)) as engine:
            results(engine, 4)
            end = item(engine)
            assert isinstance(end, EndOfStream)
            assert end.reason == "max_frames"
            assert end.counts.decoded >= 4
        with closing(starts(one, frames=FrameRange(0.1, 0.3))) as engine:
            found = []
            while isinstance(one_more := item(engine), FrameResult):
                found.append(one_more)
            assert isinstance(one_more, EndOfStream)
            assert one_more.reason == "stop"
            assert all(0.1 <= (each.time_s or 0) < 0.3 for each in found)
            assert found
        soon = LiveOptions(max_lag_s=1.0)
        with closing(starts(one, frames=FrameRange(0.0, 1.0), options=soon)) as engine:
            result(engine)
            one.kill()
            while isinstance(last := item(engine), FrameResult | SourceNotice):
                pass
            assert last.reason == "stop"


def test_the_end_of_a_range_waits_for_what_is_in_perception(starts: Starts, eye: Eye) -> None:
    eye.open.clear()
    options = LiveOptions(max_lag_s=5.0)
    with (
        camera(SHORT) as one,
        closing(starts(one, frames=FrameRange(0.0, 0.5), options=options)) as engine,
    ):
        one.wait(lambda: len(eye.numbers) == IN_PERCEPTION)
        engine._max_lag_s = 0.0  # the range is over as soon as its time is
        enough = one.n_sent + 60
        one.wait(lambda: one.n_sent >= enough)
        assert engine.next(0.0) is None
        eye.open.set()
        results(engine, IN_PERCEPTION)
        while isinstance(last := item(engine), FrameResult):
            pass
        assert isinstance(last, EndOfStream)
        assert last.reason == "stop"


def test_a_refused_login_fails_the_task(starts: Starts) -> None:
    with camera(SHORT, login=("u", "p")) as one, closing(starts(one, login="u:x")) as engine:
        with pytest.raises(TaskFailedError) as caught:
            item(engine)
        assert caught.value.code == "source_unauthorized"
        assert one.n_tries == 1


@pytest.mark.parametrize("state", ["connecting", "live", "lost", "busy"])
def test_next_never_waits_long_and_closing_ends_it(starts: Starts, eye: Eye, state: str) -> None:
    with camera(SHORT) as one:
        if state == "connecting":
            one.mute()
        engine = starts(one)
        if state != "connecting":
            results(engine, 2)
        if state == "lost":
            one.kill()
        if state == "busy":
            eye.open.clear()
        for _ in range(5):
            started_s = time.monotonic()
            engine.next(10.0)
            assert time.monotonic() - started_s < 2.0
        started_s = time.monotonic()
        engine.close()
        engine.close()
        assert time.monotonic() - started_s < 5.0
        eye.open.set()


def as_chunk(one: FrameResult, *, is_first: bool) -> Chunk:
    assert one.live is not None
    moment = np.datetime64(round(one.live.captured_wall_s * 1000), "ms")
    info = StreamInfo(
        one.frame_index, None, one.counts.decoded, one.counts.dropped, one.fps, 1,
        time_s=one.time_s or 0.0, captured_at=f"{moment}Z",
        size=one.live.size if is_first else UNSET,
    )  # fmt: skip
    return Chunk("c", CHUNK_OBJECT, info, Delta((Result(0, one.targets),)), None)


FPS = 20
SEGMENT_S = 1.0


@cache
def playlist() -> dict[str, bytes]:
    """Return a playlist of 20 segments, and these."""
    options = {"hls_time": str(SEGMENT_S), "hls_list_size": "0", "hls_playlist_type": "vod"}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "list.m3u8"
        with av.open(str(path), "w", format="hls", options=options) as output:
            codec = {"preset": "ultrafast", "bf": "2", "sc_threshold": "0"}
            stream: Any = output.add_stream("libx264", rate=FPS, options=codec)
            stream.width, stream.height, stream.pix_fmt = 192, 112, "yuv420p"
            stream.gop_size = round(FPS * SEGMENT_S)
            for number in range(20 * stream.gop_size):
                image = np.full((112, 192, 3), number % 256, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts = number
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}


def test_another_worker_goes_on_in_a_playlist_where_the_log_ends(starts: Starts) -> None:
    """Frames are numbered as the playlist has them: none is given twice, and none is skipped."""
    files, begun_s = playlist(), time.monotonic()
    names = [name for name in files if name.endswith(".ts")]

    def listed(_: dict[str, str]) -> Reply:
        n = min(len(names), 4 + int((time.monotonic() - begun_s) / SEGMENT_S))
        first = max(0, n - 12)
        lines = "".join(f"#EXTINF:{SEGMENT_S},\n{name}\n" for name in names[first:n])
        head = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
        return Reply((head + lines).encode())

    with media_server() as server, camera(SHORT) as unused:
        for name in names:
            server.file(f"/{name}", files[name])
        server.paths["/list.m3u8"] = listed

        def opened(place: Place) -> Callable[[Interrupt], LiveConnection]:
            url = server.url("/list.m3u8")
            return lambda stop: open_hls(url, LOCAL, stop, stall_s=5.0, place=place)

        with closing(starts(unused, opens=opened(Place()))) as engine:
            found = results(engine, 25)
            saved = engine.state()
            found += results(engine, 3)  # the log has them, and no checkpoint has
        chunks = [as_chunk(one, is_first=place == 0) for place, one in enumerate(found)]
        state = continued(saved, chunks, TRACKING, ("person",), found[-1].pts)
        assert state is not None
        place = Place(decode_state(state).hls)
        with closing(starts(unused, opens=opened(place), state=state)) as engine:
            n_before = len(found)
            found += results(engine, 25)
    check(found)
    step = 90_000 // FPS
    numbers = [(b.pts - a.pts) // step for a, b in pairwise(found)]
    assert numbers == [b.frame_index - a.frame_index for a, b in pairwise(found)]
    assert numbers[n_before - 1] <= 3  # it went on right there: see `newest_first`


@pytest.mark.parametrize("n_saved", [0, 3])
def test_a_task_goes_on_from_a_state_and_its_log(starts: Starts, n_saved: int) -> None:
    with camera(SHORT) as one, closing(starts(one, sampling=Sampling("interval", 3))) as engine:
        found = results(engine, n_saved)
        state = engine.state() if n_saved else None
        found += results(engine, 6)
        expected = decode_state(engine.state())
    chunks = [as_chunk(each, is_first=place == 0) for place, each in enumerate(found)]
    last = continued(state, chunks, TRACKING, ("person",))
    assert last is not None
    got = decode_state(last)
    assert got.totals.index == expected.totals.index
    assert got.totals.counts.dropped == expected.totals.counts.dropped
    assert (got.processed, got.size) == (expected.processed, (192, 112))
    assert got.time_s == pytest.approx(expected.time_s)
    assert got.first_wall_s is not None
    assert expected.first_wall_s is not None
    assert got.first_wall_s == pytest.approx(expected.first_wall_s, abs=5.0)
    assert got.tracker.next_id == expected.tracker.next_id == 3
    assert got.range_index == expected.range_index
    assert continued(last, chunks, TRACKING, ("person",)) == last
    assert continued(None, [], TRACKING, ("person",)) is None
