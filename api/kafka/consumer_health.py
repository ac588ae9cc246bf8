"""Consumer health of each role, from heartbeats and committed offsets: pure functions."""

from collections.abc import Collection, Sequence

from api.contract.system import ConsumerResource, DeadLetterResource, PartResource
from api.kafka.global_table import WORKER_ALIVE_MS
from streamproc.contract import topics
from streamproc.contract.records import ConsumerBeat, DeadLetter, WorkerBeat
from streamproc.contract.timestamps import rfc3339

_GROUPS = {
    "worker": topics.WORKER_GROUP,
    "archive": topics.ARCHIVE_GROUP,
    "index": topics.INDEX_GROUP,
}


def role_parts(
    workers: Sequence[WorkerBeat],
    consumers: Sequence[ConsumerBeat],
    stalled: Collection[tuple[str, int]],
    now_ms: int,
) -> list[PartResource]:
    """Return one part per role. It is not ready if records wait and no process reads them.

    `stalled`: groups and partitions whose committed offset does not move. It counts only if no
    live process has the partition: a process that has it reports itself whether it reads.
    """
    parts = []
    for role, group in _GROUPS.items():
        reports: list[WorkerBeat | ConsumerBeat] = [
            *(workers if role == "worker" else ()),
            *(beat for beat in consumers if beat.role == role),
        ]
        alive = [beat for beat in reports if beat.beat_ms > now_ms - WORKER_ALIVE_MS]
        stuck = sorted({partition for beat in alive for partition in beat.standing})
        read = {partition for beat in alive for partition in beat.partitions}
        alone = sorted(p for name, p in stalled if name == group and p not in read)
        waits = sorted({beat.waiting_for for beat in alive if beat.waiting_for})
        faults = [
            *([f"Stands still in {_named(stuck)}."] if stuck else ()),
            *([f"No process reads {_named(alone)}."] if alone else ()),
        ]
        n_tasks = sum(beat.waiting_for_store for beat in alive if isinstance(beat, WorkerBeat))
        notes = faults or [
            *(f"Waits for {what}." for what in waits if what != "slots"),
            *([f"{n_tasks} tasks wait for the object store."] if n_tasks else ()),
            *(
                f"{beat.worker} takes no tasks: {beat.device_fault}."
                for beat in alive
                if isinstance(beat, WorkerBeat) and beat.device_fault is not None
            ),
        ]
        parts.append(PartResource(role, not faults, " ".join(notes) or None))
    return parts


def consumer_resource(beat: ConsumerBeat, now_ms: int) -> ConsumerResource:
    return ConsumerResource(
        role=beat.role,
        host=beat.host,
        pid=beat.pid,
        alive=beat.beat_ms > now_ms - WORKER_ALIVE_MS,
        started_at=rfc3339(beat.started_ms),
        seen_at=rfc3339(beat.beat_ms),
        partitions=list(beat.partitions),
        standing=list(beat.standing),
        waiting_for=beat.waiting_for,
        renewals=beat.n_renewals,
        cpu_percent=beat.cpu_percent,
        rss_bytes=beat.rss_bytes or None,
    )


def letter_resources(
    letters: Sequence[DeadLetter], project: str | None
) -> list[DeadLetterResource]:
    """Return the dead letters that the caller may see: those of `project`; None sees all."""
    return [
        DeadLetterResource(
            at=rfc3339(letter.dead_ms),
            role=letter.role,
            code=letter.code,
            message=letter.message,
            task=letter.task or None,
            topic=letter.topic or None,
            partition=letter.partition if letter.partition >= 0 else None,
            offset=letter.position if letter.position >= 0 else None,
        )
        for letter in letters
        if project is None or (project and letter.project == project)
    ]


def _named(partitions: Sequence[int]) -> str:
    noun = "partition" if len(partitions) == 1 else "partitions"
    return f"{noun} {', '.join(map(str, partitions))}"
