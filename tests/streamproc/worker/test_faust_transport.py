"""Faust's consumer really waits and forgets as we want it: both places are Faust's own.

In a process of its own, since a Faust application that never runs leaves open loops behind.
"""

import subprocess
import sys

import pytest

_WAIT = """
import asyncio, faust
from streamproc.worker.faust_transport import transport_of

async def ignore(_): ...

def wait_ms(app):
    consumer = app.transport.create_consumer(
        ignore, on_partitions_revoked=ignore, on_partitions_assigned=ignore
    )
    thread = consumer._new_consumer_thread()
    return thread._create_worker_consumer(app.transport)._fetch_max_wait_ms

async def main():
    app = faust.App("waits", broker="kafka://127.0.0.1:1", store="memory://")
    before = wait_ms(app)
    app.transport = transport_of(app)
    print(before, wait_ms(app))

asyncio.run(main())
"""


@pytest.mark.usefixtures("processes")
def test_the_consumer_waits_less_at_the_broker_than_fausts_own() -> None:
    assert said_by(_WAIT) == ["1500", "300"]


_COMMIT = """
import asyncio, faust
from faust.types import TP
from streamproc.worker.faust_transport import transport_of

PLACE = TP("tasks", 0)

async def ignore(_): ...
async def refuse(_): return False

async def noted(app):
    consumer = app.transport.create_consumer(
        ignore, on_partitions_revoked=ignore, on_partitions_assigned=ignore
    )
    consumer.assignment = lambda: {PLACE}
    consumer._commit = refuse
    assert not await consumer._commit_offsets({PLACE: 7}, False)
    return consumer._committed_offset[PLACE]

async def main():
    app = faust.App("commits", broker="kafka://127.0.0.1:1", store="memory://")
    before = await noted(app)
    app.transport = transport_of(app)
    print(before, await noted(app))

asyncio.run(main())
"""


@pytest.mark.usefixtures("processes")
def test_a_commit_that_was_refused_is_not_noted_as_done() -> None:
    assert said_by(_COMMIT) == ["7", "None"]


_LOOK = """
import asyncio, faust
from types import SimpleNamespace
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import TopicPartition
from faust.types import TP
from streamproc.worker.faust_transport import transport_of

async def ignore(_): ...

def look(app):
    consumer = app.transport.create_consumer(
        ignore, on_partitions_revoked=ignore, on_partitions_assigned=ignore
    )
    thread = consumer._new_consumer_thread()
    assigned = SubscriptionState()
    assigned.assign_from_user([TopicPartition("tasks", 0)])
    fetcher = SimpleNamespace(_subscriptions=assigned)
    thread._consumer = SimpleNamespace(_fetcher=fetcher)
    thread._verify_aiokafka_event_path = lambda now, place: False
    thread.time_started = 0.0
    try:
        thread.verify_event_path(1.0, TP("tasks", 0))
    except AssertionError:
        return "ended"
    return "went-on"

async def main():
    app = faust.App("looks", broker="kafka://127.0.0.1:1", store="memory://")
    before = look(app)
    app.transport = transport_of(app)
    print(before, look(app))

asyncio.run(main())
"""


@pytest.mark.usefixtures("processes")
def test_a_partition_that_has_no_position_yet_does_not_end_the_worker() -> None:
    assert said_by(_LOOK) == ["ended", "went-on"]


def said_by(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()
