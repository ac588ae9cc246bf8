"""S3 alone gives the same tables, and every kind of damage is found, on a real S3 and chDB."""

import json
from collections.abc import Callable, Iterator

import msgspec
import pytest

from api.contract.stored import StoredRequest as StoredByApi
from api.contract.stored import encode_stored_request
from streamproc.contract.framing import frame_event
from streamproc.contract.objects import final_key, request_key, segment_key, vectors_key
from streamproc.contract.records import Submitted, TrackVector
from streamproc.contract.tables import DETECTIONS, EMBEDDINGS, TABLES, TASKS, TRACKS
from streamproc.sinks.archive_actions import segments
from streamproc.sinks.archived import read_request
from streamproc.sinks.clickhouse import IndexTables
from streamproc.sinks.objects import S3Objects
from streamproc.sinks.reindex import reindex
from streamproc.sinks.settings import StoreSettings
from streamproc.sinks.verify import Finding, verify
from tests.engines import S3Server
from tests.id_first import frame_id_first

from .logs import PROJECT, LogBuilder, Partition, submitted, target, task_id, unit
from .test_archive_races import Process
from .test_index import feed

DONE, RUNNING, PENDING = task_id(1), task_id(2), task_id(3)


@pytest.fixture
def bucket(new_bucket: Callable[[], S3Server]) -> S3Server:
    return new_bucket()


@pytest.fixture
def store(bucket: S3Server) -> Iterator[S3Objects]:
    objects = S3Objects(StoreSettings.from_environ(bucket.environ))
    yield objects
    objects.close()


@pytest.fixture
def tables(tables: IndexTables, store: S3Objects) -> IndexTables:
    """The index of three tasks, which the archiver has carried to S3 as well."""
    partition, submissions = Partition(), [submitted(t) for t in (DONE, RUNNING, PENDING)]
    for log in (LogBuilder(DONE), LogBuilder(RUNNING)):
        partition.write(log.claim())
        log.frame_event = frame_id_first
        for n in range(4):
            if n == 2:  # a worker of an earlier version wrote what is before
                log.frame_event = frame_event
            partition.write(
                log.chunk(
                    target(1, confidence=0.5 + n / 10, text=f"T{n}", text_confidence=0.9),
                    target(2 + n),
                    vectors=[TrackVector(1, 0.5 + n / 10, unit(1, n))],
                )
            )
        if log.task == DONE:
            partition.write(log.terminal())
    process = Process(partition, 0, store)
    for _ in partition.records[:4]:
        process.read(0.0)
    process.finish(0.0)
    for one in submissions:
        put_request(store, one)
    feed(tables, partition, submissions)
    return tables


def put_request(store: S3Objects, one: Submitted) -> None:
    request = StoredByApi(
        task=one.task,
        project=one.project,
        partition=one.partition,
        created_ms=one.created_ms,
        point=one.point,
        body={"input": []},
        body_sha256="0" * 64,
        spec=one.spec,
    )
    body = encode_stored_request(request)
    assert store.put_if_absent(request_key(one.project, one.task), body, {})


def contents(tables: IndexTables) -> dict[str, list]:
    found = {table: tables.select(table) for table in TABLES}
    found[DETECTIONS] = [msgspec.structs.replace(row, epoch=0) for row in found[DETECTIONS]]
    return found


@pytest.mark.parametrize("empty", [True, False])
def test_s3_alone_gives_the_same_tables(
    store: S3Objects, tables: IndexTables, *, empty: bool
) -> None:
    before = contents(tables)
    assert [row.status for row in before[TASKS]] == ["succeeded", "running", "pending"]
    for _ in range(2):
        result = reindex(store, tables, empty=empty)
        assert (result.n_tasks, result.damaged) == (3, {})
        assert contents(tables) == before


def test_one_task_can_be_reindexed(store: S3Objects, tables: IndexTables) -> None:
    tables.truncate()
    assert reindex(store, tables, only=[DONE]).n_tasks == 1
    assert [row.task_id for row in tables.select(TASKS)] == [DONE]


