"""Networks made ready for the frames of a live source, in threads of their own.

A detector's network is compiled for the shape of the frames. In the perception pool that would stop
the frames of all tasks, so frames of a new shape are offered to the pool once this is done.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from models.sizes import SourceShape
from streamproc.stages.perception import Plan

N_THREADS: Final = 2


class WarmUp:
    """One instance per worker process; thread-safe."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(N_THREADS, "warm-up")

    def prepared(self, plan: Plan, shape: SourceShape) -> Future[None]:
        """Return a future that is done once frames of this shape can be perceived at once.

        It is done, too, if that failed: perception of the first frame then says why.
        """
        if plan.is_ready(shape):
            done: Future[None] = Future()
            done.set_result(None)
            return done
        return self._threads.submit(plan.prepare, shape)
