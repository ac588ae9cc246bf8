"""S3 alone gives the same tables, and every kind of damage is found, on a real S3 and chDB."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from streamproc.clients.clickhouse import ClientFactory
from streamproc.clients.object_store import S3Objects
from streamproc.contract.framing import frame_event
from streamproc.contract.object_keys import final_key, request_key, segment_key, vectors_key
from streamproc.contract.records import Submitted, TrackVector
from streamproc.contract.store_settings import StoreSettings
from streamproc.contract.stored_request import StoredRequest as StoredByApi
from streamproc.contract.stored_request import encode_stored_request
from streamproc.contract.tables import (
    DETECTIONS,
    EMBEDDINGS,
    TABLES,
    TASKS,
    TRACKS,
    TaskRow,
)
from streamproc.errors import StoreUnavailableError
from streamproc.sinks.archive.segments import segments
from streamproc.sinks.errors import EmptyStoreError
from streamproc.sinks.index.tables import IndexTables
from streamproc.sinks.maintenance.archived_task import read_request
from streamproc.sinks.maintenance.reindex import reindex
from streamproc.sinks.maintenance.verify import Finding, verify
from tests.engines import S3Server
from tests.id_first import frame_id_first
from tests.streamproc.sinks.index.test_indexer import feed
from tests.streamproc.sinks.logs import (
    PROJECT,
    LogBuilder,
    Partition,
    submitted,
    target,
    task_id,
    unit,
)
from tests.streamproc.sinks.test_archive_races import Process

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


def contents(tables: IndexTables) -> dict[str, list[Any]]:
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


class Breaking(S3Objects):
    """S3 goes away behind so many of a kind of reading."""

    def __init__(self, settings: StoreSettings, *, after: int) -> None:
        super().__init__(settings)
        self._left = after

    def get(self, key: str) -> bytes | None:
        self._left -= 1
        if self._left < 0:
            raise StoreUnavailableError("S3 GET: S3 broke the connection off.")
        return super().get(key)


def foreign_rows(tables: IndexTables) -> TaskRow:
    """Put a task into the index that no request in S3 knows."""
    (done,) = tables.select(TASKS, [DONE])
    row: TaskRow = msgspec.structs.replace(done, task_id=task_id(9))
    tables.insert(TASKS, [row])
    return row


def test_the_tables_are_replaced_when_the_new_ones_are_whole_and_not_before(
    bucket: S3Server, store: S3Objects, tables: IndexTables
) -> None:
    before = contents(tables)
    foreign_rows(tables)
    with_foreign = contents(tables)
    breaking = Breaking(StoreSettings.from_environ(bucket.environ), after=4)
    with pytest.raises(StoreUnavailableError):
        reindex(breaking, tables, empty=True)
    breaking.close()
    assert contents(tables) == with_foreign, "half a set took the place of the old one"
    assert reindex(store, tables, empty=True).n_tasks == 3
    assert contents(tables) == before


def test_a_replaced_index_goes_on_being_written_and_is_replaced_again(
    store: S3Objects, tables: IndexTables
) -> None:
    before = contents(tables)
    reindex(store, tables, empty=True)
    row = foreign_rows(tables)
    assert tables.select(TASKS, [row.task_id]) == [row]
    reindex(store, tables, empty=True)
    assert contents(tables) == before


def test_rows_of_a_task_whose_archive_is_damaged_stay(
    bucket: S3Server,
    store: S3Objects,
    tables: IndexTables,
    connect: ClientFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are in the new set before it is exchanged: no moment is without them."""
    before, exchange = contents(tables), tables.exchange

    def check() -> None:
        successor = IndexTables(connect, suffix="_next")
        assert contents(successor) == before
        successor.close()
        exchange()

    monkeypatch.setattr(tables, "exchange", check)
    lose_final(bucket, store)
    assert list(reindex(store, tables, empty=True).damaged) == [DONE]
    assert contents(tables) == before


def test_rows_that_the_index_has_and_s3_not_yet_stay(store: S3Objects, tables: IndexTables) -> None:
    (row,) = tables.select(TASKS, [RUNNING])
    (track, *_) = tables.select(TRACKS, [RUNNING])
    ahead = msgspec.structs.replace(row, log_length=row.log_length + 99, rev=row.rev + 1)
    tables.insert(TASKS, [ahead])
    tables.insert(TRACKS, [msgspec.structs.replace(track, track_id=77)])
    before = contents(tables)
    reindex(store, tables, empty=True)
    assert contents(tables) == before


class Meanwhile(S3Objects):
    """While it is read, an index role writes to the tables that it knows."""

    def __init__(self, settings: StoreSettings, write: Callable[[], object]) -> None:
        super().__init__(settings)
        self._write = write

    def get(self, key: str) -> bytes | None:
        self._write()
        return super().get(key)


@pytest.mark.parametrize("when", ["while S3 is read", "just before the exchange"])
def test_what_a_running_index_writes_meanwhile_stays(
    bucket: S3Server,
    store: S3Objects,
    tables: IndexTables,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    """A task is submitted, and its first rows are indexed, behind the place that is being read."""
    late = submitted(task_id(5))
    row = msgspec.structs.replace(tables.select(TASKS, [DONE])[0], task_id=late.task)

    def write() -> None:
        if store.head(request_key(late.project, late.task)) is None:
            put_request(store, late)
            tables.insert(TASKS, [row])

    settings = StoreSettings.from_environ(bucket.environ)
    if when == "while S3 is read":
        reading: S3Objects = Meanwhile(settings, write)
    else:
        reading, exchange = S3Objects(settings), tables.exchange

        def write_and_exchange() -> None:
            write()
            exchange()

        monkeypatch.setattr(tables, "exchange", write_and_exchange)
    reindex(reading, tables, empty=True)
    reading.close()
    assert tables.select(TASKS, [late.task]) == [row]


@pytest.mark.parametrize("empty", [True, False])
def test_a_store_without_a_task_under_an_index_with_some_is_an_error(
    new_bucket: Callable[[], S3Server], tables: IndexTables, *, empty: bool
) -> None:
    other = S3Objects(StoreSettings.from_environ(new_bucket().environ))
    before = contents(tables)
    with pytest.raises(EmptyStoreError, match=r"the index has 3.*--yes"):
        reindex(other, tables, empty=empty)
    with pytest.raises(EmptyStoreError):
        list(verify(other, tables))
    assert contents(tables) == before
    assert list(verify(other, tables, sure=True)) == []
    assert reindex(other, tables, empty=empty, sure=True).n_tasks == 0
    assert (contents(tables) == before) is not empty
    if empty:
        assert reindex(other, tables).n_tasks == 0, "both are empty: nothing to be sure of"
    other.close()
