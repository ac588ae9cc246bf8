"""Dispatcher: takes a message through its tries, with a place (opening or slot) and a thread each.

    wait ► open, outside of the slots ► wait ► work in a slot        ► acknowledge
    wait ► end or leave the task, in a slot (after too many tries)   ► acknowledge

A task that cannot continue without S3 waits before all of that and holds no place
(`store_outages`). A place is released whatever its task does. A message stays unacknowledged only
if the worker stops, or loses the partition.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from streamproc.contract.records import TaskMessage
from streamproc.errors import StreamprocError, UnforeseenError, UploadsUnavailableError
from streamproc.worker.cancellations import Cancellations
from streamproc.worker.retries import Step, until_done
from streamproc.worker.scheduler import Scheduler
from streamproc.worker.slice import Slice
from streamproc.worker.slice_runner import SliceRunner
from streamproc.worker.store_outages import StoreOutages
from streamproc.worker.task_state import submission
from streamproc.worker.wait_queue import Line, LineClosedError, Ticket

_log = structlog.get_logger()
_LOOK_S = 0.25
_RETRY_S = 1.0


class Dispatch:
    """The places and thread pools of one worker; use from one event loop."""

    def __init__(
        self,
        runner: SliceRunner,
        cancels: Cancellations,
        *,
        slots: int,
        openings: int,
        project_openings: int,
        sessions: int,
        kept: Callable[[], Mapping[str, int]],
        store: StoreOutages,
        retry_s: float = _RETRY_S,
    ) -> None:
        """`project_openings`: maximum of the `openings` for one project.

        `sessions`: maximum number of open tasks; `kept` counts those outside the slots by project.
        """
        self._runner, self._cancels, self._retry_s = runner, cancels, retry_s
        self._line = Line(Scheduler(slots, openings, project_openings, sessions), kept)
        self._slots = ThreadPoolExecutor(slots, "slot")
        self._openings = ThreadPoolExecutor(openings, "opening")
        self._store = store
        self._stopping = False

    @property
    def n_working(self) -> int:
        """Number of slots in use."""
        return self._line.n_working

    @property
    def n_opening(self) -> int:
        """Number of tasks that open their source, or have it open and wait for a slot."""
        return self._line.n_opening

    @property
    def n_waiting_for_store(self) -> int:
        """Number of tasks that wait for S3, without a place."""
        return self._store.n_waiting

    async def handle(self, message: TaskMessage, is_ours: Callable[[], bool]) -> int | None:
        """Run a slice until it is done, and return its number of frames.

        None: before that, the worker stopped or the message's partition was revoked.
        """
        return await until_done(
            lambda step: self._attempt(message, is_ours, step),
            submission(message).task,
            stopping=lambda: self._stopping,
            pause_s=self._retry_s,
        )

    async def look_around(self) -> None:
        """Poll for ever for changes without an event: cancelled waiting tasks, closed sessions."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self._line.excuse(self._cancels.requested)
            self._line.advance()

    def stop(self) -> None:
        """Start nothing more; openings are aborted, running slices end."""
        self._stopping = True
        self._line.close()

    def close(self) -> None:
        """Wait for the threads."""
        self._openings.shutdown(wait=True)
        self._slots.shutdown(wait=True)
        self._store.close()

    async def _attempt(
        self, message: TaskMessage, is_ours: Callable[[], bool], step: Step
    ) -> int | None:
        """Do one step of `retries`; raises only `StreamprocError`."""
        submitted = submission(message)
        one = self._runner.slice(message)
        # Each try starts at the end of the queue.
        ticket = Ticket(submitted.task, submitted.project, submitted.weight, one.give_way)
        await self._store.until_there(
            one.task, self._runner.store_key(one), lambda: self._waits_no_more(one, is_ours)
        )
        try:
            if step != "again" and not await self._give_up_task(one, ticket, is_ours, step):
                return None
            if not one.done and not await self._slice(one, ticket, is_ours):
                return None
        except LineClosedError:
            return None
        except UploadsUnavailableError:
            one.lacks_store = True
            raise
        except StreamprocError:
            raise
        except Exception as exc:  # for example: no thread can be started
            _log.exception("a slice could not be dispatched", task=ticket.task)
            raise UnforeseenError(exc) from exc
        else:
            return one.n_frames
        finally:
            self._line.leave(ticket)
            one.close()
            note = self._store.failed if one.lacks_store else self._store.forget
            note(one.task)

    def _waits_no_more(self, one: Slice, is_ours: Callable[[], bool]) -> bool:
        return self._stopping or self._cancels.requested(one.task) or not is_ours()

    async def _give_up_task(
        self, one: Slice, ticket: Ticket, is_ours: Callable[[], bool], step: Step
    ) -> bool:
        """End or leave the task; False: the message's partition was revoked."""
        await self._line.slot(ticket)
        if not is_ours():
            return False
        give_up = self._runner.end if step == "end" else self._runner.leave
        await asyncio.get_running_loop().run_in_executor(self._slots, give_up, one)
        return True

    async def _slice(self, one: Slice, ticket: Ticket, is_ours: Callable[[], bool]) -> bool:
        """Open outside of the slots and work in one; False: the partition was revoked."""
        loop = asyncio.get_running_loop()
        while not one.done:
            if self._runner.needs_opening(one):
                await self._line.opening(ticket)
                if one.taken is None and not is_ours():
                    return False
                await self._open(one)
                if one.done:
                    break
                await self._line.slot_after_opening(ticket)
            else:
                await self._line.slot(ticket)
                if not is_ours():
                    return False
            await loop.run_in_executor(self._slots, self._runner.work, one)
        return True

    async def _open(self, one: Slice) -> None:
        """Open in a thread; a cancel request, or the worker's stop, aborts it at once."""
        threads = None if self._cancels.requested(one.task) else self._openings
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(threads, self._runner.open, one)
        while not opening.done():
            await asyncio.wait({opening}, timeout=_LOOK_S)
            if not opening.done() and (self._stopping or self._cancels.requested(one.task)):
                await self._give_up_opening(one)
        await opening

    async def _give_up_opening(self, one: Slice) -> None:
        try:
            await asyncio.to_thread(one.give_up)
        except Exception:  # noqa: BLE001 - the opening must be awaited in any case
            _log.exception("aborting a source opening failed", task=one.task)
