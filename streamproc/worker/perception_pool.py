"""The thread pool in which a worker's frames are perceived, as two executors: live and batch."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from streamproc.worker.lanes import Lane, Lanes

P = ParamSpec("P")
R = TypeVar("R")


class _Work:
    """A call with the future of its result."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self.future: Future[Any] = Future()

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._call()
        except BaseException as exc:  # noqa: BLE001 - who waits for the future gets it
            self.future.set_exception(exc)
        else:
            self.future.set_result(result)


class PerceptionPool:
    """`n_threads` threads that `lanes.Lanes` gives their calls. Thread-safe."""

    def __init__(self, n_threads: int) -> None:
        self._lanes: Lanes[_Work] = Lanes(n_threads)
        self._changed = threading.Condition()
        self._is_closed = False
        self.live: Executor = _LaneExecutor(self, Lane.LIVE)
        self.batch: Executor = _LaneExecutor(self, Lane.BATCH)
        self._threads = [
            threading.Thread(target=self._work, name=f"perceive_{n}", daemon=True)
            for n in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, lane: Lane, call: Callable[[], R]) -> Future[R]:
        """Queue a call. Raises `RuntimeError` after `shutdown`, as every executor does."""
        work = _Work(call)
        with self._changed:
            if self._is_closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._lanes.put(lane, work, time.monotonic())
            self._changed.notify()
        return work.future

    def shutdown(self, *, wait: bool = True, cancel_futures: bool = False) -> None:
        """Accept no more calls; those that wait are run, or cancelled."""
        with self._changed:
            self._is_closed = True
            cancelled = self._lanes.drained() if cancel_futures else []
            self._changed.notify_all()
        for work in cancelled:
            work.future.cancel()
            work.run()
        if wait:
            for thread in self._threads:
                thread.join()

    def _work(self) -> None:
        with self._changed:
            while True:
                taken = self._lanes.take(time.monotonic())
                if taken is None:
                    if self._is_closed and self._lanes.is_empty:
                        self._changed.notify_all()
                        return
                    self._changed.wait(self._lanes.waits_s(time.monotonic()))
                    continue
                lane, work = taken
                del taken
                self._changed.release()
                try:
                    work.run()
                    del work  # its frame's memory must not wait for the next call
                finally:
                    self._changed.acquire()
                self._lanes.ended(lane, time.monotonic())
                self._changed.notify()


class _LaneExecutor(Executor):
    """One lane of a pool as an executor."""

    def __init__(self, pool: PerceptionPool, lane: Lane) -> None:
        self._pool, self._lane = pool, lane

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        return self._pool.submit(self._lane, lambda: fn(*args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Close the whole pool: both lanes."""
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)
