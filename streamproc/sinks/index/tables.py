"""ClickHouse client of the index, for a server or chDB: one client, one thread at a time.

Inserts are synchronous and have a deduplication token, so that an insert whose response was lost
can be retried. Every failure becomes `TablesUnavailableError`: retry later. If an insert cannot be
encoded, or is refused while the same table accepts another row, the rows are the cause: the bad
ones are found by bisection and returned, all others are stored.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, DataError
from urllib3.exceptions import HTTPError

from streamproc.clients.clickhouse import (
    ClientFactory,
    close_failed,
)
from streamproc.contract.tables import (
    DDL,
    DETECTIONS,
    EMBEDDINGS,
    ROW_TYPES,
    TABLES,
    TASKS,
    TRACKS,
    TaskRow,
    TrackRow,
    keep_statements,
)
from streamproc.contract.tables import columns as columns_of
from streamproc.sinks.errors import RowsRefusedError, TablesUnavailableError
from streamproc.sinks.index.row_isolation import RefusedRow, insert_isolating

Row = msgspec.Struct

_KEYS = {
    TASKS: "project, task_id",
    TRACKS: "project, task_id, track_id",
    DETECTIONS: "project, task_id, frame, det_idx",
    EMBEDDINGS: "project, task_id, track_id",
}
_KEY_TYPES = {"project": "String", "task_id": "String"}
_NEXT = "_next"
_TASKS_AT_ONCE = 1000
_TRACKS_AT_ONCE = 1000

EVICT_AFTER_MS = 600_000
"""The index forgets a live source's track that was not seen for so long, by the time of capture."""
_MILLISECONDS = {"DateTime64": "int"}


class Embedded(msgspec.Struct, frozen=True):
    """The stored vector of a track: from the chunk that ends at `off`."""

    track_id: int
    confidence: float
    off: int


class Recovered(msgspec.Struct, frozen=True):
    """The rows of one task in the tables.

    Of a live task, the tracks that were seen in its last `EVICT_AFTER_MS` alone, with their
    vectors; no other one has an id above `last_evicted`, -1 without others.
    """

    row: TaskRow
    tracks: tuple[TrackRow, ...]
    embedded: tuple[Embedded, ...]
    last_evicted: int = -1


def ensure_schema(client: Any) -> None:
    """Create the missing tables and views, and replace the views."""
    for statement in DDL:
        client.command(statement)


