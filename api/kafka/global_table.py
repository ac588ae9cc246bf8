"""Global table: projects, keys, cancel requests, workers and dead letters, held in memory.

Each api process reads the one-partition topics video.projects, video.control, video.workers and
video.dlq from their beginning at start, then tails them. Until it has reached the end of each
once, project keys that it does not know yet get 503.
"""

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from typing import TypeVar

import msgspec
import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from api.ids import key_id
from api.kafka.consumer_watchdog import ConsumerPulse
from api.kafka.producer import kafka_config
from api.settings import Settings
from streamproc.clients.kafka import reader_config
from streamproc.contract import topics
from streamproc.contract.decoding import msgpack_decoder
from streamproc.contract.records import (
    CONSUMER_KEY,
    CancelRequested,
    ConsumerBeat,
    DeadLetter,
    KeyEnd,
    KeyUse,
    Project,
    ProjectKey,
    WorkerBeat,
)

T = TypeVar("T")

CONTROL_RETENTION_MS = 7 * topics.DAY_MS
WORKER_ALIVE_MS = 15_000
TOPICS = (topics.PROJECTS, topics.CONTROL, topics.WORKERS, topics.DLQ)
MAX_CANCELLED = 1000
MAX_LETTERS = 100
MAX_PLACES = 10_000

_PROJECT = "project/"
_KEY = "key/"
_END = "end/"
_USE = "use/"
_decode_cancel = msgpack_decoder(CancelRequested)
_decode_beat = msgpack_decoder(WorkerBeat)
_decode_consumer = msgpack_decoder(ConsumerBeat)
_decode_letter = msgpack_decoder(DeadLetter)
_decode_project = msgpack_decoder(Project)
_decode_key = msgpack_decoder(ProjectKey)
_decode_end = msgpack_decoder(KeyEnd)
_decode_use = msgpack_decoder(KeyUse)
_log = structlog.get_logger("framewire.api.directory")


