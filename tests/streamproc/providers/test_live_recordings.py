"""Pieces of recordings: stored by threads, tried again, given up, counted; nobody waits."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from streamproc.clients.staged_objects import BucketUploads
from streamproc.contract.chunk import RecordingLoss
from streamproc.contract.recordings import PieceInfo, read_piece_key
from streamproc.contract.store_settings import StoreSettings
from streamproc.errors import UploadsUnavailableError
from streamproc.providers.live_recordings import LiveRecordings, TaskRecording
from streamproc.source.live.recording.picture import RecordedPicture
from streamproc.source.live.recording.piece_maker import Piece, read_piece
from tests.foreign_s3 import Application, moto, served

_WAIT_S = 30.0


class Store:
    """An S3 that can be slow, or away."""

    def __init__(self) -> None:
        self.put: dict[str, tuple[bytes, str, Mapping[str, str]]] = {}
        self.n_tries = 0
        self.open = threading.Event()
        self.open.set()
        self.is_away = False

    def put_piece(
        self, object_key: str, body: bytes, content_type: str, metadata: Mapping[str, str]
    ) -> None:
        self.n_tries += 1
        assert self.open.wait(_WAIT_S)
        if self.is_away:
            raise UploadsUnavailableError("S3 is away")
        self.put[object_key] = (body, content_type, metadata)


def piece(first: int = 17, n_bytes: int = 1000, codec: str = "h264") -> Piece:
    pictures = (
        RecordedPicture(b"\0\0\0\1\x65".ljust(n_bytes, b"x"), first, 3600, True, 5000),
        RecordedPicture(b"\0\0\0\1\x41y", first + 1, 7200, codec == "mjpeg", 5040),
    )
    return Piece(codec, (192, 112), pictures, first, first + 1)


def until(recordings: LiveRecordings, **counts: int) -> None:
    deadline_s = time.monotonic() + _WAIT_S
    while recordings.counts() != counts:
        assert time.monotonic() < deadline_s, recordings.counts()
        threading.Event().wait(0.01)


def recording(recordings: LiveRecordings, task: str = "t") -> TaskRecording:
    found = recordings.of_task("p", task, 41)
    found.maker(17)
    return found


def offer(recordings: LiveRecordings, of: TaskRecording, *pieces: Piece) -> None:
    for one in pieces:
        recordings._offer(of, one)


@pytest.mark.parametrize(
    ("codec", "suffix", "kind"),
    [("hevc", "ts", "video/mp2t"), ("mjpeg", "mjpeg", "multipart/x-mixed-replace")],
)
def test_a_piece_is_an_object_that_says_what_it_has(codec: str, suffix: str, kind: str) -> None:
    store = Store()
    recordings = LiveRecordings(store)
    task = recording(recordings)
    offer(recordings, task, piece(codec=codec))
    until(recordings, stored=1)
    start, key = store.put
    assert start == f"p/t/rec/{17:020d}.{41:020d}.start"
    assert read_piece_key(start) == (start, 17, 41, False)
    body, content_type, metadata = store.put[key]
    assert key == f"p/t/rec/{17:020d}.{41:020d}.{suffix}"
    assert read_piece_key(key) == (key, 17, 41, True)
    assert content_type.startswith(kind)
    assert PieceInfo.from_metadata(metadata) == PieceInfo(codec, 192, 112, 18, 2, 5000, 5040)
    assert [one.frame for one in read_piece(body)[1]] == [17, 18]
    state = task.state()
    assert (state.pieces, state.lost_pieces, state.lost_pictures, state.last_ms) == (1, 0, 0, 5040)
    assert state.size_bytes == 1006
    recordings.close(_WAIT_S)


def test_a_piece_is_tried_again_until_s3_takes_it() -> None:
    store = Store()
    store.is_away = True
    recordings = LiveRecordings(store, pause_s=0.01)
    task = recording(recordings)
    offer(recordings, task, piece())
    while store.n_tries < 3:
        threading.Event().wait(0.01)
    assert recordings.counts() == {}
    store.is_away = False
    until(recordings, stored=1)
    assert task.state().lost_pieces == 0
    recordings.close(_WAIT_S)


def test_a_piece_that_s3_does_not_take_in_time_is_given_up() -> None:
    store = Store()
    store.is_away = True
    recordings = LiveRecordings(store, pause_s=0.01, give_up_s=0.05)
    task = recording(recordings)
    offer(recordings, task, piece(17), piece(19))
    until(recordings, no_store=2)
    state = task.state()
    assert (state.pieces, state.lost_pieces, state.lost_pictures) == (0, 2, 4)
    assert task.take_loss() == RecordingLoss("no_store", 2, 4, 17, 20)
    assert task.take_loss() is None
    store.is_away = False
    offer(recordings, task, piece(21))
    until(recordings, no_store=2, stored=1)
    assert task.take_loss() is None
    recordings.close(_WAIT_S)


def test_while_s3_is_slow_memory_is_bounded_and_nobody_waits() -> None:
    store = Store()
    store.open.clear()
    recordings = LiveRecordings(store, max_waiting_bytes=5000)
    one, other = recording(recordings), recording(recordings, "u")
    begun_s = time.monotonic()
    offer(recordings, one, *(piece(17 + 2 * n) for n in range(20)))
    offer(recordings, other, piece())
    assert time.monotonic() - begun_s < 5  # the store answers nothing meanwhile
    assert recordings.counts() == {"busy": 17}
    assert (one.state().lost_pieces, other.state().lost_pieces) == (16, 1)
    store.open.set()
    until(recordings, busy=17, stored=4)
    offer(recordings, one, piece(99))
    until(recordings, busy=17, stored=5)
    recordings.close(_WAIT_S)


def test_a_worker_that_stops_waits_for_the_last_pieces_but_not_for_a_store_that_is_away() -> None:
    store = Store()
    store.open.clear()
    recordings = LiveRecordings(store)
    offer(recordings, recording(recordings), piece(), piece(19), piece(21))
    threading.Timer(0.2, store.open.set).start()
    recordings.close(_WAIT_S)
    assert recordings.counts() == {"stored": 3}
    away = Store()
    away.is_away = True
    recordings = LiveRecordings(away, pause_s=_WAIT_S)
    offer(recordings, recording(recordings), piece(), piece(19), piece(21))
    begun_s = time.monotonic()
    recordings.close(_WAIT_S)
    assert time.monotonic() - begun_s < _WAIT_S / 2
    assert recordings.counts() == {"no_store": 3}


class Faulty:
    """moto's S3, which answers so many PUTs of pieces with 503."""

    def __init__(self, application: Application) -> None:
        self._application, self.n_left = application, 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if "/rec/" in environ["PATH_INFO"] and self.n_left > 0:
            self.n_left -= 1
            start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", "0")])
            return [b""]
        return self._application(environ, start)


@pytest.fixture
def faulty(engines: None) -> Iterator[tuple[Faulty, Any, StoreSettings]]:
    application = Faulty(moto())
    with served(application) as server:
        server.client().create_bucket(Bucket=server.bucket)
        yield application, server, StoreSettings.from_environ(server.environ)


def test_a_foreign_s3_that_refuses_at_first_has_the_piece_in_the_end(
    faulty: tuple[Faulty, Any, StoreSettings],
) -> None:
    application, server, settings = faulty
    application.n_left = 2
    recordings = LiveRecordings(BucketUploads(settings), pause_s=0.01)
    offer(recordings, recording(recordings), piece())
    until(recordings, stored=1)
    assert application.n_left == 0
    with recordings._changed:  # the other thread may still have the start
        assert recordings._changed.wait_for(lambda: not recordings._n_running, _WAIT_S)
    _, listed = server.client().list_objects_v2(Bucket=server.bucket)["Contents"]
    found = server.client().get_object(Bucket=server.bucket, Key=listed["Key"])
    assert found["ContentType"] == "video/mp2t"
    assert PieceInfo.from_metadata(found["Metadata"]).last == 18
    assert read_piece(found["Body"].read())[0] == "h264"
    recordings.close(_WAIT_S)
