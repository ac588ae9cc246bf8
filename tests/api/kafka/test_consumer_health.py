"""What is said of the roles' reading, by heartbeats and by commits."""

import msgspec
import pytest

from api.contract.system import PartResource
from api.kafka.consumer_health import consumer_resource, letter_resources, role_parts
from api.kafka.global_table import GlobalTable
from api.metrics import Metrics
from streamproc.contract import topics
from streamproc.contract.records import CONSUMER_KEY, ConsumerBeat, DeadLetter, WorkerBeat

NOW_MS = 1_800_000_000_000


def beat(**fields: object) -> ConsumerBeat:
    plain = ConsumerBeat("index", "h", 1, NOW_MS - 9000, NOW_MS - 1000, (0, 1, 2))
    return msgspec.structs.replace(plain, **fields)


def index_part(*beats: ConsumerBeat, stalled: tuple[tuple[str, int], ...] = ()) -> PartResource:
    return next(p for p in role_parts((), beats, stalled, NOW_MS) if p.name == "index")


def test_a_role_that_stands_still_is_named_with_its_partitions() -> None:
    found = index_part(beat(standing=(0, 2)))
    assert (found.ready, found.detail) == (False, "Stands still in partitions 0, 2.")


def test_a_process_tells_its_cpu_and_memory_unless_it_is_of_an_older_version() -> None:
    found = consumer_resource(beat(cpu_percent=12.5, rss_bytes=7), NOW_MS)
    assert (found.cpu_percent, found.rss_bytes) == (12.5, 7)
    older = consumer_resource(beat(), NOW_MS)
    assert (older.cpu_percent, older.rss_bytes) == (None, None)


def test_a_commit_that_does_not_move_is_no_fault_of_a_role_that_reads_on() -> None:
    """It waits for a claim that nothing has followed, for one."""
    assert index_part(beat(), stalled=((topics.INDEX_GROUP, 1),)).ready


def test_partitions_that_nobody_has_are_named() -> None:
    stalled = ((topics.INDEX_GROUP, 1), (topics.INDEX_GROUP, 7), (topics.ARCHIVE_GROUP, 2))
    assert index_part(beat(), stalled=stalled).detail == "No process reads partition 7."
    gone = beat(beat_ms=NOW_MS - 60_000)
    assert index_part(gone, stalled=stalled).detail == "No process reads partitions 1, 7."


def test_a_role_that_waits_for_its_store_is_ready_and_says_so() -> None:
    found = index_part(beat(waiting_for="clickhouse"))
    assert (found.ready, found.detail) == (True, "Waits for clickhouse.")


def test_tasks_that_wait_for_s3_are_counted_and_told() -> None:
    workers = [
        WorkerBeat(f"w{n}", "h", n, NOW_MS - 9000, NOW_MS - 1000, "CPU", "f32", (), 4, 0, 0.0, 0)
        for n in range(2)
    ]
    waiting = [msgspec.structs.replace(one, waiting_for_store=2) for one in workers]
    part = next(p for p in role_parts(waiting, (), (), NOW_MS) if p.name == "worker")
    assert (part.ready, part.detail) == (True, "4 tasks wait for the object store.")
    metrics = Metrics()
    metrics.set_workers(waiting)
    assert b"framewire_tasks_waiting_for_store 4.0" in metrics.render()
    cameras = [msgspec.structs.replace(one, live_slots=8, live_busy=3) for one in workers]
    metrics.set_workers(cameras)
    assert b"framewire_live_slots 16.0\n" in metrics.render()
    assert b"framewire_live_busy 6.0\n" in metrics.render()
    metrics.set_workers(workers)
    assert b"framewire_tasks_waiting_for_store 0.0" in metrics.render()


def test_workers_whose_device_is_faulty_are_counted_and_named() -> None:
    right, wrong, gone = (
        WorkerBeat(f"w{n}", "h", n, 0, NOW_MS - age_ms, "GPU", "f16", (), 4, 0, 0.0, 0)
        for n, age_ms in enumerate((1000, 1000, 60_000))
    )
    fault = "GPU: nanodet-g@1.1.0/network gives values that are not finite"
    wrong, gone = (msgspec.structs.replace(one, device_fault=fault) for one in (wrong, gone))
    part = next(p for p in role_parts([right, wrong, gone], (), (), NOW_MS) if p.name == "worker")
    assert (part.ready, part.detail) == (True, f"w1 takes no tasks: {fault}.")
    metrics = Metrics()
    metrics.set_workers(iter([right, wrong]))
    assert b"framewire_worker_device_faults 1.0" in metrics.render()
    metrics.set_workers([right])
    assert b"framewire_worker_device_faults 0.0" in metrics.render()


def letter(position: int, project: str = "p", task: str = "vt_1") -> DeadLetter:
    return DeadLetter(
        task, project, "bad_record", "why", NOW_MS, "index", topics.CHUNKS, 3, position
    )


def test_letters_are_counted_once_for_each_place_and_shown_to_whom_they_belong() -> None:
    directory = GlobalTable()
    for one in (letter(1), letter(2), letter(1), letter(5, project="q"), letter(9, "", "")):
        directory.apply(topics.DLQ, one.task, msgspec.msgpack.encode(one))
    assert directory.n_letters() == {("index", "bad_record"): 4}
    shown = letter_resources(directory.letters(), "p")
    assert [found.offset for found in shown] == [2, 1]
    assert [found.offset for found in letter_resources(directory.letters(), None)] == [9, 5, 2, 1]


def test_a_letter_of_an_older_version_is_read() -> None:
    directory = GlobalTable()
    old = {"task": "t", "project": "p", "code": "worker_crash", "message": "m", "dead_ms": 1}
    directory.apply(topics.DLQ, "t", msgspec.msgpack.encode(old))
    assert directory.n_letters() == {("worker", "worker_crash"): 1}


def test_heartbeats_of_roles_are_no_workers() -> None:
    directory = GlobalTable()
    key = f"{CONSUMER_KEY}index/h-1"
    directory.apply(topics.WORKERS, key, msgspec.msgpack.encode(beat()))
    assert directory.workers(NOW_MS) == []
    assert directory.consumers(NOW_MS) == [beat()]
    directory.apply(topics.WORKERS, key, None)
    assert directory.consumers(NOW_MS) == []


@pytest.mark.parametrize("value", [b"\xc1", b"\x91" * 60_000, b"\x81\xa4role\xa2\xff\xfe", b"\x80"])
@pytest.mark.parametrize("topic", [topics.DLQ, topics.WORKERS, topics.CONTROL, topics.PROJECTS])
def test_junk_is_one_kind_of_error(topic: str, value: bytes) -> None:
    key = "project/x" if topic == topics.PROJECTS else "consumer/x"
    with pytest.raises(msgspec.DecodeError):
        GlobalTable().apply(topic, key, value)