class GlobalTable:
    """The materialised state of these topics.

    Written by the thread that reads them and by requests that have just written a record; read by
    any thread.
    """

    def __init__(self) -> None:
        self.projects: dict[str, Project] = {}
        self.keys: dict[str, ProjectKey] = {}
        self._ends: dict[str, KeyEnd] = {}
        self._uses: dict[str, int] = {}
        self._hash_of_id: dict[str, str] = {}
        self._cancels: dict[str, CancelRequested] = {}
        self._workers: dict[str, WorkerBeat] = {}
        self._consumers: dict[str, ConsumerBeat] = {}
        self._letters: deque[DeadLetter] = deque(maxlen=MAX_LETTERS)
        self._n_letters: Counter[tuple[str, str]] = Counter()
        self._project_offsets: dict[str, int] = {}
        self._writing_projects = threading.Lock()
        self._places: OrderedDict[tuple[str, str, int, int, str], None] = OrderedDict()
        self._prune_at = 4096

    def apply(
        self, topic: str, key: str, value: bytes | None, *, offset: int | None = None
    ) -> None:
        """Apply one record; idempotent. Raises msgspec.DecodeError on an invalid one.

        A revoked key stays revoked, even if an older record of it is read later. An older record
        of a project is ignored as well: its offset is lower than that of the record known here.
        """
        if topic == topics.PROJECTS:
            self._apply_access(key, value, offset)
        elif topic == topics.CONTROL:
            if value is None:
                self._cancels.pop(key, None)
            else:
                self._cancels[key] = _decode_cancel(value)
                self._prune()
        elif topic == topics.DLQ:
            if value is not None:
                self._apply_letter(_decode_letter(value))
        elif topic == topics.WORKERS:
            if value is None:
                self._workers.pop(key, None)
                self._consumers.pop(key, None)
            elif key.startswith(CONSUMER_KEY):
                self._consumers[key] = _decode_consumer(value)
            else:
                self._workers[key] = _decode_beat(value)

    def read_again(self) -> None:
        """Forget the offsets of records: the topics are read from their beginning once more."""
        self._project_offsets.clear()

    def key_of(self, hash_hex: str, now_ms: int) -> ProjectKey | None:
        """Return the key with this SHA-256 if it is valid at `now_ms`, else None."""
        key = self.keys.get(hash_hex)
        if key is None or key.revoked or key.project not in self.projects:
            return None
        ends_ms = self.ends_ms(key)
        return key if ends_ms is None or now_ms < ends_ms else None

    def key_by_id(self, key: str, now_ms: int) -> ProjectKey | None:
        """Return the key with this id if it is valid at `now_ms`, else None."""
        hash_hex = self._hash_of_id.get(key)
        return None if hash_hex is None else self.key_of(hash_hex, now_ms)

    def has_heard_of(self, key: str) -> bool:
        """Return whether a key with this id, valid or not, is known here."""
        return key in self._hash_of_id

    def ends_ms(self, key: ProjectKey) -> int | None:
        """Return when the key ends, by its expiry or because it is replaced; None: never."""
        end = self._ends.get(key.hash)
        known = [
            ms for ms in (key.expires_ms, None if end is None else end.ends_ms) if ms is not None
        ]
        return min(known, default=None)

    def replaced_by(self, key: ProjectKey) -> str | None:
        end = self._ends.get(key.hash)
        return None if end is None else end.replaced_by

    def used_ms(self, hash_hex: str, otherwise: T) -> int | T:
        """Return roughly when the key was last used; `otherwise` if no use is known."""
        return self._uses.get(hash_hex, otherwise)

    def cancel_of(self, task: str) -> CancelRequested | None:
        return self._cancels.get(task)

    def cancelled(self, project: str) -> tuple[str, ...]:
        """Return the ids of the project's `MAX_CANCELLED` latest cancel requests, newest first."""
        requests = [one for one in self._cancels.copy().values() if one.project == project]
        requests.sort(key=lambda one: one.requested_ms, reverse=True)
        return tuple(one.task for one in requests[:MAX_CANCELLED])

    def workers(self, now_ms: int) -> list[WorkerBeat]:
        """Return the workers' last heartbeats that are less than a day old, ordered by id."""
        fresh = now_ms - topics.DAY_MS
        return [beat for _, beat in sorted(self._workers.copy().items()) if beat.beat_ms >= fresh]

    def living_workers(self, now_ms: int) -> list[WorkerBeat]:
        """Return the last heartbeat of each worker that is alive, ordered by id."""
        return [beat for beat in self.workers(now_ms) if beat.beat_ms > now_ms - WORKER_ALIVE_MS]

    def consumers(self, now_ms: int) -> list[ConsumerBeat]:
        """Return the last heartbeats of archive and index processes, less than a day old."""
        fresh = now_ms - topics.DAY_MS
        return [beat for _, beat in sorted(self._consumers.copy().items()) if beat.beat_ms >= fresh]

    def letters(self) -> list[DeadLetter]:
        """Return the last `MAX_LETTERS` dead letters, newest first."""
        return [*self._letters.copy()][::-1]

    def n_letters(self) -> dict[tuple[str, str], int]:
        """Return the number of dead letters by role and code."""
        return dict(self._n_letters.copy())

    def _apply_letter(self, letter: DeadLetter) -> None:
        """Count a dead letter once, even if its record is read or written a second time."""
        place = (letter.role, letter.topic, letter.partition, letter.position, letter.task)
        if place in self._places:
            return
        self._places[place] = None
        if len(self._places) > MAX_PLACES:
            self._places.popitem(last=False)
        self._letters.append(letter)
        self._n_letters[letter.role, letter.code] += 1

    def _apply_access(self, key: str, value: bytes | None, offset: int | None) -> None:
        if key.startswith(_PROJECT):
            project: Project | None = None if value is None else _decode_project(value)
            self._apply_project(key.removeprefix(_PROJECT), project, offset)
        elif key.startswith(_KEY) and value is not None:
            found: ProjectKey = _decode_key(value)
            known = self.keys.get(found.hash)
            if known is None or not known.revoked:
                self.keys[found.hash] = found
                self._hash_of_id[key_id(found.hash)] = found.hash
        elif key.startswith(_END) and value is not None:
            self._apply_end(_decode_end(value))
        elif key.startswith(_USE) and value is not None:
            use = _decode_use(value)
            self._uses[use.hash] = max(use.used_ms, self._uses.get(use.hash, 0))

    def _apply_project(self, name: str, project: Project | None, offset: int | None) -> None:
        """Keep the newest record of a project: a request may have applied one before it is read."""
        with self._writing_projects:
            if offset is not None:
                if offset < self._project_offsets.get(name, 0):
                    return
                self._project_offsets[name] = offset
            if project is None:
                self.projects.pop(name, None)
            else:
                self.projects[name] = project

    def _apply_end(self, end: KeyEnd) -> None:
        """Set the end of a key. It can only move to an earlier time, never to a later one."""
        known = self._ends.get(end.hash)
        if known is None or end.ends_ms <= known.ends_ms:
            self._ends[end.hash] = end

    def _prune(self) -> None:
        """Drop cancel requests beyond Kafka's retention, once there are enough of them."""
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


