"""Kafka topic administration: creates Framewire's topics once, checks them at every start."""

import time
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from streamproc.clients.kafka_errors import KafkaTrouble, kafka_trouble
from streamproc.contract.audit import DEFAULT_DAYS
from streamproc.contract.topics import (
    AUDIT,
    CHUNKS,
    DAY_MS,
    MAX_MESSAGE_BYTES,
    POLICIES,
    TASKS,
    TopicPolicy,
)
from streamproc.errors import BrokerError, TopicPolicyError

_TIMEOUT_S = 10.0
_CREATED_WITHIN_S = 30.0
_POLL_S = 0.02
_LASTING_S = 2.0


class Troubles:
    """Collects a client's errors from its `error_cb`, because its calls do not report them."""

    def __init__(self) -> None:
        self.last: KafkaTrouble | None = None
        self._since_s = 0.0

    def hear(self, error: KafkaError) -> None:
        found = kafka_trouble(error.name(), error.str())
        if found is not None and found != self.last:
            self.last, self._since_s = found, time.monotonic()

    @property
    def lasting(self) -> str | None:
        """An error that waiting is unlikely to fix, once it has lasted for a while."""
        if self.last is None or not self.last.lasting:
            return None
        is_old = time.monotonic() - self._since_s >= _LASTING_S
        return self.last.sentence if is_old else None


def wait_for_kafka(admin: AdminClient, timeout_s: float, troubles: Troubles | None = None) -> None:
    """Wait until a broker answers; raises `BrokerError` after `timeout_s`.

    Raises sooner if `troubles` (the client's `error_cb`) has an error that waiting does not fix.
    """
    troubles = troubles or Troubles()
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if admin.list_topics(timeout=1.0).brokers:
                return
        except KafkaException:
            admin.poll(0)  # calls the callback
        if troubles.lasting is not None:
            raise BrokerError(troubles.lasting)
        if time.monotonic() >= deadline:
            why = "" if troubles.last is None else f": {troubles.last.sentence}"
            raise BrokerError(f"Kafka did not answer within {timeout_s:g} s{why}")


def ensure_topics(
    admin: AdminClient, *, n_partitions: int, replication: int, audit_days: int = DEFAULT_DAYS
) -> None:
    """Create the missing topics and check the others.

    Sets the audit trail's retention to `audit_days`. Raises `TopicPolicyError` if a topic exists
    with another partition count or cleanup policy: the partition of a task is frozen, and a
    compacted log would lose bytes.
    """
    existing = _topics(admin)
    missing = [policy for policy in POLICIES if policy.name not in existing]
    made = _create(admin, missing, n_partitions, replication)
    deadline_s = time.monotonic() + _CREATED_WITHIN_S
    while not existing.keys() >= {policy.name for policy in POLICIES}:
        if time.monotonic() >= deadline_s:
            raise BrokerError(
                f"after {_CREATED_WITHIN_S:g} s the topics created are still not there"
            )
        time.sleep(_POLL_S)
        existing = _topics(admin)
    present = [policy for policy in POLICIES if policy.name not in made]
    for policy in present:
        wanted = policy.partitions or n_partitions
        found = len(existing[policy.name].partitions)
        if found != wanted:
            raise TopicPolicyError(
                f"topic {policy.name} has {found} partitions, not {wanted}: the count is frozen"
            )
    _check_policies(admin, present)
    _keep_audit(admin, audit_days)


def _topics(admin: AdminClient) -> dict[str, TopicMetadata]:
    """Return the topics of which all partitions have a leader."""
    topics = admin.list_topics(timeout=_TIMEOUT_S).topics
    return {
        name: topic
        for name, topic in topics.items()
        if topic.partitions and all(p.leader >= 0 for p in topic.partitions.values())
    }


def _create(
    admin: AdminClient, policies: list[TopicPolicy], n_partitions: int, replication: int
) -> set[str]:
    """Create topics; return the new ones' names: another process may have created some."""
    if not policies:
        return set()
    topics = [
        NewTopic(
            policy.name,
            num_partitions=policy.partitions or n_partitions,
            replication_factor=replication,
            config={
                **policy.config,
                "max.message.bytes": str(MAX_MESSAGE_BYTES),
                "min.insync.replicas": str(max(1, replication - 1)),
            },
        )
        for policy in policies
    ]
    made = set()
    for name, future in admin.create_topics(topics, request_timeout=_TIMEOUT_S).items():
        try:
            future.result()
            made.add(name)
        except KafkaException as exc:
            if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise BrokerError(f"topic {name} could not be created: {exc.args[0]}") from exc
    return made


def _check_policies(admin: AdminClient, policies: list[TopicPolicy]) -> None:
    if not policies:
        return
    configs = _configs(admin, [policy.name for policy in policies])
    for policy in policies:
        found = set(configs[policy.name]["cleanup.policy"].split(","))
        wanted = set(policy.config["cleanup.policy"].split(","))
        if found != wanted:
            raise TopicPolicyError(
                f"topic {policy.name} has cleanup.policy {','.join(sorted(found))}, "
                f"not {','.join(sorted(wanted))}"
            )


def _keep_audit(admin: AdminClient, days: int) -> None:
    wanted = str(days * DAY_MS)
    if _configs(admin, [AUDIT])[AUDIT]["retention.ms"] == wanted:
        return
    entry = ConfigEntry("retention.ms", wanted, incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ResourceType.TOPIC, AUDIT, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([change], request_timeout=_TIMEOUT_S).values():
        try:
            future.result()
        except KafkaException as exc:
            raise BrokerError(
                f"topic {AUDIT} cannot be kept for {days} days: {exc.args[0]}"
            ) from exc


def _configs(admin: AdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the settings of topics that exist.

    A broker is asked again that does not know a topic yet: another one has listed them.
    """
    topics = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    deadline_s = time.monotonic() + _CREATED_WITHIN_S
    while True:
        answers = admin.describe_configs(topics, request_timeout=_TIMEOUT_S)
        try:
            return {
                topic.name: {key: entry.value for key, entry in future.result().items()}
                for topic, future in answers.items()
            }
        except KafkaException as exc:
            is_unknown = exc.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            if not is_unknown or time.monotonic() >= deadline_s:
                raise
        time.sleep(_POLL_S)


def touch_topics(admin: AdminClient) -> None:
    """Make the in-process cluster create its topics; a metadata request is enough."""
    for policy in POLICIES:
        admin.list_topics(policy.name, timeout=_TIMEOUT_S)


def count_partitions(admin: AdminClient) -> int:
    """Return the partition count of the tasks and chunks topics.

    Raises `BrokerError` if they are missing or differ: a task has the same partition in both.
    """
    counts = set()
    for name in (TASKS, CHUNKS):
        topic = admin.list_topics(name, timeout=_TIMEOUT_S).topics[name]
        if topic.error is not None or not topic.partitions:
            raise BrokerError(f"topic {name} does not exist: run `python -m streamproc topics`")
        counts.add(len(topic.partitions))
    if len(counts) != 1:
        raise TopicPolicyError(f"{TASKS} and {CHUNKS} differ in their partition counts")
    return counts.pop()
