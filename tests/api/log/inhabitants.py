"""Who lives in the world of `tests.api.log.world`: a store, writers, archivers, apis, readers.

Everything that decides is the real code; each has its own state alone.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from api.log.fanout import MAX_WAITING_BYTES, Broadcast, Subscriber
from api.log.segments import SegmentMap
from api.log.tail_cache import TailCache
from api.log.task_tail import Ticket
from api.store.segment import Segment
from streamproc.clients.object_store import ListedObject, ObjectHead
from streamproc.contract import object_keys
from streamproc.contract.fold import Fold
from streamproc.contract.records import ChunkRecord
from streamproc.sinks.archive.actions import Action, GiveUp, Outcome, Seek, StoreAction
from streamproc.sinks.archive.partition import Archiver
from tests.api.log.builders import PROJECT

TASKS = ("vt_1", "vt_2")
IDLE = "vt_idle"  # a worker claims it late and is never heard of again, until the very end
PARTITION = 0


class MemoryStore:
    """`streamproc.clients.object_store.Objects` in a dict."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.metadata: dict[str, Mapping[str, str]] = {}

    def put_if_absent(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        if key in self.bodies:
            return False
        self.bodies[key] = body
        self.metadata[key] = metadata
        return True

    def put(self, key: str, body: bytes) -> None:
        self.bodies[key] = body
        self.metadata[key] = {}

    def head(self, key: str) -> ObjectHead | None:
        if key not in self.bodies:
            return None
        return ObjectHead(len(self.bodies[key]), self.metadata[key])

    def get(self, key: str) -> bytes | None:
        return self.bodies.get(key)

    def keys(self, prefix: str, after: str = "") -> Iterator[ListedObject]:
        for key in sorted(self.bodies):
            if key.startswith(prefix) and key > after:
                yield ListedObject(key, len(self.bodies[key]))

    def delete(self, key: str) -> None:
        self.bodies.pop(key, None)

    def segments(self, task: str) -> list[tuple[Segment, str]]:
        """Return the task's segments as a listing shows them, with their keys."""
        return [
            (Segment(int(listed.key.rpartition("/")[2][:20]), listed.size), listed.key)
            for listed in self.keys(object_keys.segment_prefix(PROJECT, task))
        ]

    def log(self, task: str) -> bytes:
        """Return what the task's segments hold, one after the other."""
        return b"".join(self.bodies[key] for _, key in self.segments(task))


class Writer:
    """A worker on one task: it claimed, folded, and writes on, however long it is a zombie."""

    def __init__(self, task: str, fold: Fold) -> None:
        self.task = task
        self.epoch = fold.epoch
        self.seq = fold.next_seq
        self.off = fold.next_off
        self.done = fold.closed
        self.sent: list[ChunkRecord] = []


class ArchiveProcess:
    """An archiver with a consumer, S3 requests under way and answers on their way back."""

    def __init__(self, position: int) -> None:
        self.archiver = Archiver(position)
        self.next = position
        self.now_s = 0.0
        self.actions: list[StoreAction] = []
        self.outcomes: list[Outcome] = []

    def take(self, actions: list[Action]) -> None:
        for action in actions:
            assert not isinstance(action, GiveUp), action.reason
            if isinstance(action, Seek):
                self.next = action.position
            else:
                self.actions.append(action)


class Locating(NamedTuple):
    """A listing under way: the ticket came first."""

    ticket: Ticket
    listed: list[tuple[Segment, str]] | None = None


class ApiProcess:
    """The reading side of one api process."""

    def __init__(self, tail_cache: TailCache, broadcast: Broadcast, position: int) -> None:
        self.tail_cache = tail_cache
        self.tail_cache.start(PARTITION, position)
        self.broadcast = broadcast
        self.maps = {task: SegmentMap() for task in (*TASKS, IDLE)}
        self.locating: dict[str, Locating] = {}
        self.proving: dict[str, list[tuple[Segment, str]]] = {}


class Reader:
    """A client: it counts its bytes, and comes again at `start + len(got)` after a cut.

    It is its own connection, too: what the live end writes to it, it has got.
    """

    def __init__(self, task: str, start: int) -> None:
        self.task = task
        self.start = start
        self.got = b""
        self.ended = False
        self.member: Subscriber | None = None
        self.released = False
        self.is_full = False

    def write(self, data: bytes) -> None:
        """Take one chunk of the chunked encoding."""
        size, _, rest = data.partition(b"\r\n")
        assert rest[-2:] == b"\r\n"
        assert len(rest) == int(size, 16) + 2
        self.got += rest[:-2]

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return MAX_WAITING_BYTES + 1 if self.is_full else 0

    def release(self) -> None:
        self.released = True

    @property
    def offset(self) -> int:
        return self.start + len(self.got)