def end_key(hash_hex: str) -> str:
    """Return the message key of a project key's end."""
    return _END + hash_hex


def use_key(hash_hex: str) -> str:
    """Return the message key of a project key's last use."""
    return _USE + hash_hex


class GlobalTableReader:
    """The consumer thread that fills a `GlobalTable`."""

    def __init__(self, settings: Settings, directory: GlobalTable) -> None:
        self._config = {
            **reader_config(kafka_config(settings), "framewire-api-directory"),
            "enable.partition.eof": True,
        }
        self._directory = directory
        self._watchdog_s = settings.watchdog_s
        self.n_skipped = 0
        self.n_renewals = -1
        self.stalled: list[tuple[str, int]] = []
        self._pending = set(TOPICS)
        self._loaded = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-directory", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def loaded(self) -> bool:
        """Whether the end of every topic has been reached once."""
        return self._loaded.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Block until the table is loaded, at most `timeout_s`; return whether it is loaded."""
        return self._loaded.wait(timeout_s)

    def stop(self) -> None:
        """Stop the thread; blocks for at most 5 s."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        """Read until `stop`; replace a consumer that fails or makes no progress."""
        while not self._stopping.is_set():
            try:
                self._read()
            except Exception:  # noqa: BLE001 - top of the thread: if it ends, updates stop arriving
                _log.exception("global table consumer failed: restarting")
                self._stopping.wait(1.0)
            self.n_renewals += 1

    def _read(self) -> None:
        consumer, asker = Consumer(self._config), Consumer(self._config)
        pulse = ConsumerPulse(consumer, asker, [(name, 0) for name in TOPICS], self._watchdog_s)
        try:
            self._directory.read_again()
            consumer.assign([TopicPartition(name, 0, OFFSET_BEGINNING) for name in TOPICS])
            while not self._stopping.is_set():
                self._take(consumer.consume(500, timeout=0.1))
                self.stalled = pulse.stalled()
                if self.stalled:
                    _log.error(
                        "global table consumer makes no progress: recreating it",
                        topics=self.stalled,
                    )
                    return
        finally:
            asker.close()
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
                offset: int = message.offset()  # type: ignore[attr-defined] # untyped library
                self._directory.apply(topic, (key or b"").decode(), value, offset=offset)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.n_skipped += 1
                _log.warning("record skipped: cannot be decoded", topic=topic)
            except Exception:  # noqa: BLE001 - one bad record must not stop the reader
                self.n_skipped += 1
                _log.exception("record skipped", topic=topic)

    def _reached(self, topic: str) -> None:
        self._pending.discard(topic)
        if not self._pending:
            self._loaded.set()
