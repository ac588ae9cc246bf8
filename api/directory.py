"""What every api process knows by heart: projects, keys, cancel requests, workers.

The three one-partition topics video.projects, video.control and video.workers are read from their
beginning at start, then tailed. Until their ends were reached once, nobody is let in.
"""

import threading
import time
from collections.abc import Iterable

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from api.publish import kafka_config
from api.settings import Settings
from streamproc.contract import topics
from streamproc.contract.decoding import msgpack_decoder
from streamproc.contract.records import CancelRequested, Project, ProjectKey, WorkerBeat

CONTROL_RETENTION_MS = 7 * topics.DAY_MS
WORKER_ALIVE_MS = 15_000
TOPICS = (topics.PROJECTS, topics.CONTROL, topics.WORKERS)

_PROJECT = "project/"
_KEY = "key/"
_decode_cancel = msgpack_decoder(CancelRequested)
_decode_beat = msgpack_decoder(WorkerBeat)
_decode_project = msgpack_decoder(Project)
_decode_key = msgpack_decoder(ProjectKey)
_log = structlog.get_logger("framewire.api.directory")


class Directory:
    """The fold of the three topics. One thread writes, any thread reads."""

    def __init__(self) -> None:
        self.projects: dict[str, Project] = {}
        self.keys: dict[str, ProjectKey] = {}
        self._cancels: dict[str, CancelRequested] = {}
        self._workers: dict[str, WorkerBeat] = {}
        self._prune_at = 4096

    def apply(self, topic: str, key: str, value: bytes | None) -> None:
        """Fold one record; a second time changes nothing. Raises msgspec.DecodeError on junk.

        A revoked key stays revoked, whatever older record of it comes by.
        """
        if topic == topics.PROJECTS:
            self._apply_project(key, value)
        elif topic == topics.CONTROL:
            if value is None:
                self._cancels.pop(key, None)
            else:
                self._cancels[key] = _decode_cancel(value)
                self._prune()
        elif topic == topics.WORKERS:
            if value is None:
                self._workers.pop(key, None)
            else:
                self._workers[key] = _decode_beat(value)

    def key_of(self, hash_hex: str) -> ProjectKey | None:
        """Return the key with this SHA-256, if it may be used."""
        key = self.keys.get(hash_hex)
        return None if key is None or key.revoked or key.project not in self.projects else key

    def cancel_of(self, task: str) -> CancelRequested | None:
        return self._cancels.get(task)

    def workers(self, now_ms: int) -> list[WorkerBeat]:
        """Return the workers that told of themselves within a day, by id."""
        fresh = now_ms - topics.DAY_MS
        return [beat for _, beat in sorted(self._workers.copy().items()) if beat.beat_ms >= fresh]

    def _apply_project(self, key: str, value: bytes | None) -> None:
        if key.startswith(_PROJECT):
            if value is None:
                self.projects.pop(key.removeprefix(_PROJECT), None)
            else:
                project: Project = _decode_project(value)
                self.projects[project.id] = project
        elif key.startswith(_KEY) and value is not None:
            found: ProjectKey = _decode_key(value)
            known = self.keys.get(found.hash)
            if known is None or not known.revoked:
                self.keys[found.hash] = found

    def _prune(self) -> None:
        """Forget requests that Kafka has forgotten too, now and then."""
        if len(self._cancels) < self._prune_at:
            return
        oldest = time.time_ns() // 1_000_000 - CONTROL_RETENTION_MS
        for task, request in list(self._cancels.items()):
            if request.requested_ms < oldest:
                del self._cancels[task]
        self._prune_at = max(4096, 2 * len(self._cancels))


def project_key(project_id: str) -> str:
    """Return the message key of a project."""
    return _PROJECT + project_id


def key_key(hash_hex: str) -> str:
    """Return the message key of a project key."""
    return _KEY + hash_hex


class DirectoryReader:
    """The consumer thread that feeds a `Directory`."""

    def __init__(self, settings: Settings, directory: Directory) -> None:
        self._config = {
            **kafka_config(settings),
            "group.id": "framewire-api-directory",  # never joined: partitions are assigned
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 500,
            "queued.max.messages.kbytes": 2048,
        }
        self._directory = directory
        self._pending = set(TOPICS)
        self._loaded = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-directory", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def loaded(self) -> bool:
        """Whether the end of every topic was reached once."""
        return self._loaded.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Block until loaded, at most `timeout_s`; return whether it is."""
        return self._loaded.wait(timeout_s)

    def stop(self) -> None:
        """End the thread; blocks for a moment."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        consumer = Consumer(self._config)
        try:
            consumer.assign([TopicPartition(name, 0, OFFSET_BEGINNING) for name in TOPICS])
            while not self._stopping.is_set():
                self._take(consumer.consume(500, timeout=0.1))
        finally:
            consumer.close()

    def _take(self, messages: Iterable[object]) -> None:
        for message in messages:
            error: KafkaError | None = message.error()  # type: ignore[attr-defined] # untyped library
            topic: str = message.topic()  # type: ignore[attr-defined]
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    self._reached(topic)
                continue
            key: bytes | None = message.key()  # type: ignore[attr-defined]
            value: bytes | None = message.value()  # type: ignore[attr-defined]
            try:
                self._directory.apply(topic, (key or b"").decode(), value)
            except (msgspec.DecodeError, UnicodeDecodeError):
                _log.warning("record skipped: not one of ours", topic=topic)

    def _reached(self, topic: str) -> None:
        self._pending.discard(topic)
        if not self._pending:
            self._loaded.set()
