"""What a table refuses is found by halves; an absent table is another matter."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.exceptions import OperationalError
from hypothesis import given
from hypothesis import strategies as st

from streamproc.clients.clickhouse import ClientFactory
from streamproc.contract.tables import TASKS, TaskRow
from streamproc.sinks.errors import RowsRefusedError, TablesUnavailableError
from streamproc.sinks.index.row_isolation import insert_isolating
from streamproc.sinks.index.tables import IndexTables
from streamproc.sinks.index.task import IndexedTask
from tests.streamproc.sinks.logs import PROJECT, task_id


class Table:
    """Takes all rows or none: none that is in `bad`."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.rows, self.n_tries = bad, list[int](), 0

    def insert(self, rows: Sequence[int]) -> None:
        self.n_tries += 1
        if self.bad & {*rows}:
            raise RowsRefusedError("bad")
        self.rows += rows


@given(st.integers(0, 200).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, 200)))))
def test_the_bad_rows_come_back_and_the_others_are_in(case: tuple[int, set[int]]) -> None:
    n_rows, bad = case
    table = Table(bad)
    refused = insert_isolating(list(range(n_rows)), table.insert) if n_rows else []
    assert [found.row for found in refused] == sorted(bad & {*range(n_rows)})
    assert table.rows == [row for row in range(n_rows) if row not in bad]


def test_a_batch_full_of_bad_rows_ends_after_so_many_tries() -> None:
    table = Table({*range(10_000)})
    assert len(insert_isolating(range(10_000), table.insert, 50)) == 10_000
    assert table.n_tries < 500


def test_a_table_that_is_away_is_no_bad_row() -> None:
    def away(_: Sequence[int]) -> None:
        raise TablesUnavailableError("away")

    with pytest.raises(TablesUnavailableError):
        insert_isolating([1, 2], away)


def row(n: int, **fields: Any) -> TaskRow:
    return msgspec.structs.replace(IndexedTask(PROJECT, task_id(n)).row, **fields)


@pytest.mark.parametrize(
    "bad",
    [
        {"total_frames": -10},
        {"total_frames": 10**20},
        {"log_length": -1},
        {"last_frame": 2**63},
        {"month": 2**32},
        {"error_message": "\ud800"},
        {"steps": None},
        {"model": 5},
    ],
)
def test_a_row_that_cannot_be_encoded_is_left_out_of_its_batch(
    tables: IndexTables, bad: dict[str, Any]
) -> None:
    rows = [row(n) for n in range(20)]
    rows[7] = row(7, **bad)
    (refused,) = tables.insert(TASKS, rows)
    assert refused.row is rows[7]
    assert TASKS in refused.reason
    assert len(tables.select(TASKS)) == 19


def test_rows_that_the_engine_refuses_together_are_taken_in_parts(tables: IndexTables) -> None:
    """An insert may reach a hundred partitions: the server's answer, not the driver's."""
    assert tables.insert(TASKS, [row(0)]) == []
    assert tables.insert(TASKS, [row(n, month=n) for n in range(1, 250)]) == []
    assert len(tables.select(TASKS)) == 250


def test_a_table_that_takes_nothing_is_away_whatever_it_answers(
    tables: IndexTables, connect: ClientFactory
) -> None:
    tables.insert(TASKS, [row(0)])
    other = connect()
    other.command(f"ALTER TABLE {TASKS} ADD CONSTRAINT never CHECK processed_frames > 100")
    with pytest.raises(TablesUnavailableError):
        tables.insert(TASKS, [row(1)])
    other.command(f"ALTER TABLE {TASKS} DROP CONSTRAINT never")
    assert tables.insert(TASKS, [row(1)]) == []
    other.close()


def test_a_row_that_the_engine_alone_refuses_is_left_out(
    tables: IndexTables, connect: ClientFactory
) -> None:
    tables.insert(TASKS, [row(0, fps=1.0)])
    other = connect()
    other.command(f"ALTER TABLE {TASKS} ADD CONSTRAINT slow CHECK fps < 100")
    (refused,) = tables.insert(TASKS, [row(n, fps=500.0 if n == 3 else 5.0) for n in range(1, 9)])
    assert refused.row.fps == 500.0
    assert len(tables.select(TASKS)) == 8
    other.close()


def test_a_connection_that_breaks_is_no_bad_row(connect: ClientFactory) -> None:
    class Broken:
        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        def insert(self, *_: Any, **__: Any) -> None:
            raise OperationalError("connection reset")

    tables = IndexTables(lambda: Broken(connect()))
    with pytest.raises(TablesUnavailableError):
        tables.insert(TASKS, [row(0)])
    tables.close()


def test_a_stored_row_of_another_version_hides_no_other_task(
    tables: IndexTables, connect: ClientFactory
) -> None:
    tables.insert(TASKS, [row(n) for n in range(8)])
    other = connect()
    tables.insert(TASKS, [row(5, rev=7, status="resting")])
    found = tables.recover([task_id(n) for n in range(10)])
    assert found[task_id(5)] is None
    assert sorted(name for name, known in found.items() if known is not None) == [
        task_id(n) for n in range(8) if n != 5
    ]
    other.close()
