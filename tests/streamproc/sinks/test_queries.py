"""Every query of docs/queries.md, through the guard of POST /v1/sql, on known data."""

import re
from pathlib import Path

import pytest

from api.store.sql_runner import run_sql
from streamproc.clients.clickhouse import ClientFactory, client_factory
from streamproc.contract.chunk import Roi, Target
from streamproc.contract.records import TrackVector
from streamproc.sinks.index.tables import IndexTables
from tests.streamproc.sinks.index.test_indexer import feed

from .logs import LogBuilder, Partition, submitted, target, task_id, unit

DOCS = Path(__file__).parents[3] / "docs" / "queries.md"
STREET, YARD, BROKEN = task_id(1), task_id(2), task_id(3)
HOUR = "2025-11-22T07:00:00.000Z"


def walker(n: int, **fields: object) -> Target:
    return target(1, roi=Roi(10 + 20 * n, 40, 20, 40), **fields)


@pytest.fixture(scope="module")
def connect(chdb_path: Path) -> ClientFactory:
    """Two clips at 10 fps: a street with a walker and a car, a yard with a like walker."""
    opened = client_factory(f"chdb://{chdb_path}?database=queries")
    partition = Partition()
    street, yard, broken = LogBuilder(STREET), LogBuilder(YARD), LogBuilder(BROKEN)
    partition.write(street.claim(time_ms=_created(street) + 2000))
    car = target(2, class_name="automobile", text="AB 12", text_confidence=0.9)
    for n, frame in enumerate((0, 10, 700)):
        vectors = [TrackVector(1, 0.5, unit(1, 0))]
        targets = [walker(n), car] if n < 2 else [walker(n)]
        partition.write(street.chunk(*targets, frame=frame, vectors=vectors))
    partition.write(street.terminal())
    partition.write(yard.claim(time_ms=_created(yard) + 4000))
    vectors = [TrackVector(1, 0.5, unit(3, 4)), TrackVector(3, 0.5, unit(0, 1))]
    partition.write(yard.chunk(walker(0), target(3), frame=5, vectors=vectors))
    partition.write(yard.terminal())
    partition.write_all(broken.claim(), broken.terminal("error", error=("source_timeout", "slow")))
    tables = IndexTables(opened)
    feed(tables, partition, [submitted(log.task) for log in (street, yard, broken)])
    tables.close()
    return opened


def _created(log: LogBuilder) -> int:
    return submitted(log.task).created_ms


EXPECTED = {
    "How long do objects stay, per class and hour?": [
        [HOUR, "automobile", 1, 1.0, 1.0],
        [HOUR, "pedestrian", 3, 23.33, 70.0],
    ],
    "Which objects stayed longest?": [
        [STREET, 1, "pedestrian", 70.0, 0.0, 70.0],
        [STREET, 2, "automobile", 1.0, 0.0, 1.0],
        [YARD, 1, "pedestrian", 0.0, 0.5, 0.5],
        [YARD, 3, "pedestrian", 0.0, 0.5, 0.5],
    ],
    "Which classes are seen together in one frame?": [["automobile", "pedestrian", 2]],
    "Where was a text read?": [[STREET, 2, "automobile", "AB 12", 0.9, 0.0]],
    "Which tracks of other clips look like this one?": [[YARD, 1, 0.4], [YARD, 3, 1.0]],
    "Which minute of each clip is the busiest?": [[STREET, 0, 2], [YARD, 0, 2]],
    "How many objects are there at most at once?": [
        [STREET, "automobile", 1],
        [STREET, "pedestrian", 1],
        [YARD, "pedestrian", 2],
    ],
    "Why do tasks fail?": [["source_timeout", 1, "2025-11-22T07:36:15.621Z", "slow"]],
    "Who passed through this part of the picture, and for how long?": [
        [STREET, 1, "pedestrian", 0.0, 70.0, 3],
        [YARD, 1, "pedestrian", 0.5, 0.5, 1],
        [YARD, 3, "pedestrian", 0.5, 0.5, 1],
    ],
    "How many different objects does each clip show?": [
        [STREET, "videos.example.com", 1, 1, 2],
        [YARD, "videos.example.com", 2, 0, 2],
    ],
    "How fast is each provider?": [["local", 2, 4, 1.7, 3.0]],
    "Which way did an object go?": [
        [STREET, 1, "pedestrian", 40.0, 0.0],
        [STREET, 2, "automobile", 0.0, 0.0],
    ],
    "How did the number of tasks develop, by day and outcome?": [
        ["2025-11-22", "failed", 1],
        ["2025-11-22", "succeeded", 2],
    ],
}


def queries() -> dict[str, str]:
    found = re.findall(
        r"^### (.+?)$.*?^```sql\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL
    )
    return dict(found)


def test_every_query_of_the_page_is_tested() -> None:
    assert list(queries()) == list(EXPECTED)
    assert DOCS.read_text().count("```sql") == len(EXPECTED) >= 10


@pytest.mark.parametrize("question", list(EXPECTED))
def test_the_query_answers_the_question(connect: ClientFactory, question: str) -> None:
    answer = run_sql(connect, queries()[question])
    assert [list(row) for row in answer.rows] == EXPECTED[question]


def test_the_page_names_every_column_of_the_views(connect: ClientFactory) -> None:
    for line in re.findall(r"^\| `v_.*$", DOCS.read_text(), re.MULTILINE):
        view, _, listed = (cell.strip() for cell in line.strip("|").split("|"))
        described = run_sql(connect, f"DESCRIBE {view.strip('`')}")
        outside = re.sub(r"\([^)]*\)", "", listed)
        assert re.findall(r"`(\w+)`", outside) == [row[0] for row in described.rows]
