"""A project's limits: what is refused, when it is let in again, and what the answer says."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import TooLargeError
from api.kafka.global_table import GlobalTable, project_key
from api.log.open_tasks import SILENT_S, OpenTasks
from api.quotas import Bucket, LimitReachedError, Quotas
from api.settings import Settings
from streamproc.contract.records import ChunkRecord, Kind, Project, ProjectLimits
from streamproc.contract.topics import PROJECTS


class Desk:
    """Quotas with a clock and an index of their own."""

    def __init__(self, stored: int = 0, **limits: Any) -> None:
        self.now_s = 1_000_000.0
        self.n_asked = 0
        self.directory = GlobalTable()
        settings = Settings(kafka="k", clickhouse="chdb:///c", **limits)

        async def stored_bytes(project: str) -> int:
            self.n_asked += 1
            return stored

        self.open_tasks = OpenTasks(lambda: self.now_s)
        self.quotas = Quotas(
            settings, self.directory, stored_bytes, self.open_tasks.count, lambda: self.now_s
        )

    def admit(self, project: str = "p") -> dict[str, str]:
        return asyncio.run(self.quotas.admit(project))

    def refused(self, project: str = "p") -> LimitReachedError:
        with pytest.raises(LimitReachedError) as caught:
            self.admit(project)
        return caught.value

    def set_limits(self, project: str, **limits: Any) -> None:
        record = Project(project, project, 1, ProjectLimits(**limits))
        self.directory.apply(PROJECTS, project_key(project), msgspec.msgpack.encode(record))


@given(
    st.integers(1, 50),
    st.floats(1, 100),
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 5)), max_size=60),
)
def test_a_bucket_never_gives_more_than_its_size_and_what_time_has_filled(
    size: int, period_s: float, asks: list[tuple[float, int]]
) -> None:
    bucket = Bucket(size, period_s, float(size), 0.0)
    now_s, given_out = 0.0, 0
    for pause_s, amount in asks:
        now_s += pause_s
        wait_s = bucket.take(now_s, amount)
        if wait_s == 0:
            given_out += amount
        elif amount <= size:
            assert (
                Bucket(size, period_s, bucket.tokens, now_s).take(now_s + wait_s + 1e-6, amount)
                == 0
            )
        assert given_out <= size + now_s * size / period_s + 1e-6


def test_submissions_beyond_the_rate_are_refused_until_they_may_be_tried_again() -> None:
    desk = Desk(submissions_per_minute=3)
    headers = [desk.admit() for _ in range(3)][-1]
    assert headers["RateLimit-Limit"] == "3"
    assert headers["RateLimit-Remaining"] == "0"
    assert headers["RateLimit-Policy"] == "3;w=60"
    error = desk.refused()
    assert error.status == 429
    assert error.body()["limit"] == "submissions_per_minute"
    assert error.headers["RateLimit-Remaining"] == "0"
    assert desk.admit("other")
    desk.now_s += int(error.headers["Retry-After"])
    assert desk.admit()


def test_a_projects_own_limit_counts_before_the_setting_and_zero_is_none() -> None:
    desk = Desk(submissions_per_minute=1)
    desk.set_limits("p", submissions_per_minute=2)
    desk.set_limits("free", submissions_per_minute=0)
    for _ in range(2):
        desk.admit()
    assert "limit submissions_per_minute: 2" in desk.refused().detail
    assert [desk.admit("free") for _ in range(50)] == [{}] * 50


@pytest.mark.parametrize("limit", [2**53 - 1, 2**53, 2**64 - 1])
def test_a_recorded_limit_that_is_larger_than_any_lets_in(limit: int) -> None:
    desk = Desk()
    desk.set_limits("p", submissions_per_minute=limit, upload_bytes_per_day=limit)
    assert desk.admit()["RateLimit-Limit"] == str(2**53 - 1)
    desk.quotas.admit_upload("p", 1 << 30)


def test_a_limit_of_the_settings_has_no_size_that_breaks_it() -> None:
    assert Desk(submissions_per_minute=10**400).admit()


def test_stored_bytes_are_asked_for_now_and_then_and_only_when_they_are_limited() -> None:
    free = Desk(stored=10)
    free.admit()
    assert free.n_asked == 0
    desk = Desk(stored=10, stored_bytes=10)
    for _ in range(5):
        assert desk.refused().body()["limit"] == "stored_bytes"
    assert desk.n_asked == 1


def test_uploads_are_counted_by_the_day() -> None:
    desk = Desk(upload_bytes_per_day=1000)
    desk.quotas.admit_upload("p", 900)
    with pytest.raises(LimitReachedError) as caught:
        desk.quotas.admit_upload("p", 200)
    desk.quotas.admit_upload("p", 0)
    desk.quotas.admit_upload("other", 900)
    desk.now_s += int(caught.value.headers["Retry-After"])
    desk.quotas.admit_upload("p", 200)


def test_a_video_larger_than_a_days_uploads_is_too_large_and_not_too_early() -> None:
    desk = Desk(upload_bytes_per_day=1000)
    with pytest.raises(TooLargeError) as caught:
        desk.quotas.admit_upload("p", 1001)
    assert caught.value.body()["limit"] == "upload_bytes_per_day"
    assert "Retry-After" not in caught.value.headers
    desk.quotas.admit_upload("p", 1000)


def test_streams_are_counted_while_they_are_open() -> None:
    desk = Desk(open_streams=2)
    first, _ = desk.quotas.enter_stream("p"), desk.quotas.enter_stream("p")
    with pytest.raises(LimitReachedError) as caught:
        desk.quotas.enter_stream("p")
    assert caught.value.body()["limit"] == "open_streams"
    desk.quotas.enter_stream("other")
    first()
    desk.quotas.enter_stream("p")


def test_a_project_from_before_limits_has_none_of_its_own() -> None:
    directory = GlobalTable()
    old = {"id": "p", "name": "p", "created_ms": 1}
    directory.apply(PROJECTS, project_key("p"), msgspec.msgpack.encode(old))
    assert directory.projects["p"].limits == ProjectLimits()


def record(task: str, kind: Kind = "chunk", project: str = "p") -> ChunkRecord:
    return ChunkRecord(
        task=task, project=project, kind=kind, epoch=0, seq=0, off=0, frame=0, pts=0, value=b""
    )


def test_a_project_has_no_more_open_tasks_than_its_limit() -> None:
    desk = Desk(open_tasks=2)
    for task in ("t1", "t2"):
        with desk.quotas.entering_task("p"):
            desk.open_tasks.accepted("p", task)
    error = desk.refused()
    assert error.body()["limit"] == "open_tasks"
    assert int(error.headers["Retry-After"]) > 0
    with pytest.raises(LimitReachedError), desk.quotas.entering_task("p"):
        pass
    desk.admit("other")
    desk.open_tasks.read([record("t1", "terminal")])
    desk.admit()
    desk.set_limits("p", open_tasks=1)
    desk.refused()
    desk.set_limits("p", open_tasks=0)
    desk.admit()


def test_tasks_that_are_on_their_way_to_kafka_count() -> None:
    desk = Desk(open_tasks=2)
    with desk.quotas.entering_task("p"), desk.quotas.entering_task("p"):
        desk.refused()
        with desk.quotas.entering_task("other"):
            pass
    desk.admit()


def test_a_task_counts_from_its_first_record_to_its_terminal_once() -> None:
    desk = Desk()
    desk.open_tasks.read([record("t1", "claim"), record("t1"), record("t2"), record("t1")])
    assert desk.open_tasks.count("p") == 2
    desk.open_tasks.read([record("t1", "terminal"), record("t1"), record("t1", "claim")])
    desk.open_tasks.accepted("p", "t1")
    assert desk.open_tasks.count("p") == 1  # what an overtaken worker says counts for nothing
    desk.now_s += SILENT_S - 1
    desk.open_tasks.read([record("t3")])
    desk.now_s += 2
    assert desk.open_tasks.count("p") == 1


@pytest.mark.parametrize(("own", "weight"), [(None, 1), (0, 1), (7, 7), (10**12, 1000)])
def test_a_projects_weight_is_its_own_or_one(own: int | None, weight: int) -> None:
    desk = Desk()
    desk.set_limits("p", weight=own)
    assert desk.quotas.weight("p") == weight
    assert desk.quotas.weight("nobody") == 1
