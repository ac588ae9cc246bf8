"""S3 goes away before a worker opens an uploaded video, and under one that dies: no task fails."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from streamproc.contract import env
from streamproc.contract.task_spec import Sampling, SourceRef
from tests.brokers import KafkaNode
from tests.engines import S3Server
from tests.s3_faults import faulty
from tests.workers import CLIP, cancel, chunks_of, make_spec, submit, timeless, workers

KEY = "p/uploaded/input"
SLOW = "tests.e2e.slow_device"
"""Nobody is through with a task of 20 frames before the test is."""
WAITS = "a task waits for the object store"


def until(holds: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.05)


def test_uploaded_videos_wait_for_s3_whoever_dies_and_nobody_waits_with_them(
    kafka: KafkaNode, s3_server: S3Server, tmp_path: Path
) -> None:
    s3_server.client().put_object(Bucket=s3_server.bucket, Key=KEY, Body=CLIP.read_bytes())
    from_file = make_spec(CLIP.as_uri(), sampling=Sampling("interval", 5), max_frames=20)
    uploaded = msgspec.structs.replace(from_file, source=SourceRef(object_key=KEY))
    with faulty(s3_server.endpoint) as proxy:
        environ = {**s3_server.environ, env.S3_ENDPOINT: proxy.endpoint, env.SLOTS: "1"}
        settings = {**environ, env.OPENINGS: "1", env.PROJECT_OPENINGS: "1"}
        with workers(kafka, tmp_path, "one", "two", module=SLOW, **settings) as pair:
            by_name = {worker.name: worker for worker in pair}
            undisturbed = chunks_of(submit(kafka, from_file).follow())
            running = submit(kafka, uploaded)
            running.follow(until_length=1)
            dead = by_name.pop(running.claims[-1][1].worker)
            dead.send(signal.SIGSTOP)  # however fast it is, its task is not done when it dies
            proxy.fail("503")
            waiting = [submit(kafka, uploaded, partition=n) for n in range(2)]
            given_up = submit(kafka, uploaded)
            dead.send(signal.SIGKILL)
            (alive,) = by_name.values()
            tasks = [tail.submitted.task for tail in (running, *waiting, given_up)]

            def all_wait() -> bool:
                lines = [line for line in alive.log.read_text().splitlines() if WAITS in line]
                return all(any(task in line for line in lines) for task in tasks)

            until(all_wait, "not every task waits")

            # The one slot and the one place of those who open are free all the while.
            assert timeless(chunks_of(submit(kafka, from_file).follow())) == timeless(undisturbed)
            cancel(kafka, given_up.submitted.task)
            (terminal,) = chunks_of(given_up.follow(timeout_s=20))
            assert terminal.finish_reason == "cancelled"
            assert not any(tail.claims for tail in waiting)

            proxy.heal()
            for tail in (running, *waiting):
                assert timeless(chunks_of(tail.follow())) == timeless(undisturbed)
                tail.close()
