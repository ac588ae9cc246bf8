"""The Faust application: consumes video.tasks and video.live, and passes slices to the worker.

Faust provides partition assignment, rebalancing and offsets. Everything else is our own, because an
exception in an agent would acknowledge its event: events are received unacknowledged, wait for
their turn, and are acknowledged per partition in offset order once their slice is done.

Each topic is read by an agent of its own: when the worker holds as many messages as it may, it
reads no more of that topic. Both have the same partitions, which Faust assigns together.

Faust stops on unexpected errors, for example some failures of a commit, and then consumes nothing
more; the process would only look alive. Therefore the worker then exits as on SIGTERM: running
slices hand over, and the supervisor restarts the worker.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError

from streamproc.clients.faust_security import KafkaSecurity
from streamproc.contract.records import BadRecordError, TaskMessage, decode_task_message
from streamproc.contract.topics import LIVE, TASK_TOPICS, TASKS, WORKER_GROUP
from streamproc.errors import LogUnavailableError
from streamproc.settings import WorkerSettings
from streamproc.worker.faust_transport import transport_of
from streamproc.worker.ordered_acks import OrderedAcks

_log = structlog.get_logger()

_MAX_TAKEN = 512
"""Backpressure: maximum of a topic's messages in work or waiting; above it, it is not read."""
_BUFFERED = 8192
_POLL_RECORDS = 20
"""Faust buffers records for an agent that does not take them, stops to fetch a partition above 80 %
of `_BUFFERED`, and stops to read at all above 100 %. With this bound, a poll of each of 80
partitions fits in between, so that a backlog of files leaves the live tasks readable."""

Handle = Callable[[TaskMessage, Callable[[], bool]], Awaitable[bool]]


class TaskStream:
    """Consumer of this worker's partitions of video.tasks. Create it in the running event loop."""

    def __init__(
        self, settings: WorkerSettings, handle: Handle, leave: Callable[[], object]
    ) -> None:
        """`handle` runs one slice and returns whether its message is done.

        Its second argument reports whether the message still belongs to this worker. `leave` is
        called when nothing more will be read: the worker should exit.
        """
        self._handle, self._leave = handle, leave
        self._rooms = {topic: asyncio.Semaphore(_MAX_TAKEN) for topic in TASK_TOPICS}
        self._acks: OrderedAcks[Any] = OrderedAcks()
        self._running: set[asyncio.Task[None]] = set()
        self._assigned = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False
        self.partitions: tuple[int, ...] = ()
        self._places: tuple[tuple[str, int], ...] = ()
        self.renew = threading.Event()
        """Set by the watchdog on a stall: records wait and none is read. The worker exits."""
        self._positions: dict[tuple[str, int], int] = {}
        self.app = faust.App(
            WORKER_GROUP,
            broker=[f"kafka://{host}" for host in settings.kafka.bootstrap.split(",")],
            broker_credentials=_credentials(settings.kafka_security),
            broker_client_id=settings.worker_id,
            broker_session_timeout=settings.session_timeout_s,
            broker_heartbeat_interval=max(0.3, settings.session_timeout_s / 6),
            broker_request_timeout=max(10.0, settings.session_timeout_s + 5),
            broker_commit_interval=1.0,
            broker_max_poll_records=_POLL_RECORDS,
            stream_buffer_maxsize=_BUFFERED,
            stream_wait_empty=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            store="memory://",
            datadir=str(settings.state_dir),
            key_serializer="raw",
            value_serializer="raw",
            autodiscover=False,
        )
        self.app.transport = transport_of(self.app)
        for name, agent in ((TASKS, "slices"), (LIVE, "live slices")):
            topic = self.app.topic(name, key_type=bytes, value_type=bytes, internal=False)
            consume = partial(self._consume, self._rooms[name])
            self.app.agent(topic, name=agent, concurrency=1)(consume)
        self.app.on_partitions_assigned.connect(self._on_assigned)  # type: ignore[arg-type]
        self.app.on_partitions_revoked.connect(self._on_revoked)  # type: ignore[arg-type]

    def positions(self) -> dict[tuple[str, int], int | None]:
        """Return the next offset to read of each assigned partition. Thread-safe."""
        known = self._positions.copy()
        return {place: known.get(place) for place in self._places}

    @property
    def waiting_for(self) -> str | None:
        """What the consumer waits for on purpose. Thread-safe."""
        if self._stopping:
            return "the end"
        return "slots" if self._rooms[TASKS].locked() else None

    async def start(self) -> None:
        """Join the consumer group; returns once partitions (or none) are assigned.

        Raises `LogUnavailableError` if Kafka becomes unavailable meanwhile.
        """
        self.app.finalize()
        try:
            await self.app.start()
        except KafkaError as exc:
            raise LogUnavailableError(f"Kafka became unavailable: {type(exc).__name__}") from exc
        self._watch = asyncio.create_task(self._leave_with_faust())
        await self._assigned.wait()

    async def stop(self, drain_s: float) -> None:
        """Accept nothing more, wait for the running slices, then leave the group."""
        self._stopping = True
        if self._watch is not None:
            self._watch.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=drain_s)
        await self.app.stop()

    async def _leave_with_faust(self) -> None:
        await self.app.wait_until_stopped()
        _log.error("Faust stopped: the worker exits", reason=repr(self.app.crash_reason))
        self._assigned.set()
        self._leave()

    async def _on_assigned(self, _: Any, assigned: set[Any], **__: Any) -> None:
        self.partitions = tuple(sorted(tp.partition for tp in assigned if tp.topic == TASKS))
        self._places = tuple((tp.topic, tp.partition) for tp in assigned)
        self._assigned.set()

    async def _on_revoked(self, _: Any, revoked: set[Any], **__: Any) -> None:
        for tp in revoked:
            self._acks.drop(tp)
            self._positions.pop((tp.topic, tp.partition), None)

    async def _consume(self, room: asyncio.Semaphore, stream: Any) -> None:
        async for event in stream.noack().events():
            tp = event.message.tp
            self._positions[tp.topic, tp.partition] = event.message.offset + 1
            await room.acquire()
            if self._stopping:
                room.release()
                continue  # not acknowledged: it is delivered to another worker
            message = event.message
            self._acks.begin(message.tp, message.offset, event)
            task = asyncio.create_task(self._work(room, stream, event))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _work(self, room: asyncio.Semaphore, stream: Any, event: Any) -> None:
        """Run one event's slice. Must not raise: Faust would acknowledge the event."""
        message = event.message
        try:
            done = await self._handled(
                event.value, lambda: self._acks.holds(message.tp, message.offset, event)
            )
            if done:
                for ready in self._acks.finish(message.tp, message.offset, event):
                    await stream.ack(ready)
        except Exception:  # noqa: BLE001 - the process's edge: the event stays unacknowledged
            _log.exception("slice was not acknowledged", offset=message.offset)
        finally:
            room.release()

    async def _handled(self, value: bytes | None, is_ours: Callable[[], bool]) -> bool:
        try:
            message = decode_task_message(value or b"")
        except BadRecordError:
            _log.warning("invalid task message skipped")
            return True
        return await self._handle(message, is_ours)


def _credentials(security: KafkaSecurity) -> Any:
    """Return Faust's credentials object, None for a plaintext connection."""
    if security.sasl is not None:
        return faust.SASLCredentials(
            mechanism=security.sasl.mechanism,
            username=security.sasl.username,
            password=security.sasl.password,
            ssl_context=security.tls,
        )
    return None if security.tls is None else faust.SSLCredentials(security.tls)
