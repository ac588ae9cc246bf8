"""Samples of consumer lag: one row per group and topic in ten seconds."""

from datetime import UTC, datetime

from streamproc.clients.consumer_lag import ConsumerLag
from streamproc.contract.lag_history import COLUMNS
from streamproc.sinks.index.lag_history import MAX_WAITING, LagHistory, rows

AT_S = 1_767_225_600


def lag(group: str, partition: int, messages: int, committed: int | None = 5) -> ConsumerLag:
    return ConsumerLag(group, "video.chunks", partition, 0, (committed or 0) + messages, committed)


def test_a_row_has_the_lag_of_all_partitions() -> None:
    found = rows([lag("archive", 0, 3), lag("index", 0, 0), lag("archive", 1, 4)], AT_S)
    at = datetime.fromtimestamp(AT_S, UTC)
    assert [dict(zip(COLUMNS, row, strict=True)) for row in found] == [
        {"at": at, "consumer_group": "archive", "topic": "video.chunks", "lag": 7},
        {"at": at, "consumer_group": "index", "topic": "video.chunks", "lag": 0},
    ]


def test_a_partition_that_was_never_committed_counts_whole_once_its_group_has_begun() -> None:
    assert [row[3] for row in rows([lag("a", 0, 3), lag("a", 1, 4, None)], AT_S)] == [7]
    assert rows([lag("a", 0, 3, None), lag("a", 1, 4, None)], AT_S) == []
    assert rows([], AT_S) == []


def test_the_newest_samples_wait_for_clickhouse() -> None:
    def connect() -> None:
        raise ConnectionRefusedError

    history = LagHistory(lambda: [lag("a", 0, 3)], connect)
    for n in range(MAX_WAITING + 5):
        history.sample(AT_S + 10 * n + 9.9)
    assert len(history._waiting) == MAX_WAITING
    assert history._waiting[-1][0] == datetime.fromtimestamp(AT_S + 10 * (MAX_WAITING + 4), UTC)
