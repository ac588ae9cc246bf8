"""Faust's consumer really is made with our wait: the place where it is set is Faust's own.

In a process of its own, since a Faust application that never runs leaves open loops behind.
"""

import subprocess
import sys

_SCRIPT = """
import asyncio, faust
from streamproc.faust_transport import transport_of

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


def test_the_consumer_waits_less_at_the_broker_than_fausts_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["1500", "300"]