def test_a_whole_archive_has_no_findings(store: S3Objects, tables: IndexTables) -> None:
    assert list(verify(store, tables)) == []


def test_a_request_that_was_refused_while_kafka_was_away_is_no_finding(
    store: S3Objects, tables: IndexTables
) -> None:
    put_request(store, submitted(task_id(4)))
    assert list(verify(store, tables)) == []


def overwrite(bucket: S3Server, key: str, body: bytes, metadata: dict[str, str]) -> None:
    bucket.client().put_object(Bucket=bucket.bucket, Key=key, Body=body, Metadata=metadata)


def first_segment(store: S3Objects) -> tuple[str, bytes, dict[str, str]]:
    key, _, _ = next(iter(segments(store, PROJECT, DONE)))
    head = store.head(key)
    assert head is not None
    return key, store.get(key) or b"", dict(head.metadata)


def change_a_letter(bucket: S3Server, store: S3Objects) -> None:
    key, body, metadata = first_segment(store)
    overwrite(bucket, key, body.replace(b"pedestrian", b"pedestriaN", 1), metadata)


def cut_a_segment(bucket: S3Server, store: S3Objects) -> None:
    key, body, metadata = first_segment(store)
    overwrite(bucket, key, body[:-10], metadata)


def lose_a_segment(bucket: S3Server, store: S3Objects) -> None:
    bucket.client().delete_object(Bucket=bucket.bucket, Key=segment_key(PROJECT, DONE, 0))


def lose_final(bucket: S3Server, store: S3Objects) -> None:
    bucket.client().delete_object(Bucket=bucket.bucket, Key=final_key(PROJECT, DONE))


def change_final(bucket: S3Server, store: S3Objects) -> None:
    said = json.loads(store.get(final_key(PROJECT, DONE)) or b"")
    overwrite(bucket, final_key(PROJECT, DONE), json.dumps(said | {"length": 1}).encode(), {})


def break_vectors(bucket: S3Server, store: S3Objects) -> None:
    overwrite(bucket, vectors_key(PROJECT, DONE, 0), b"\xff\xff", {"end": "1"})


def break_metadata(bucket: S3Server, store: S3Objects) -> None:
    key, body, metadata = first_segment(store)
    overwrite(bucket, key, body, metadata | {"epoch": "x"})


def break_request(bucket: S3Server, store: S3Objects) -> None:
    overwrite(bucket, request_key(PROJECT, DONE), b"{}", {})


@pytest.mark.parametrize(
    "damage",
    [
        change_a_letter,
        cut_a_segment,
        lose_a_segment,
        lose_final,
        change_final,
        break_vectors,
        break_metadata,
        break_request,
    ],
)
def test_damage_in_s3_is_found_and_leaves_the_others_alone(
    bucket: S3Server,
    store: S3Objects,
    tables: IndexTables,
    damage: Callable[[S3Server, S3Objects], None],
) -> None:
    damage(bucket, store)
    (finding,) = verify(store, tables)
    assert (finding.task, finding.where) == (DONE, "archive")
    result = reindex(store, tables)
    assert (result.n_tasks, list(result.damaged)) == (2, [DONE])


@pytest.mark.parametrize("table", [TASKS, TRACKS, DETECTIONS, EMBEDDINGS])
def test_rows_that_are_missing_are_found(store: S3Objects, tables: IndexTables, table: str) -> None:
    rows = contents(tables)
    tables.truncate()
    for name, found in rows.items():
        kept = [row for row in found if row.task_id != DONE] if name == table else found
        tables.insert(name, kept, salt="again")
    (finding,) = verify(store, tables)
    assert isinstance(finding, Finding)
    assert (finding.task, finding.where) == (DONE, table)


def test_the_apis_request_is_what_the_sinks_read(store: S3Objects) -> None:
    put_request(store, submitted(DONE))
    assert read_request(store, PROJECT, DONE).submitted() == submitted(DONE)
