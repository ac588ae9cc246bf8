"""Chaos: real processes killed, frozen and cut off; at the end every byte is where it belongs.

All the while a client of another project attacks: it must not hold up anybody, nor be forgotten.

`make chaos` runs the long form, the environment sets its size:
FRAMEWIRE_CHAOS_SEED, FRAMEWIRE_CHAOS_TASKS, FRAMEWIRE_CHAOS_KILLS, FRAMEWIRE_CHAOS_PAUSE_S.
"""

import os
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from streamproc.contract.framing import parse_events
from tests.chaos.clients import StreamClient, submit
from tests.chaos.evidence import (
    BODY,
    Story,
    create_key,
    findings_of_index,
    stories_of_kafka,
    undisturbed_chunks,
    wait_for_archive,
    wait_for_index,
)
from tests.chaos.fleet import Fleet
from tests.chaos.gremlin import Gremlin
from tests.chaos.hostile import HostileClient, slow_or_lying
from tests.chaos.kafka import ProxiedKafka
from tests.engines import S3Server
from tests.fuzz import seeds
from tests.streamproc.source.raw_origin import raw_origin
from tests.workers import chunks_of, timeless

pytestmark = pytest.mark.chaos
SEED = int(os.environ.get("FRAMEWIRE_CHAOS_SEED", "1"))
N_TASKS = int(os.environ.get("FRAMEWIRE_CHAOS_TASKS", "4"))
N_KILLS = int(os.environ.get("FRAMEWIRE_CHAOS_KILLS", "8"))
PAUSE_S = float(os.environ.get("FRAMEWIRE_CHAOS_PAUSE_S", "4"))
DEADLINE_S = 300 + 20 * N_KILLS


@pytest.mark.timeout(DEADLINE_S + 300)
def test_nothing_is_lost_and_nothing_is_said_twice(
    kafka: ProxiedKafka, s3_server: S3Server, tmp_path: Path
) -> None:
    origins = ExitStack()
    origin = origins.enter_context(raw_origin(slow_or_lying))
    fleet = Fleet(kafka, s3_server, tmp_path, private_hosts=origin.authority)
    try:
        fleet.start()
        project, key = create_key(fleet)
        undisturbed = undisturbed_chunks(fleet, key)

        gremlin = Gremlin(fleet, SEED, pause_s=PAUSE_S, kills_kafka=True)
        hostile = HostileClient(fleet, create_key(fleet)[1], origin, seeds.make(), SEED)
        origins.callback(hostile.close)
        gremlin.start()
        hostile.start()
        clients = keep_busy(fleet, key, gremlin)
        gremlin.stop()
        hostile.stop()
        for client in clients:
            client.join(180)
        unfinished = [client.task for client in clients if not client.finished]
        assert not unfinished, f"not finished: {unfinished}"
        assert wait_for_ends(hostile) == []
        assert 500 not in hostile.answers

        stories = stories_of_kafka(kafka)
        logs = {task: story.log for task, story in stories.items()}
        for client in clients:
            assert bytes(client.log) == logs[client.task]
            assert list(parse_events(logs[client.task]))
            assert timeless(chunks_of(logs[client.task])) == timeless(undisturbed)
        wait_for_archive(s3_server, project, logs, [client.task for client in clients])
        wait_for_index(fleet)
    finally:
        fleet.stop()
        origins.close()
    mine = {client.task for client in clients}
    assert [found for found in findings_of_index(fleet) if found.task in mine] == []
    sys.stdout.write(
        f"\nattacks: {dict(hostile.done)}; answers: {dict(hostile.answers)}; "
        f"their tasks: {len(hostile.tasks)}\n"
    )
    report(gremlin, clients, [stories[task] for task in sorted(mine)])


def wait_for_ends(hostile: HostileClient, within_s: float = 120.0) -> list[str]:
    """Return those of its tasks that reached no end in time."""
    deadline = time.monotonic() + within_s
    while (left := hostile.unfinished()) and time.monotonic() < deadline:
        time.sleep(1)
    return left


def keep_busy(fleet: Fleet, key: str, gremlin: Gremlin) -> list[StreamClient]:
    """Submit tasks, up to eight at once, until there were enough of them and enough kills."""
    clients: list[StreamClient] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(clients) < N_TASKS or gremlin.done["kill"] < N_KILLS:
        assert gremlin.is_alive()
        assert fleet.kept
        assert time.monotonic() < deadline, f"only {dict(gremlin.done)} in {DEADLINE_S} s"
        if sum(not client.finished for client in clients) < min(8, N_TASKS):
            number = len(clients)
            task = submit(fleet, key, BODY, f"task-{number}")
            clients.append(StreamClient(fleet, key, task, seed=SEED + number))
            clients[-1].start()
        time.sleep(0.2)
    return clients


def report(gremlin: Gremlin, clients: list[StreamClient], stories: list[Story]) -> None:
    times = [
        after_s
        for killed_ms, worker in gremlin.worker_kills
        for story in stories
        if (after_s := story.resumed_after_s(killed_ms, worker)) is not None
    ]
    resumed = "no worker died at work"
    if times:
        resumed = (
            f"a worker's death to its task's next byte ({len(times)} times): "
            f"median {statistics.median(times):.1f} s, max {max(times):.1f} s"
        )
    sys.stdout.write(
        f"\nfaults: {dict(gremlin.done)}; tasks: {len(clients)}; "
        f"connections: {sum(client.n_connections for client in clients)}; "
        f"records refused by the fold: {sum(story.n_refused for story in stories)}; {resumed}\n"
    )
