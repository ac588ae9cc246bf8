"""S3 in trouble again and again under uploaded videos, workers killed meanwhile: no task fails.

The environment sets its size: FRAMEWIRE_CHAOS_SEED, FRAMEWIRE_CHAOS_S3_OUTAGES (their number) and
FRAMEWIRE_CHAOS_S3_OUTAGE_S (how long the longest may last).
"""

import base64
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.clients import StreamClient, submit
from tests.chaos.evidence import (
    create_key,
    request,
    stories_of_kafka,
    undisturbed_chunks,
    wait_for_archive,
)
from tests.chaos.fleet import Fleet
from tests.chaos.kafka import ProxiedKafka
from tests.engines import S3Server
from tests.s3_faults import FAULTS
from tests.workers import CLIP, chunks_of, timeless

pytestmark = pytest.mark.chaos
SEED = int(os.environ.get("FRAMEWIRE_CHAOS_SEED", "1"))
N_OUTAGES = int(os.environ.get("FRAMEWIRE_CHAOS_S3_OUTAGES", "4"))
LONGEST_S = float(os.environ.get("FRAMEWIRE_CHAOS_S3_OUTAGE_S", "8"))
N_TASKS = 5
UPLOADED = {
    **request(),
    "input": [
        {
            "type": "video_base64",
            "data": base64.b64encode(CLIP.read_bytes()).decode(),
            "sampling": {"mode": "interval", "value": 1},
            "range": {"unit": "frames", "start": 0, "end": 60},
        }
    ],
}


@pytest.mark.timeout(600 + N_OUTAGES * (LONGEST_S + 30))
def test_no_accepted_task_fails_by_an_outage_of_s3(
    kafka: ProxiedKafka, s3_server: S3Server, tmp_path: Path
) -> None:
    fleet = Fleet(kafka, s3_server, tmp_path, n_workers=2, session_timeout_s=6)
    rng = random.Random(SEED)
    done: Counter[str] = Counter()
    clients: list[StreamClient] = []
    try:
        fleet.start()
        project, key = create_key(fleet)
        undisturbed = undisturbed_chunks(fleet, key, UPLOADED, timeout_s=300)
        for _ in range(N_OUTAGES):
            while sum(not client.finished for client in clients) < N_TASKS:
                number = len(clients)
                task = submit(fleet, key, UPLOADED, f"task-{number}")
                clients.append(StreamClient(fleet, key, task, seed=SEED + number))
                clients[-1].start()
            outage(fleet, rng, done)
            time.sleep(rng.uniform(0.2, 2.0))
        for client in clients:
            client.join(300)
        unfinished = [client.task for client in clients if not client.finished]
        assert not unfinished, f"not finished: {unfinished}"
        logs = {task: story.log for task, story in stories_of_kafka(kafka).items()}
        for client in clients:
            assert bytes(client.log) == logs[client.task]
            assert timeless(chunks_of(logs[client.task])) == timeless(undisturbed)
        wait_for_archive(s3_server, project, logs, [client.task for client in clients], 180)
    finally:
        fleet.stop()
    sys.stdout.write(
        f"\noutages: {dict(done)}; requests struck: {dict(fleet.s3_faults.done)}; "
        f"tasks: {len(clients)}, none failed\n"
    )


def outage(fleet: Fleet, rng: random.Random, done: Counter[str]) -> None:
    """Spoil S3's answers for a while; most of the time a worker dies meanwhile."""
    fault, share = rng.choice(FAULTS), rng.choice((0.5, 1.0, 1.0))
    lasts_s = rng.uniform(1.0, LONGEST_S)
    dies_after_s = rng.uniform(0, lasts_s) if rng.random() < 0.7 else None
    victim = fleet.members[f"worker-{rng.randint(1, fleet.n_workers)}"]
    fleet.s3_faults.fail(fault, share)
    done[fault] += 1
    if dies_after_s is not None:
        time.sleep(dies_after_s)
        victim.send(signal.SIGKILL)
        done["worker kills"] += 1
    time.sleep(lasts_s - (dies_after_s or 0.0))
    fleet.s3_faults.heal()
