"""Admission of live tasks: a partition whose worker has room, or `503 live_full`."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from api.errors import InvalidRequestError, UnavailableError
from api.tasks.live_room import NoRoomError, Promises, UnknownSourceError, partitions_with_room
from streamproc.contract.live_url import camera_name
from streamproc.contract.records import WorkerBeat
from streamproc.contract.task_spec import TaskSpec

RETRY_S = 10
START_WAIT_S = 5.0
"""For workers that have just started, or are given other partitions."""
_LOOK_S = 0.1


class LiveAdmission:
    """The admissions of one process. Use from one event loop."""

    def __init__(self, living: Callable[[], Sequence[WorkerBeat]]) -> None:
        """`living` returns the last heartbeat of each worker that is alive."""
        self._living = living
        self._promises = Promises()

    async def wait_for_start(self, spec: TaskSpec, now_ms: int) -> None:
        """Wait while no worker is alive, or those with room have no partition.

        `START_WAIT_S` at most.
        """
        until_s = time.monotonic() + START_WAIT_S
        while self._is_starting(spec, now_ms) and time.monotonic() < until_s:  # noqa: ASYNC110 - heartbeats come in another thread
            await asyncio.sleep(_LOOK_S)

    def _is_starting(self, spec: TaskSpec, now_ms: int) -> bool:
        try:
            self._with_room(spec, now_ms)
        except NoRoomError as exc:
            return exc.is_starting
        except UnknownSourceError:
            return False
        return False

    def _with_room(self, spec: TaskSpec, now_ms: int) -> tuple[int, ...]:
        beats = self._living()
        promised = self._promises.by_partition(beats, now_ms)
        return partitions_with_room(beats, promised, camera_name(spec.source.url))

    @contextmanager
    def partition(self, task: str, spec: TaskSpec, now_ms: int) -> Iterator[int]:
        """Yield the partition for a live task, which is counted from now on.

        If the block raises, it is not. Raises UnavailableError (`live_full`) if no worker has room,
        InvalidRequestError if none has the source that the task names.
        """
        try:
            able = self._with_room(spec, now_ms)
        except UnknownSourceError as exc:
            why = "no worker has a source of this name"
            raise InvalidRequestError.at("input[0].url", why) from exc
        except NoRoomError as exc:
            detail = f"No worker has room for another live task: {exc}."
            raise UnavailableError(detail, retry_after_s=RETRY_S, code="live_full") from exc
        chosen = secrets.choice(able)
        self._promises.add(task, chosen, now_ms)
        try:
            yield chosen
        except BaseException:
            self._promises.drop(task)
            raise
