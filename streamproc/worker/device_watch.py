"""Device watch: runs the canary, and says when the worker must not compute any more.

It runs before the worker takes tasks, soon after a model was loaded, and every ten minutes.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from streamproc.providers.model_cache import DeviceFault, ModelCache

_log = structlog.get_logger()
_EVERY_S = 600.0
_LOOK_S = 1.0
_HANGS_S = 180.0
"""A device hangs if the check of no single network ends for so long."""


class DeviceWatch:
    """Checks the devices of a worker's models; use from one event loop."""

    def __init__(
        self, models: ModelCache, *, every_s: float = _EVERY_S, hangs_s: float = _HANGS_S
    ) -> None:
        self._models = models
        self._every_s, self._hangs_s = every_s, hangs_s
        self._progress_s = 0.0
        self._check: asyncio.Future[DeviceFault | None] | None = None
        self.fault: DeviceFault | None = None
        """What was found last; None: the devices are right, as far as is known."""
        self.hangs = False
        """Whether a check does not end: then no thread that uses the device will."""

    async def until_right(self, stop: asyncio.Event, prepare: Callable[[], None]) -> bool:
        """Wait until a check finds no fault; False if `stop` is set first.

        After the first fault, the networks are compiled again without what the compile cache has.
        After the second, the next device of an `AUTO` setting is used if it has all precisions
        that are in use. `prepare` loads the models that are checked.
        """
        stopped = asyncio.ensure_future(stop.wait())
        n_tries = 0
        while not stop.is_set():
            checked = asyncio.ensure_future(self._checked(prepare, only_new=False))
            await asyncio.wait({checked, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not checked.done():
                checked.cancel()
                break
            fault = checked.result()
            if fault is None:
                stopped.cancel()
                self.fault = None
                return True
            n_tries += 1
            if not self.hangs and await asyncio.to_thread(self._change, fault, n_tries):
                continue
            self.fault = fault
            _log.error("device fault: the worker takes no tasks", fault=str(fault))
            await asyncio.wait({stopped}, timeout=self._every_s)
        return False

    async def watch(self) -> DeviceFault:
        """Check until there is a fault, and return it."""
        checked_s = time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_S)
            is_due = time.monotonic() - checked_s >= self._every_s
            if not (is_due or self._models.has_unchecked()):
                continue
            fault = await self._checked(only_new=not is_due)
            if is_due:
                checked_s = time.monotonic()
            if fault is not None:
                self.fault = fault
                _log.error("device fault: the worker hands its tasks over", fault=str(fault))
                return fault

    def _change(self, fault: DeviceFault, n_tries: int) -> bool:
        """Change something that may help; False if nothing is left."""
        if n_tries == 1:
            self._models.forget(fault.wish)
            return True
        return self._models.replace(fault)

    async def _checked(
        self, prepare: Callable[[], None] = lambda: None, *, only_new: bool
    ) -> DeviceFault | None:
        if self._check is None or self._check.done():
            self._check = self._started(prepare, only_new=only_new)
        while not self._check.done():
            left_s = self._progress_s + self._hangs_s - time.monotonic()
            if left_s <= 0:
                self.hangs = True
                return DeviceFault("", "a device", f"gave no result for {self._hangs_s:.0f} s")
            await asyncio.wait({self._check}, timeout=left_s)
        self.hangs = False
        return self._check.result()

    def _started(
        self, prepare: Callable[[], None], *, only_new: bool
    ) -> "asyncio.Future[DeviceFault | None]":
        """Start a check in a thread, which does not keep the process alive if it hangs."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[DeviceFault | None] = loop.create_future()
        self._note_progress()

        def run() -> None:
            try:
                prepare()
                self._note_progress()
                found = self._models.check(only_new=only_new, progress=self._note_progress)
            except Exception as exc:  # noqa: BLE001 - the thread's edge
                _log.exception("the devices could not be checked")
                found = DeviceFault("", "a device", f"could not be checked: {exc}")
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_set, future, found)

        threading.Thread(target=run, name="canary", daemon=True).start()
        return future

    def _note_progress(self) -> None:
        self._progress_s = time.monotonic()


def _set(future: "asyncio.Future[DeviceFault | None]", found: DeviceFault | None) -> None:
    if not future.done():
        future.set_result(found)
