"""Background check, at the start, whether S3 honours conditional writes."""

import threading
from typing import Final

from structlog.typing import FilteringBoundLogger

from streamproc.clients.object_store import S3Objects
from streamproc.errors import StoreUnavailableError

_AGAIN_S: Final = 2.0
_LEAVE_S: Final = 2.0


class StoreTrial:
    """Tests the store in a thread until it answers; a failed test sets `stop`."""

    def __init__(self, store: S3Objects, stop: threading.Event, log: FilteringBoundLogger) -> None:
        self.failed = False
        self._store, self._stop, self._log = store, stop, log
        self._thread = threading.Thread(target=self._run, name="store-trial", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Wait at most 2 s for the thread, after `stop` is set: S3 may hang."""
        self._thread.join(_LEAVE_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.failed = not self._store.honours_conditions()
            except StoreUnavailableError as exc:
                self._log.warning("the conditional-write check failed", reason=str(exc))
                self._stop.wait(_AGAIN_S)
            else:
                break
        if self.failed:
            self._stop.set()