class IndexTables:
    """Reads and writes of the index; connects on first use, and again after a failure."""

    def __init__(
        self, connect: ClientFactory, *, suffix: str = "", keep_days: int | None = None
    ) -> None:
        """`suffix`: suffix of the tables' names, for a set created by `make_successor`.

        `keep_days`: how long rows of live tasks are kept that do not say it themselves (0: for
        ever); it becomes the tables' TTL. None: that stays as it is.
        """
        self._keep_statements = () if keep_days is None else keep_statements(keep_days)
        self._connect = connect
        self._suffix = suffix
        self._client: Any = None
        self._types: dict[str, list[str]] = {}

    def prepare(self) -> bool:
        """Connect and create missing parts of the schema. Raises `TablesUnavailableError`."""
        self._run(lambda _: None)
        return True

    def insert(self, table: str, rows: Sequence[Row], *, salt: str = "") -> list[RefusedRow]:
        """Insert the rows; return those that cannot be stored. All others are stored.

        Idempotent for the same rows with the same salt. Raises `TablesUnavailableError`.
        """
        if not rows:
            return []
        return insert_isolating(rows, lambda part: self._insert(table, part, salt))

    def takes_rows(self, table: str) -> bool:
        """Return whether the table accepts a row that it already has; False if it is empty.

        The row is one of the table's own, which its engine deduplicates.
        """
        name = self.named(table)
        one = f"SELECT * FROM {name} LIMIT 1"  # noqa: S608 - our names
        try:
            if not self._run(lambda client: client.query(one).row_count):
                return False
            self._run(lambda client: client.command(f"INSERT INTO {name} {one}"))
        except TablesUnavailableError:
            return False
        return True

    def _insert(self, table: str, rows: Sequence[Row], salt: str) -> None:
        """Insert all rows or none. Raises `TablesUnavailableError`, `RowsRefusedError`."""

        def run(client: Any) -> None:
            try:
                data = [msgspec.structs.astuple(row) for row in rows]
                packed = msgspec.msgpack.encode((table, data))
                client.insert(
                    self.named(table),
                    data,
                    column_names=columns_of(table),
                    column_type_names=self._types[table],
                    settings={
                        "insert_deduplication_token": hashlib.sha256(
                            salt.encode() + packed
                        ).hexdigest()
                    },
                )
            except DataError as exc:
                raise RowsRefusedError(f"{table}: {exc}") from exc
            except (ClickHouseError, HTTPError, OSError):
                raise
            except Exception as exc:  # from the encoder, which raises many types
                raise RowsRefusedError(f"{table}: {type(exc).__name__}: {exc}") from exc

        try:
            self._run(run)
        except TablesUnavailableError as exc:
            if _is_answer(exc.__cause__) and self.takes_rows(table):
                raise RowsRefusedError(str(exc)) from exc
            raise

    def recover(self, tasks: Sequence[str]) -> dict[str, Recovered | None]:
        """Return the tables' rows of these tasks, None for a task whose rows cannot be read.

        Raises `TablesUnavailableError`.
        """
        if not tasks:
            return {}
        try:
            return dict(self._recover(tasks))
        except msgspec.ValidationError:
            if len(tasks) == 1:
                return {tasks[0]: None}
        middle = len(tasks) // 2
        return self.recover(tasks[:middle]) | self.recover(tasks[middle:])

    def _recover(self, tasks: Sequence[str]) -> dict[str, Recovered]:
        rows = self.select(TASKS, tasks)
        known = [row.task_id for row in rows if row.seen_to_ms is None]
        tracks = self.select(TRACKS, known) if known else []
        embedded = self._dicts(
            "SELECT task_id, track_id, confidence, off"  # noqa: S608
            f" FROM {self.named(EMBEDDINGS)} FINAL"
            " WHERE task_id IN {tasks:Array(String)}",
            {"tasks": known},
        )
        return {
            row.task_id: Recovered(
                row,
                tuple(track for track in tracks if track.task_id == row.task_id),
                tuple(
                    Embedded(found["track_id"], found["confidence"], found["off"])
                    for found in embedded
                    if found["task_id"] == row.task_id
                ),
            )
            if row.seen_to_ms is None
            else self._recover_live(row)
            for row in rows
        }

    def _recover_live(self, row: TaskRow) -> Recovered:
        """Return a live task's rows: a task of months has more tracks than memory should hold."""
        before_ms = (row.seen_to_ms or 0) - EVICT_AFTER_MS
        where = "project = {project:String} AND task_id = {task:String}"
        found = self._dicts(
            f"SELECT track_id FROM {self.named(TRACKS)} FINAL WHERE {where} AND last_seen_at >="  # noqa: S608
            " fromUnixTimestamp64Milli({before:Int64})",
            {"project": row.project, "task": row.task_id, "before": before_ms},
        )
        last = self._dicts(
            f"SELECT max(track_id) AS last, count() AS n FROM {self.named(TRACKS)}"  # noqa: S608
            f" WHERE {where}",
            {"project": row.project, "task": row.task_id},
        )
        tracks, embedded = self.tracks(row.task_id, [one["track_id"] for one in found])
        return Recovered(row, tracks, embedded, last[0]["last"] if last[0]["n"] else -1)

    def tracks(
        self, task: str, ids: Sequence[int]
    ) -> tuple[tuple[TrackRow, ...], tuple[Embedded, ...]]:
        """Return the rows of these tracks of a task, and what its vectors are from.

        Raises `TablesUnavailableError`, or `msgspec.ValidationError` on a row of another version.
        """
        tracks: list[TrackRow] = []
        embedded: list[Embedded] = []
        for first in range(0, len(ids), _TRACKS_AT_ONCE):
            some = {"task": task, "ids": list(ids[first : first + _TRACKS_AT_ONCE])}
            where = "WHERE task_id = {task:String} AND track_id IN {ids:Array(UInt32)}"
            sql = f"SELECT * FROM {self.named(TRACKS)} FINAL {where}"  # noqa: S608 - our names
            tracks += [msgspec.convert(row, TrackRow) for row in self._dicts(sql, some)]
            sql = f"SELECT track_id, confidence, off FROM {self.named(EMBEDDINGS)} FINAL {where}"  # noqa: S608
            embedded += [Embedded(**row) for row in self._dicts(sql, some)]
        return tuple(tracks), tuple(embedded)

    def select(self, table: str, tasks: Sequence[str] | None = None) -> list[Any]:
        """Return the table's current rows as its row type, for these tasks or for all, by key.

        Raises `TablesUnavailableError`, or `msgspec.ValidationError` on a row of another version.
        """
        where = "" if tasks is None else " WHERE task_id IN {tasks:Array(String)}"
        name = self.named(table)
        sql = f"SELECT * FROM {name} FINAL{where} ORDER BY {_KEYS[table]}"  # noqa: S608 - our names
        found = self._dicts(sql, {} if tasks is None else {"tasks": list(tasks)})
        row_type: Any = ROW_TYPES[table]
        return [msgspec.convert(row, row_type) for row in found]

    def pages(self, table: str, task: str, n_at_once: int) -> Iterator[list[Any]]:
        """Yield the table's current rows of a task like `select`, in lists of so many."""
        keys = _KEYS[table].split(", ")
        some: dict[str, Any] = {"task": task, "n": n_at_once}
        after = ""
        while True:
            sql = (
                f"SELECT * FROM {self.named(table)} FINAL"  # noqa: S608 - our names
                f" WHERE task_id = {{task:String}}{after}"
                f" ORDER BY {_KEYS[table]} LIMIT {{n:UInt32}}"
            )
            found = self._dicts(sql, some)
            row_type: Any = ROW_TYPES[table]
            yield [msgspec.convert(row, row_type) for row in found]
            if len(found) < n_at_once:
                return
            places = ", ".join(f"{{{key}:{_KEY_TYPES.get(key, 'UInt64')}}}" for key in keys)
            after = f" AND ({_KEYS[table]}) > ({places})"
            some |= {key: found[-1][key] for key in keys}

    def truncate(self) -> None:
        """Empty every table."""

        def run(client: Any) -> None:
            for table in TABLES:
                client.command(f"TRUNCATE TABLE {self.named(table)}")

        self._run(run)

    def lengths(self) -> dict[str, tuple[str, int]]:
        """Return each task's project and number of indexed log bytes, by task id."""
        sql = f"SELECT task_id, project, log_length FROM {self.named(TASKS)} FINAL"  # noqa: S608
        return {
            found["task_id"]: (found["project"], found["log_length"])
            for found in self._dicts(sql, {})
        }

    def make_successor(self) -> "IndexTables":
        """Create an empty set of tables with the same schema; an old one is replaced."""

        def run(client: Any) -> None:
            for table in TABLES:
                client.command(f"DROP TABLE IF EXISTS {table}{_NEXT} SYNC")
                client.command(f"CREATE TABLE {table}{_NEXT} AS {table}")

        self._run(run)
        return IndexTables(self._connect, suffix=_NEXT)

    def exchange(self) -> None:
        """Swap these tables and their successor's by name, tasks last."""

        def run(client: Any) -> None:
            for table in reversed(TABLES):
                client.command(f"EXCHANGE TABLES {table} AND {table}{_NEXT}")

        self._run(run)

    def take(self, other: "IndexTables", tasks: Sequence[str]) -> None:
        """Copy another set's rows of these tasks into this one, in addition to its own rows."""

        def run(client: Any) -> None:
            for table in reversed(TABLES):
                for first in range(0, len(tasks), _TASKS_AT_ONCE):
                    some = {"tasks": list(tasks[first : first + _TASKS_AT_ONCE])}
                    client.command(
                        f"INSERT INTO {self.named(table)}"  # noqa: S608 - our names
                        f" SELECT * FROM {other.named(table)} FINAL"
                        " WHERE task_id IN {tasks:Array(String)}",
                        some,
                    )

        self._run(run)

    def drop_successor(self) -> None:
        """Drop the successor's tables, with any content."""

        def run(client: Any) -> None:
            for table in TABLES:
                client.command(f"DROP TABLE IF EXISTS {table}{_NEXT} SYNC")

        self._run(run)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def named(self, table: str) -> str:
        """Return the table's name in this set."""
        return f"{table}{self._suffix}"

    def _dicts(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        def run(client: Any) -> list[dict[str, Any]]:
            result = client.query(sql, parameters=dict(parameters), query_formats=_MILLISECONDS)
            return list(result.named_results())

        found: list[dict[str, Any]] = self._run(run)
        return found

    def _run(self, call: Callable[[Any], Any]) -> Any:
        try:
            if self._client is None:
                self._client = self._connect()
                ensure_schema(self._client)
                for statement in self._keep_statements:
                    self._client.command(statement)
                for table in TABLES:
                    described = self._client.query(f"DESCRIBE TABLE {table}").result_rows
                    self._types[table] = [row[1] for row in described]
            return call(self._client)
        except (ClickHouseError, HTTPError, OSError) as exc:
            self._forget()
            raise TablesUnavailableError(f"ClickHouse: {type(exc).__name__}: {exc}") from exc

    def _forget(self) -> None:
        """Drop the client; the next call connects again."""
        client, self._client = self._client, None
        close_failed(client)


def _is_answer(exc: BaseException | None) -> bool:
    """Return whether ClickHouse itself refused: its own errors have a code."""
    return isinstance(exc, DatabaseError) and exc.code is not None
