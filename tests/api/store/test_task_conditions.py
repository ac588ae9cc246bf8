"""SQL conditions and orders of task lists: the same as of tasks in memory, in real ClickHouse."""

from collections.abc import Iterator
from typing import Any

import clickhouse_connect
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from api.contract.query.tasks import SORT_KEYS, Sort, TaskFacts, matches, sort_value
from api.contract.query.terms import Among, Query, Term
from api.ids import new_task_id
from api.store.clickhouse import query_client_options
from api.store.query_conditions import Bindings
from api.store.task_conditions import sort_expression, task_conditions
from api.store.task_queries import _COLUMNS, IndexedTask
from streamproc.clients.clickhouse import client_factory
from streamproc.contract import tables
from tests.api.queries import small_terms, task_changes
from tests.api.rows import insert, task_row, track_row

BASE_MS = 1_769_860_800_000
NOW_MS = BASE_MS + 21_000
CLASSES = ("pedestrian", "a%", "aä")


@pytest.fixture(scope="module")
def client(chdb_url: str) -> Iterator[Any]:
    made = client_factory(chdb_url)()
    for statement in tables.DDL:
        made.command(statement)
    made.close()
    reader = clickhouse_connect.get_client(**query_client_options(chdb_url))
    yield reader
    reader.close()


class Stored:
    """Tasks in the tables, and the same in memory."""

    def __init__(self, client: Any, project: str, changes: list[dict[str, Any]]) -> None:
        self.client = client
        self.project = project
        ids = [new_task_id(BASE_MS + i) for i in range(len(changes))]
        self.cancelled = tuple(ids[::2])
        insert(
            client,
            tables.TASKS,
            [task_row(project, task, **one) for task, one in zip(ids, changes, strict=True)],
        )
        of_class = {task: CLASSES[i % 4 : i % 4 + 1] for i, task in enumerate(ids)}
        tracks = [
            track_row(project, task, 1, class_name=name)
            for task, names in of_class.items()
            for name in names
        ]
        if tracks:
            insert(client, tables.TRACKS, tracks)
        self.facts = [
            _with_classes(row.facts(cancel_requested=row.task_id in self.cancelled), of_class)
            for row in (IndexedTask(*found) for found in self._select("1", Bindings()))
        ]

    def ids_in_sql(self, query: Query) -> set[str]:
        bindings = Bindings(project=self.project)
        conditions = task_conditions(query, bindings, NOW_MS, self.cancelled)
        return {row[0] for row in self._select(" AND ".join(conditions) or "1", bindings)}

    def sorted_in_sql(self, sort: Sort) -> list[Any]:
        bindings = Bindings(project=self.project)
        key, kind = sort_expression(sort.key, bindings, NOW_MS, self.cancelled)
        found = self.client.query(
            f"SELECT {key}, toTypeName({key}), task_id FROM tasks FINAL "
            "WHERE project = {project:String}",
            bindings.values,
        ).result_rows
        assert {row[1] for row in found} == {kind}
        return sorted((row[0], row[2]) for row in found)

    def _select(self, where: str, bindings: Bindings) -> list[Any]:
        bindings.values["project"] = self.project
        rows: list[Any] = self.client.query(
            f"SELECT {_COLUMNS} FROM tasks FINAL WHERE project = {{project:String}} AND {where}",
            bindings.values,
        ).result_rows
        return rows


def _with_classes(facts: TaskFacts, of_class: dict[str, tuple[str, ...]]) -> TaskFacts:
    return replace(facts, classes=frozenset(of_class[facts.id]))


@pytest.fixture(scope="module")
def counter() -> Iterator[int]:
    return iter(range(10**6))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    changes=st.lists(task_changes(), min_size=1, max_size=12),
    asked=st.lists(st.lists(small_terms(), min_size=1, max_size=3), min_size=8, max_size=8),
)
def test_sql_finds_what_matches_in_memory(
    client: Any, counter: Iterator[int], changes: list[dict[str, Any]], asked: list[list[Term]]
) -> None:
    stored = Stored(client, f"p{next(counter)}", changes)
    for terms in asked:
        query = Query(tuple(terms))
        expected = {facts.id for facts in stored.facts if matches(query, facts, NOW_MS)}
        assert stored.ids_in_sql(query) == expected, query


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(task_changes(), min_size=1, max_size=12))
def test_sql_sorts_as_memory_does(
    client: Any, counter: Iterator[int], changes: list[dict[str, Any]]
) -> None:
    stored = Stored(client, f"s{next(counter)}", changes)
    for key in SORT_KEYS:
        expected = sorted((sort_value(facts, key, NOW_MS), facts.id) for facts in stored.facts)
        assert stored.sorted_in_sql(Sort(key)) == expected, key


def test_a_class_has_its_other_name(client: Any, counter: Iterator[int]) -> None:
    stored = Stored(client, f"c{next(counter)}", [{}, {}])
    assert stored.ids_in_sql(Query((Among("class", ("Person",)),))) == {stored.facts[0].id}
