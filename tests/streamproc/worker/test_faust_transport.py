"""Faust's consumer really waits, forgets and looks as we want it: all places are Faust's own.

In a process of its own, since a Faust application that never runs leaves open loops behind.
"""

import subprocess
import sys

import pytest

_COMPARE = """
import asyncio, faust
from types import SimpleNamespace
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import TopicPartition
from faust.types import TP
from streamproc.worker.faust_transport import transport_of

PLACE = TP("tasks", 0)

async def ignore(_): ...

def consumer_of(app):
    return app.transport.create_consumer(
        ignore, on_partitions_revoked=ignore, on_partitions_assigned=ignore
    )

async def main(seen):
    app = faust.App("compared", broker="kafka://127.0.0.1:1", store="memory://")
    before = await seen(app)
    app.transport = transport_of(app)
    print(before, await seen(app))
"""
"""Prints what `seen` returns with Faust's own transport, and with ours."""

_WAIT = """
async def wait_ms(app):
    thread = consumer_of(app)._new_consumer_thread()
    return thread._create_worker_consumer(app.transport)._fetch_max_wait_ms

asyncio.run(main(wait_ms))
"""


@pytest.mark.usefixtures("processes")
def test_the_consumer_waits_less_at_the_broker_than_fausts_own() -> None:
    assert said_by(_WAIT) == ["1500", "300"]


_COMMIT = """
async def refuse(_): return False

async def noted(app):
    consumer = consumer_of(app)
    consumer.assignment = lambda: {PLACE}
    consumer._commit = refuse
    assert not await consumer._commit_offsets({PLACE: 7}, False)
    return consumer._committed_offset[PLACE]

asyncio.run(main(noted))
"""


@pytest.mark.usefixtures("processes")
def test_a_commit_that_was_refused_is_not_noted_as_done() -> None:
    assert said_by(_COMMIT) == ["7", "None"]


_LOOK = """
async def look(app):
    thread = consumer_of(app)._new_consumer_thread()
    assigned = SubscriptionState()
    assigned.assign_from_user([TopicPartition(*PLACE)])
    thread._consumer = SimpleNamespace(_fetcher=SimpleNamespace(_subscriptions=assigned))
    thread._verify_aiokafka_event_path = lambda now, place: False
    thread.time_started = 0.0
    try:
        thread.verify_event_path(1.0, PLACE)
    except AssertionError:
        return "ended"
    return "went-on"

asyncio.run(main(look))
"""


@pytest.mark.usefixtures("processes")
def test_a_partition_that_has_no_position_yet_does_not_end_the_worker() -> None:
    assert said_by(_LOOK) == ["ended", "went-on"]


def said_by(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _COMPARE + script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split()
