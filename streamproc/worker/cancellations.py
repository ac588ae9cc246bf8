"""Set of cancelled tasks: each worker reads all of video.control."""

import threading
import time

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from streamproc.clients.kafka import KafkaSettings, client_config, consumer_config, poll_batch
from streamproc.contract.topics import CONTROL

_POLL_S = 0.2
_TIMEOUT_S = 10.0
_PAUSE_S = 1.0
_log = structlog.get_logger()


class Cancellations:
    """Ids of the tasks with a cancel request; a background thread keeps the set up to date."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._tasks: set[str] = set()
        self._position = 0
        self._moved = threading.Condition()
        self._stopping = threading.Event()
        self._consumer = Consumer(consumer_config(client_config(kafka), "framewire-cancels"))
        self._consumer.assign([TopicPartition(CONTROL, 0, 0)])
        self._probe = Consumer(consumer_config(client_config(kafka), "framewire-cancels"))
        self._probe_lock = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="cancels", daemon=True)
        self._thread.start()

    def requested(self, task: str) -> bool:
        """Return whether a cancel request for the task has been read so far."""
        return task in self._tasks

    def catch_up(self) -> None:
        """Wait until all requests made before this call have been read, at most 10 s."""
        deadline_s = time.monotonic() + _TIMEOUT_S
        with self._probe_lock:
            try:
                low, high = self._probe.get_watermark_offsets(
                    TopicPartition(CONTROL, 0), timeout=_TIMEOUT_S
                )
            except KafkaException:
                return
        if low == high:
            return
        with self._moved:
            self._moved.wait_for(
                lambda: self._position >= high, max(0.0, deadline_s - time.monotonic())
            )

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close()
        self._probe.close()

    def _follow(self) -> None:
        """Read until `close`; after any failure, log it and continue."""
        while not self._stopping.is_set():
            try:
                self._read()
            except Exception:  # noqa: BLE001 - the thread's edge: without it no cancel is seen
                _log.exception("the reader of cancel requests failed")
                self._stopping.wait(_PAUSE_S)

    def _read(self) -> None:
        for message in poll_batch(self._consumer, _POLL_S):
            key = message.key()
            if message.error() is None and key and message.value():
                self._tasks.add(key.decode(errors="replace"))
        (place,) = self._consumer.position([TopicPartition(CONTROL, 0)])
        with self._moved:
            self._position = max(self._position, place.offset)
            self._moved.notify_all()
