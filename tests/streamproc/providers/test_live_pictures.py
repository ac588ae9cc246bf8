"""Pictures of live tasks: when one is due, and what becomes of it; nobody waits for one."""

import threading
from collections.abc import Mapping

import numpy as np
import pytest

from streamproc.contract.object_keys import PictureInfo, latest_key
from streamproc.errors import UploadsUnavailableError
from streamproc.providers import live_pictures
from streamproc.providers.live_pictures import AWAY_S, MAX_JPEG_BYTES, LivePictures, TaskPictures
from streamproc.source.errors import DecoderCrashedError
from streamproc.source.types import Image

IMAGE = np.zeros((2, 2, 3), np.uint8)
INFO = PictureInfo(1920, 1080, 7, 1_767_225_601_250)


class Store:
    """An S3 that can be slow, or away."""

    def __init__(self) -> None:
        self.put: list[tuple[str, bytes, Mapping[str, str]]] = []
        self.open = threading.Event()
        self.open.set()
        self.is_away = False

    def put_picture(self, object_key: str, jpeg: bytes, metadata: Mapping[str, str]) -> None:
        assert self.open.wait(30)
        if self.is_away:
            raise UploadsUnavailableError("S3 is away")
        self.put.append((object_key, jpeg, metadata))


class Kept:
    def __init__(self, encode: bytes | DecoderCrashedError = b"jpeg") -> None:
        self.store, self.now_s, self.n_encoded = Store(), 0.0, 0
        self._encode = encode
        self.pictures = LivePictures(self.store, self._encoded, 10.0, lambda: self.now_s)

    def _encoded(self, image: Image) -> bytes:
        self.n_encoded += 1
        if isinstance(self._encode, DecoderCrashedError):
            raise self._encode
        return self._encode

    def offer(self, task: str = "t") -> None:
        self.pictures.offer("p", task, IMAGE, INFO)

    def until(self, **counts: int) -> None:
        for _ in range(3000):
            if self.pictures.counts() == counts and not self.pictures._on_their_way:
                return
            threading.Event().wait(0.01)
        raise AssertionError(self.pictures.counts())


def offered() -> tuple[TaskPictures, list[PictureInfo]]:
    infos: list[PictureInfo] = []
    return TaskPictures(lambda _, info: infos.append(info), 10.0), infos


def test_a_picture_is_due_at_once_and_every_ten_seconds() -> None:
    task, infos = offered()
    assert task.is_due(100.0)
    task.keep(IMAGE, INFO, 100.0)
    assert infos == [INFO]
    assert [task.is_due(s) for s in (100.1, 109.9, 110.0)] == [False, False, True]


def test_a_new_track_makes_one_due_but_not_within_two_seconds() -> None:
    task, _ = offered()
    task.keep(IMAGE, INFO, 100.0)
    task.seen(0)
    assert not task.is_due(105.0)
    task.seen(3)
    assert [task.is_due(s) for s in (101.9, 102.0)] == [False, True]
    task.keep(IMAGE, INFO, 102.0)
    task.seen(3)
    task.seen(2)
    assert not task.is_due(107.0)
    task.seen(4)
    assert task.is_due(107.0)


def test_a_picture_is_stored_with_what_it_shows() -> None:
    kept = Kept()
    kept.offer()
    kept.until(stored=1)
    ((key, jpeg, metadata),) = kept.store.put
    assert (key, jpeg) == (latest_key("p", "t"), b"jpeg")
    assert PictureInfo.from_metadata(metadata) == INFO


def test_while_an_upload_runs_the_tasks_next_pictures_are_left_out() -> None:
    kept = Kept()
    kept.store.open.clear()
    kept.offer()
    kept.offer()  # both return, although S3 does not
    kept.offer("other")
    assert kept.pictures.counts() == {"busy": 1}
    kept.store.open.set()
    kept.until(stored=2, busy=1)
    kept.offer()
    kept.until(stored=3, busy=1)


def test_no_more_pictures_wait_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_pictures, "MAX_WAITING", 2)
    kept = Kept()
    kept.store.open.clear()
    for n in range(10):
        kept.offer(f"t{n}")
    assert kept.pictures.counts()["busy"] in {7, 8}  # one more if the thread has taken one
    kept.store.open.set()


def test_while_s3_is_away_nothing_is_encoded_and_it_is_tried_again() -> None:
    kept = Kept()
    kept.store.is_away = True
    kept.offer()
    kept.until(no_store=1)
    kept.now_s = AWAY_S - 1
    kept.offer()
    kept.until(no_store=2)
    assert kept.n_encoded == 1
    kept.store.is_away, kept.now_s = False, AWAY_S + 1
    kept.offer()
    kept.until(no_store=2, stored=1)


@pytest.mark.parametrize(
    ("encode", "result"),
    [(bytes(MAX_JPEG_BYTES + 1), "too_large"), (DecoderCrashedError("it died"), "failed")],
)
def test_what_is_no_picture_is_counted(encode: bytes | DecoderCrashedError, result: str) -> None:
    kept = Kept(encode)
    kept.offer()
    kept.until(**{result: 1})
    assert not kept.store.put
