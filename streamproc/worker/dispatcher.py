"""Dispatcher: takes a message through its tries, with a place (opening or slot) and a thread each.

    wait ► open, outside of the slots ► wait ► work in a slot        ► acknowledge
    wait ► end or leave the task, in a slot (after too many tries)   ► acknowledge

Live tasks have places of their own, where they do not wait (`places.live_places`).
A task that cannot continue without S3 waits before all of that and holds no place
(`store_outages`). A place is released whatever its task does. A message stays unacknowledged only
if the worker stops, or loses the partition.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from streamproc.contract.records import TaskMessage
from streamproc.errors import StreamprocError, UnforeseenError, UploadsUnavailableError
from streamproc.worker.cancellations import Cancellations
from streamproc.worker.live_tasks import LiveTasks
from streamproc.worker.places import Places, live_places
from streamproc.worker.retries import Step, until_done
from streamproc.worker.slice import Slice
from streamproc.worker.slice_runner import SliceRunner
from streamproc.worker.store_outages import StoreOutages
from streamproc.worker.task_state import submission
from streamproc.worker.wait_queue import LineClosedError, Ticket

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
        live_slots: int,
        kept: Callable[[], Mapping[str, int]],
        store: StoreOutages,
        retry_s: float = _RETRY_S,
    ) -> None:
        """`project_openings`: maximum of the `openings` for one project.

        `sessions`: maximum number of open tasks; `kept` counts those outside the slots by project.
        All of these are without live tasks.
        """
        self._runner, self._cancels, self._retry_s = runner, cancels, retry_s
        self._batch = Places(
            "batch",
            slots=slots,
            openings=openings,
            project_openings=project_openings,
            sessions=sessions,
            kept=kept,
        )
        self._live, self._live_tasks = live_places(live_slots), LiveTasks()
        self._store = store
        self._stopping = False

    @property
    def n_working(self) -> int:
        """Number of slots in use, without live tasks."""
        return self._batch.line.n_working

    @property
    def n_opening(self) -> int:
        """Number of tasks that open their source, or have it open and wait for a slot."""
        return self._batch.line.n_opening

    @property
    def n_live(self) -> int:
        """Number of live tasks: those that wait or work."""
        return self._live_tasks.count(time.monotonic())

    @property
    def n_waiting_for_store(self) -> int:
        """Number of tasks that wait for S3, without a place."""
        return self._store.n_waiting

    async def handle(self, message: TaskMessage, is_ours: Callable[[], bool]) -> int | None:
        """Run a slice until it is done, and return its number of frames.

        None: before that, the worker stopped or the message's partition was revoked.
        """
        submitted = submission(message)
        is_live = submitted.spec.live is not None
        places = self._live if is_live else self._batch
        if is_live:
            self._live_tasks.enters(submitted.task)
        try:
            return await until_done(
                lambda step: self._attempt(places, message, is_ours, step),
                submitted.task,
                stopping=lambda: self._stopping,
                pause_s=self._retry_s,
            )
        finally:
            if is_live:
                self._live_tasks.leaves(submitted.task, time.monotonic())

    async def look_around(self) -> None:
        """Poll for ever for changes without an event: cancelled waiting tasks, closed sessions."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for places in (self._live, self._batch):
                places.line.excuse(self._cancels.requested)
                places.line.advance()

    def stop(self) -> None:
        """Start nothing more; openings are aborted, running slices end."""
        self._stopping = True
        self._live.line.close()
        self._batch.line.close()

    def close(self) -> None:
        """Wait for the threads."""
        self._live.close()
        self._batch.close()
        self._store.close()

    async def _attempt(
        self, places: Places, message: TaskMessage, is_ours: Callable[[], bool], step: Step
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
            if step != "again" and not await self._give_up_task(places, one, ticket, is_ours, step):
                return None
            if not one.done and not await self._slice(places, one, ticket, is_ours):
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
            places.line.leave(ticket)
            one.close()
            note = self._store.failed if one.lacks_store else self._store.forget
            note(one.task)

    def _waits_no_more(self, one: Slice, is_ours: Callable[[], bool]) -> bool:
        return self._stopping or self._cancels.requested(one.task) or not is_ours()

    async def _give_up_task(
        self,
        places: Places,
        one: Slice,
        ticket: Ticket,
        is_ours: Callable[[], bool],
        step: Step,
    ) -> bool:
        """End or leave the task; False: the message's partition was revoked."""
        await places.line.slot(ticket)
        if not is_ours():
            return False
        give_up = self._runner.end if step == "end" else self._runner.leave
        await asyncio.get_running_loop().run_in_executor(places.slots, give_up, one)
        return True

    async def _slice(
        self, places: Places, one: Slice, ticket: Ticket, is_ours: Callable[[], bool]
    ) -> bool:
        """Open outside of the slots and work in one; False: the partition was revoked."""
        loop = asyncio.get_running_loop()
        while not one.done:
            if self._runner.needs_opening(one):
                await places.line.opening(ticket)
                if one.taken is None and not is_ours():
                    return False
                await self._open(places, one)
                if one.done:
                    break
                await places.line.slot_after_opening(ticket)
            else:
                await places.line.slot(ticket)
                if not is_ours():
                    return False
            await loop.run_in_executor(places.slots, self._runner.work, one)
        return True

    async def _open(self, places: Places, one: Slice) -> None:
        """Open in a thread; a cancel request, or the worker's stop, aborts it at once."""
        threads = None if self._cancels.requested(one.task) else places.openings
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
