"""Pictures of live tasks for `frames/latest.jpg`: one object a task, replaced again and again.

One thread of the worker encodes and uploads. A task has at most one picture on its way: another one
is left out, and so is every picture while S3 does not answer. Nobody ever waits for a picture.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

import structlog

from streamproc.contract.object_keys import PictureInfo, latest_key
from streamproc.contract.records import PictureResult
from streamproc.errors import UploadsUnavailableError
from streamproc.source.errors import SourceError
from streamproc.source.types import Image

LEAST_S: Final = 2.0
"""Least time between two pictures of a task."""
MAX_WAITING: Final = 16
"""Pictures of all tasks that wait for the thread; each is at most 3 MB."""
MAX_JPEG_BYTES: Final = 1024 * 1024
AWAY_S: Final = 10.0
"""For so long after S3 did not take a picture, none is tried."""
_log = structlog.get_logger()


class PictureStore(Protocol):
    """Where the JPEGs go."""

    def put_picture(self, object_key: str, jpeg: bytes, metadata: Mapping[str, str]) -> None:
        """Store an object, or replace the one before. Raises `UploadsUnavailableError`."""


class _Order(NamedTuple):
    project: str
    task: str
    image: Image
    info: PictureInfo


class LivePictures:
    """Encodes and stores pictures in a thread. One instance per worker process; thread-safe."""

    def __init__(
        self,
        store: PictureStore,
        encode: Callable[[Image], bytes],
        every_s: float,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`encode` makes a JPEG, or raises a `SourceError`. `every_s`: between a task's pictures.

        The thread starts with the first picture and ends with the process.
        """
        self._store, self._encode, self._every_s, self._now_s = store, encode, every_s, now_s
        self._orders: queue.Queue[_Order] = queue.Queue(MAX_WAITING)
        self._lock = threading.Lock()
        self._on_their_way: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._thread: threading.Thread | None = None
        self._not_before_s = float("-inf")

    def of_task(self, project: str, task: str) -> "TaskPictures":
        return TaskPictures(
            lambda image, info: self.offer(project, task, image, info), self._every_s
        )

    def offer(self, project: str, task: str, image: Image, info: PictureInfo) -> None:
        """Let the picture be stored, or leave it out; returns at once."""
        with self._lock:
            if task in self._on_their_way or self._orders.full():
                self._counts["busy"] += 1
                return
            self._on_their_way.add(task)
            self._orders.put_nowait(_Order(project, task, image, info))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
                self._thread.start()

    def counts(self) -> dict[str, int]:
        """Return the pictures so far, by what became of them."""
        with self._lock:
            return dict(self._counts)

    def _run(self) -> None:
        while True:
            order = self._orders.get()
            try:
                result: PictureResult = self._stored(order)
            except Exception:  # noqa: BLE001 - the thread's edge: pictures go on
                _log.exception("a picture could not be stored", task=order.task)
                result = "failed"
            with self._lock:
                self._on_their_way.discard(order.task)
                self._counts[result] += 1
            del order  # not held until the next one comes

    def _stored(self, order: _Order) -> PictureResult:
        if self._now_s() < self._not_before_s:
            return "no_store"
        try:
            jpeg = self._encode(order.image)
        except SourceError as exc:
            _log.warning("a picture was not encoded", task=order.task, reason=str(exc))
            return "failed"
        if len(jpeg) > MAX_JPEG_BYTES:
            return "too_large"
        try:
            key = latest_key(order.project, order.task)
            self._store.put_picture(key, jpeg, order.info.to_metadata())
        except UploadsUnavailableError as exc:
            self._not_before_s = self._now_s() + AWAY_S
            _log.warning("pictures of live tasks are not stored now", reason=str(exc))
            return "no_store"
        return "stored"


class TaskPictures:
    """Says when a task needs its next picture. One thread asks and keeps, another one tells."""

    def __init__(self, offer: Callable[[Image, PictureInfo], None], every_s: float) -> None:
        self._offer, self._every_s = offer, every_s
        self._kept_s = float("-inf")
        self._newest_id = 0
        self._has_new_track = False

    def seen(self, highest_id: int) -> None:
        """Note the highest id of a confirmed track in a frame: a new one wants a picture."""
        if highest_id > self._newest_id:
            self._newest_id = highest_id
            self._has_new_track = True

    def is_due(self, now_s: float) -> bool:
        """Return whether the next frame is to be kept."""
        age_s = now_s - self._kept_s
        return age_s >= self._every_s or (self._has_new_track and age_s >= LEAST_S)

    def keep(self, image: Image, info: PictureInfo, now_s: float) -> None:
        """Offer a picture to be stored; whether it is or not, the next one has its own time."""
        self._kept_s = now_s
        self._has_new_track = False
        self._offer(image, info)
