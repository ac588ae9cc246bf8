"""Attacks on POST /v1/sql, and what must go through, on a real chDB."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from api.errors import ProblemError, UnavailableError
from api.store.sql_guard import ALLOWED_FUNCTIONS, LIMITS, MAX_ROWS, QueryRefusedError, check
from api.store.sql_runner import QueryFailedError, run_sql
from streamproc.contract.audit import AUDIT
from streamproc.contract.tables import DDL, TABLES, VIEWS


@pytest.fixture(scope="module")
def database(chdb_path: Path) -> Iterator[str]:
    name = f"sql_{secrets.token_hex(4)}"
    client = clickhouse_connect.get_client(interface="chdb", path=str(chdb_path))
    client.command(f"CREATE DATABASE {name}")
    client.command(f"USE {name}")
    for statement in DDL:
        client.command(statement)
    client.command("CREATE TABLE secret (word String) ENGINE = MergeTree ORDER BY word")
    client.command("INSERT INTO secret VALUES ('hidden')")
    client.command(
        "INSERT INTO tracks (project, task_id, month, track_id, class, dwell_s, created_at) VALUES"
        " ('p', 't', 202511, 1, 'bus', 2.5, '2025-11-01 10:00:00'),"
        " ('p', 't', 202511, 2, 'truck', 7, '2025-11-01 11:00:00')"
    )
    yield name
    client.close()


@pytest.fixture(scope="module")
def connect(chdb_path: Path, database: str) -> Callable[[], Any]:
    return lambda: clickhouse_connect.get_client(
        interface="chdb", path=str(chdb_path), database=database
    )


@pytest.fixture(scope="module")
def client(connect: Callable[[], Any]) -> Iterator[Any]:
    opened = connect()
    yield opened
    opened.close()


REFUSED = [
    # files, networks and other servers
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM `file`('/etc/passwd')",
    "SELECT * FROM FILE('/etc/passwd')",
    "SELECT * FROM/**/file/**/('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM `/etc/passwd`",
    "SELECT * FROM tasks, file('/etc/passwd')",
    "SELECT * FROM tasks JOIN url('http://127.0.0.1/', CSV) AS u ON 1 = 1",
    "SELECT * FROM url('http://169.254.169.254/latest/meta-data', LineAsString)",
    "SELECT * FROM s3('http://127.0.0.1/b/k', 'CSV')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM remoteSecure('127.0.0.1', system, one)",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM clusterAllReplicas('default', system.one)",
    "SELECT * FROM mysql('127.0.0.1:3306', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:5432', 'd', 't', 'u', 'p')",
    "SELECT * FROM mongodb('127.0.0.1:27017', 'd', 't', 'u', 'p', 'a Int32')",
    "SELECT * FROM sqlite('/tmp/x', 't')",
    "SELECT * FROM hdfs('hdfs://h/f', 'CSV', 'a Int32')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM input('a String')",
    "SELECT * FROM python('x')",
    "SELECT * FROM Python(x)",
    "SELECT * FROM dictionary('d')",
    "SELECT * FROM loop(secret)",
    "SELECT * FROM merge('default', 'secret')",
    "SELECT * FROM merge(currentDatabase(), '.*')",
    "SELECT * FROM view(SELECT * FROM secret)",
    "SELECT * FROM viewIfPermitted(SELECT 1 ELSE null('a Int32'))",
    "SELECT * FROM generateRandom('a String')",
    "SELECT * FROM zeros(10)",
    # scalar functions that reach out
    "SELECT file('/etc/passwd')",
    "SELECT FiLe('/etc/passwd')",
    "SELECT `file`('/etc/passwd')",
    "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
    "SELECT 1 WHERE file('/etc/passwd') != ''",
    "SELECT (SELECT file('/etc/passwd'))",
    "SELECT 1 ORDER BY file('/etc/passwd')",
    "SELECT 1 LIMIT length(file('/etc/passwd'))",
    "WITH file('/etc/passwd') AS f SELECT f",
    "WITH x AS (SELECT file('/etc/passwd')) SELECT * FROM x",
    "SELECT count() OVER (PARTITION BY file('/etc/passwd'))",
    "SELECT * REPLACE (file('/etc/passwd') AS status) FROM tasks",
    "SELECT * APPLY file FROM tasks",
    "SELECT COLUMNS('model') APPLY(x -> file(x)) FROM tasks",
    "SELECT dictGet('d', 'a', 1)",
    "SELECT dictGetOrDefault('d', 'a', 1, 2), dictHas('d', 1)",
    "SELECT joinGet(secret, 'word', 1)",
    "SELECT joinGetOrNull('secret', 'word', 1)",
    "SELECT catboostEvaluate('/m', 1)",
    "SELECT evalMLMethod(1, 2)",
    "SELECT aiGenerate('x')",
    "SELECT hasColumnInTable('h', 'u', 'p', 'd', 't', 'c')",
    "SELECT getSetting('max_threads'), getServerPort('tcp_port'), getMacro('m')",
    "SELECT hostName(), FQDN(), currentUser(), filesystemAvailable()",
    "SELECT getClientHTTPHeader('Authorization')",
    "SELECT addressToLine(1), sleep(3), sleepEachRow(1)",
    "SELECT formatQuery('x'), showCertificate()",
    "SELECT chdb()",
    "SELECT formatRow('CSV', 1)",
    "SELECT someUserDefinedFunction(1)",
    # other tables
    "SELECT * FROM secret",
    "SELECT word FROM (SELECT * FROM secret)",
    "SELECT * FROM tasks UNION ALL SELECT * FROM secret",
    "SELECT 1 INTERSECT SELECT count() FROM secret",
    "SELECT 'hidden' IN secret",
    "SELECT 'hidden' IN (secret)",
    "SELECT in('hidden', secret)",
    "SELECT 'hidden' GLOBAL NOT IN secret",
    "SELECT EXISTS (SELECT 1 FROM secret)",
    "WITH secret AS (SELECT 1) SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM default.secret)",
    "SELECT (WITH secret AS (SELECT 1 AS word) SELECT word FROM secret), word FROM secret",
    "SELECT *, '\" AS (SELECT ' FROM secret AS tasks",
    "SELECT * FROM tasks AS t, secret AS tasks",
    "SELECT * FROM `secret (alias tasks)`",
    "SELECT * FROM `tasks\n TableIdentifier tasks`",
    "SELECT * FROM system.tables",
    "SELECT * FROM `system`.`tables`",
    "SELECT * FROM system.one",
    "SELECT * FROM INFORMATION_SCHEMA.TABLES",
    "SELECT * FROM default.tasks",
    "SELECT * FROM \u0441ystem.tables",  # a Cyrillic letter
    # other statements, other outputs, settings
    "SELECT 1 INTO OUTFILE '/tmp/framewire-test-out'",
    "SELECT 1 INTO OUTFILE '/tmp/framewire-test-out' TRUNCATE FORMAT CSV",
    "SELECT 1 FORMAT JSON",
    "SELECT 1 SETTINGS max_execution_time = 0",
    "SELECT * FROM (SELECT 1 SETTINGS readonly = 0)",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE tasks",
    "SELECT 1 -- ;\n; DROP TABLE tasks",
    "/* SELECT */ DROP TABLE tasks",
    "DROP TABLE tasks",
    "TRUNCATE TABLE tasks",
    "INSERT INTO tasks (project) VALUES ('x')",
    "INSERT INTO FUNCTION file('/tmp/x') SELECT 1",
    "ALTER TABLE tasks DELETE WHERE 1",
    "DELETE FROM tasks WHERE 1",
    "CREATE TABLE x (a Int32) ENGINE = Memory",
    "CREATE VIEW x AS SELECT 1",
    "CREATE FUNCTION f AS x -> x",
    "CREATE DICTIONARY d (a Int32) PRIMARY KEY a SOURCE(FILE(path '/etc/passwd' format 'CSV'))",
    "ATTACH TABLE x", "DETACH TABLE tasks", "RENAME TABLE tasks TO x", "OPTIMIZE TABLE tasks FINAL",
    "SET readonly = 0",
    "USE system",
    "SYSTEM SHUTDOWN",
    "KILL QUERY WHERE 1",
    "GRANT ALL ON *.* TO default",
    "BACKUP TABLE tasks TO File('x')",
    "SELECT 1 PARALLEL WITH DROP TABLE tasks",
    "EXECUTE AS default SELECT 1",
    "SHOW TABLES FROM system",
    "SHOW DATABASES",
    "SHOW CREATE TABLE secret",
    "SHOW SETTINGS LIKE '%'",
    "SHOW PROCESSLIST",
    "DESCRIBE TABLE file('/etc/passwd')",
    "DESCRIBE TABLE secret",
    "DESCRIBE TABLE system.tables",
    "DESCRIBE (SELECT * FROM url('http://127.0.0.1/', CSV))",
    "EXPLAIN SELECT * FROM file('/etc/passwd')",
    "EXPLAIN SELECT * FROM secret",
    "EXPLAIN QUERY TREE SELECT file('/etc/passwd')",
    "EXPLAIN indexes = 1 SELECT 1",
    "EXPLAIN EXPLAIN SELECT 1",
    "EXPLAIN DROP TABLE tasks",
    "EXPLAIN TABLE OVERRIDE mysql('127.0.0.1', 'd', 't', 'u', 'p') PARTITION BY 1",
    "EXPLAIN CURRENT TRANSACTION",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n FROM t) SELECT n FROM t",
    "SELECT {x:Int32}",
    "SELECT * FROM {t:Identifier}",
    "SELECT '\x00' FROM secret",
    "SELECT " + "1 + " * 8000 + "1",
    "",
    ";",
    "-- nothing",
]  # fmt: skip


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_no_reading_of_our_tables_is_refused(client: Any, query: str) -> None:
    with pytest.raises((QueryRefusedError, DatabaseError)) as caught:
        check(client, query)
    if isinstance(caught.value, DatabaseError):  # ClickHouse cannot parse or resolve it
        assert any(name in str(caught.value) for name in ("SYNTAX_ERROR", "UNKNOWN_", "READONLY"))


ACCEPTED = [
    ("SELECT 1", [[1]]),
    ("SELECT class FROM tracks ORDER BY track_id", [["bus"], ["truck"]]),
    ("select `class` from v_tracks -- the view\n order by dwell_s desc limit 1;", [["truck"]]),
    ("WITH tasks AS (SELECT 5 AS x) SELECT x FROM tasks", [[5]]),
    ("WITH 3 AS n SELECT n", [[3]]),
    ("WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT y FROM b", [[2]]),
    ("SELECT sumIf(dwell_s, class = 'bus'), countIf(dwell_s > 5) FROM v_tracks", [[2.5, 1]]),
    ("SELECT ';', 'a -- b', 'FROM system.tables'", [[";", "a -- b", "FROM system.tables"]]),
    ("SELECT number FROM numbers(3) WHERE number IN (SELECT track_id FROM tracks)", [[1], [2]]),
    ("SELECT * FROM values('a Int32', 7)", [[7]]),
    ("SELECT arrayMap(x -> x * 2, [1, 2]), tupleElement((1, 'a'), 2)", [[[2, 4], "a"]]),
    ("SELECT toStartOfHour(created_at) FROM v_tracks LIMIT 1", [["2025-11-01T10:00:00.000Z"]]),
    ("SELECT round(cosineDistance([1., 0.], [0., 1.]), 3)", [[1.0]]),
    ("SELECT t.class FROM tracks AS t ANY LEFT JOIN v_tasks AS k USING (task_id) WHERE 1 LIMIT 1",
     [["bus"]]),
    ("SELECT row_number() OVER (PARTITION BY project ORDER BY dwell_s) FROM tracks", [[1], [2]]),
    ("SELECT quantileExactIf(0.5)(dwell_s, 1), groupArraySorted(2)(dwell_s) FROM tracks",
     [[7.0, [2.5, 7.0]]]),
    ("SELECT * EXCEPT month FROM (SELECT month, class FROM tracks) ORDER BY 1 LIMIT 1", [["bus"]]),
    ("SELECT CASE WHEN 1 THEN 'a' ELSE 'b' END, 1::String, INTERVAL 1 DAY IS NULL",
     [["a", "1", 0]]),
    ("(SELECT 1 AS a) UNION ALL (SELECT 1)", [[1], [1]]),
    ("SELECT DISTINCT project FROM tracks FINAL PREWHERE month = 202511", [["p"]]),
    ("SELECT nan, 1 / 0, NULL", [[None, None, None]]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "rows"), ACCEPTED)
def test_a_reading_of_our_tables_is_answered(
    connect: Callable[[], Any], query: str, rows: list[list[Any]]
) -> None:
    answer = run_sql(connect, query)
    assert [list(row) for row in answer.rows] == rows
    assert (answer.row_count, answer.truncated) == (len(rows), False)
    assert len(answer.columns) == len(answer.types) == len(rows[0])


def test_the_tables_can_be_looked_up(connect: Callable[[], Any]) -> None:
    shown = {row[0] for row in run_sql(connect, "show tables").rows}
    assert shown == {*TABLES, *VIEWS, AUDIT}
    described = run_sql(connect, "DESCRIBE v_tracks").rows
    assert described[0][:2] == ("project", "LowCardinality(String)")
    assert run_sql(connect, "EXPLAIN SELECT class FROM tracks").row_count > 1


def test_too_many_rows_are_cut_and_said(connect: Callable[[], Any]) -> None:
    answer = run_sql(connect, "SELECT number FROM numbers(1000000)")
    assert (answer.row_count, answer.truncated) == (MAX_ROWS, True)
    exact = run_sql(connect, f"SELECT number FROM numbers({MAX_ROWS})")
    assert (exact.row_count, exact.truncated) == (MAX_ROWS, False)


def test_a_long_query_ends_at_the_time_limit(
    connect: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, "max_execution_time", "1")
    with pytest.raises(QueryFailedError, match="time limit"):
        run_sql(connect, "SELECT sum(cityHash64(number)) FROM numbers(1000000000000)")


def test_mistakes_are_told_in_clickhouses_words(connect: Callable[[], Any]) -> None:
    with pytest.raises(QueryFailedError, match="nope"):
        run_sql(connect, "SELECT nope FROM tracks")


def test_the_limits_alone_already_forbid_writing(client: Any, database: str) -> None:
    with pytest.raises(DatabaseError, match="READONLY"):
        client.query("CREATE TABLE written (a Int32) ENGINE = Memory", settings=LIMITS)
    assert client.command("EXISTS TABLE written") == 0


def test_only_so_many_queries_run_at_once(connect: Callable[[], Any]) -> None:
    def nested() -> Any:
        return run_sql(deeper, "SELECT 1")

    def deeper() -> Any:
        return run_sql(connect, "SELECT 1")

    with pytest.raises(UnavailableError) as caught:
        run_sql(nested, "SELECT 1")
    assert caught.value.code == "sql_busy"
    assert isinstance(caught.value, ProblemError)
    assert run_sql(connect, "SELECT 1").rows == ((1,),)


def test_every_function_on_the_list_is_one_of_clickhouses(client: Any) -> None:
    rows = client.query("SELECT lower(name) FROM system.functions").result_rows
    assert {row[0] for row in rows} | {"lambda", "exists", "grouping"} >= ALLOWED_FUNCTIONS
    words = ("file", "dictget", "joinget", "url", "remote", "ai", "sleep", "getsetting")
    assert not ALLOWED_FUNCTIONS & set(words)


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("SELECT randomString(900000000)", "384.00 MiB"),
        ("SELECT length(randomString(900000000)) FROM tasks", "384.00 MiB"),
        ("SELECT 1 WHERE length(randomString(900000000)) = 1", "384.00 MiB"),
        ("SELECT groupArray(number) FROM numbers(100000000)", "384.00 MiB"),
        ("SELECT randomString(5000) FROM numbers(9000)", "16.00 MiB"),
        ("SELECT range(3000) FROM numbers(9000)", "16.00 MiB"),
        ("SELECT repeat('x', 30000), number FROM numbers(9000)", "16.00 MiB"),
        ("SELECT groupArray(number) FROM numbers(5000000)", "16.00 MiB"),
    ],
)
def test_memory_and_bytes_of_an_answer_are_bounded(
    connect: Callable[[], Any], query: str, limit: str
) -> None:
    process = psutil.Process()
    before_bytes = process.memory_info().rss
    with pytest.raises(QueryFailedError) as caught:
        run_sql(connect, query)
    assert limit in caught.value.detail
    assert "SETTINGS" not in caught.value.detail
    assert process.memory_info().rss - before_bytes < 800 * 1024 * 1024


def test_an_empty_answer_has_its_columns(connect: Callable[[], Any]) -> None:
    answer = run_sql(connect, "SELECT task_id, count() AS n FROM tasks GROUP BY task_id")
    assert (answer.columns, answer.rows) == (("task_id", "n"), ())
    assert answer.types[1] == "UInt64"


def test_the_answer_keeps_the_order_and_the_names_of_the_query(connect: Callable[[], Any]) -> None:
    answer = run_sql(
        connect, "SELECT number AS n, 1, 1, 'a' FROM numbers(3) ORDER BY number * 7 % 5 DESC"
    )
    assert answer.columns == ("n", "1", "1", "'a'")
    assert [row[0] for row in answer.rows] == [2, 1, 0]
