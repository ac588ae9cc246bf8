"""SQL runner: checks a query, runs it, and returns JSON-ready values. Synchronous.

Call it in a thread, not on the event loop.
"""

import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from api.errors import ProblemError, UnavailableError
from api.store.sql_guard import CHECK_LIMITS, LIMITS, MAX_ROWS, check

MAX_PARALLEL = 2
_TIMEOUT_CODE = 159

_OUR_SETTINGS = re.compile(r" SETTINGS readonly = '2'(?:, \w+ = '[^']*')*")  # added by the driver
_ZERO = timedelta(0)
_AWAY = "ClickHouse does not answer."
_AWAY_CODE = "clickhouse_unavailable"
_slots = threading.BoundedSemaphore(MAX_PARALLEL)


class QueryFailedError(ProblemError):
    """ClickHouse rejects the query; `detail` is its own message."""

    status = 422
    code = "sql_failed"
    title = "Query Failed"


class SqlRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One read-only query on Framewire's tables and views."""

    query: str


class SqlAnswer(msgspec.Struct, frozen=True):
    """The query's result. `truncated`: there are more rows than `MAX_ROWS`."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    row_count: int
    elapsed_ms: int
    truncated: bool


def run_sql(new_client: Callable[[], Any], query: str) -> SqlAnswer:
    """Check the query and run it on a new client.

    Raises `QueryRefusedError`, `QueryFailedError`, and `UnavailableError` if `MAX_PARALLEL`
    queries are already running or ClickHouse does not answer.
    """
    if not _slots.acquire(blocking=False):
        raise UnavailableError(f"{MAX_PARALLEL} queries run already.", code="sql_busy")
    try:
        client = new_client()
        try:
            return _run(client, query)
        finally:
            client.close()
    except OperationalError as exc:
        raise UnavailableError(
            "ClickHouse does not answer.", code="clickhouse_unavailable"
        ) from exc
    except DatabaseError as exc:
        raise QueryFailedError(_own_words(exc)) from exc
    except (ClickHouseError, OSError) as exc:
        raise UnavailableError(
            "ClickHouse does not answer.", code="clickhouse_unavailable"
        ) from exc
    finally:
        _slots.release()


def _run(client: Any, query: str) -> SqlAnswer:
    started_s = time.monotonic()
    checked = check(client, query)
    columns, rows = (
        _selected(client, checked.sql) if checked.selects else _told(client, checked.sql)
    )
    return SqlAnswer(
        columns=tuple(name for name, _ in columns),
        types=tuple(kind for _, kind in columns),
        rows=tuple(tuple(_plain(value) for value in row) for row in rows[:MAX_ROWS]),
        row_count=min(len(rows), MAX_ROWS),
        elapsed_ms=round((time.monotonic() - started_s) * 1000),
        truncated=len(rows) > MAX_ROWS,
    )


def _selected(client: Any, sql: str) -> tuple[Sequence[tuple[str, str]], Sequence[Any]]:
    """Return the columns' names and types, and the rows.

    The columns come from DESCRIBE, because an empty result of chDB has none. Constant columns are
    materialised: otherwise each counts as one value against the byte limit.
    """
    columns = client.query(f"DESCRIBE ({sql})", settings=CHECK_LIMITS).result_rows
    written_out = f"SELECT * APPLY(materialize) FROM ({sql})"  # noqa: S608 - checked by the guard
    rows = client.query(written_out, settings=LIMITS).result_rows
    return [(row[0], row[1]) for row in columns], rows


def _told(client: Any, sql: str) -> tuple[Sequence[tuple[str, str]], Sequence[Any]]:
    """Return the columns and rows of an EXPLAIN or DESCRIBE."""
    result = client.query(sql, settings=LIMITS)
    kinds = [kind.name for kind in result.column_types]
    return list(zip(result.column_names, kinds, strict=True)), result.result_rows


def _plain(value: Any) -> Any:
    """Convert a ClickHouse value to JSON; times become RFC 3339 in UTC, unknown types text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        text = value.isoformat(timespec="milliseconds")
        return text.replace("+00:00", "") + "Z" if value.utcoffset() in {None, _ZERO} else text
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    return str(value)


def _own_words(exc: DatabaseError) -> str:
    """Return ClickHouse's message without the driver's prefix and the server's version."""
    if exc.code == _TIMEOUT_CODE:
        return "The query exceeded the time limit."
    text = str(exc)
    _, _, rest = text.partition("DB::Exception: ")
    return _OUR_SETTINGS.sub("", rest or text).split(" (version ")[0].strip()[:2000]
