"""Kafka topics: names, policies, and the partitioner of tasks."""

from typing import NamedTuple

from streamproc.contract.audit import DEFAULT_DAYS

TASKS = "video.tasks"
LIVE = "video.live"
CHUNKS = "video.chunks"
CONTROL = "video.control"
PROJECTS = "video.projects"
DLQ = "video.dlq"
WORKERS = "video.workers"
AUDIT = "video.audit"

WORKER_GROUP = "framewire-worker"
ARCHIVE_GROUP = "framewire-archive"
INDEX_GROUP = "framewire-index"
AUDIT_GROUP = "framewire-audit"
HISTORY_GROUP = "framewire-history"

DEFAULT_PARTITIONS = 8
TASK_TOPICS = (TASKS, LIVE)
"""Topics of task messages: live tasks have their own, where no backlog of files is before them."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
DAY_MS = 86_400_000


class TopicPolicy(NamedTuple):
    """Required configuration of a topic; `partitions` None: as many as video.tasks."""

    name: str
    partitions: int | None
    config: dict[str, str]


POLICIES = (
    TopicPolicy(TASKS, None, {"cleanup.policy": "delete", "retention.ms": str(7 * DAY_MS)}),
    TopicPolicy(LIVE, None, {"cleanup.policy": "delete", "retention.ms": str(7 * DAY_MS)}),
    TopicPolicy(CHUNKS, None, {"cleanup.policy": "delete", "retention.ms": str(7 * DAY_MS)}),
    TopicPolicy(CONTROL, 1, {"cleanup.policy": "compact,delete", "retention.ms": str(7 * DAY_MS)}),
    TopicPolicy(PROJECTS, 1, {"cleanup.policy": "compact"}),
    TopicPolicy(DLQ, 1, {"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS)}),
    TopicPolicy(WORKERS, 1, {"cleanup.policy": "compact,delete", "retention.ms": str(DAY_MS)}),
    TopicPolicy(AUDIT, 1, {"cleanup.policy": "delete", "retention.ms": str(DEFAULT_DAYS * DAY_MS)}),
)


def partition_of(key: bytes, n_partitions: int) -> int:
    """Return the partition of `key`, equal to Kafka's default partitioner (murmur2)."""
    return (_murmur2(key) & 0x7FFFFFFF) % n_partitions


def _murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 hash with its fixed seed (org.apache.kafka.common.utils.Utils)."""
    mask = 0xFFFFFFFF
    m = 0x5BD1E995
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    tail = data[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)
