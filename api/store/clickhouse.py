"""ClickHouse access through a small thread pool: a server, or chDB embedded in this process.

A client runs one query at a time, so each thread of the pool has its own client. Only one process
can own chDB's path: with chDB the index role runs in this process too, with its own clients.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import clickhouse_connect
import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError

from api.errors import UnavailableError
from streamproc.clients.clickhouse import client_options

MAX_PARALLEL = 4
MAX_QUERY_S = 20

Row = Sequence[Any]
_log = structlog.get_logger("framewire.api.rows")


class RowsUnavailableError(UnavailableError):
    """ClickHouse did not answer, or its tables do not exist yet."""

    code = "clickhouse_unavailable"


def query_client_options(url: str) -> dict[str, Any]:
    """Return clickhouse-connect's arguments for the api's queries. Raises `SettingError`."""
    return client_options(url, connect_timeout_s=3, answer_timeout_s=MAX_QUERY_S + 5)


class Rows:
    """Queries on the tables that the index writes. Use from one event loop."""

    def __init__(self, url: str) -> None:
        self._options = query_client_options(url)
        self._threads = ThreadPoolExecutor(MAX_PARALLEL, thread_name_prefix="clickhouse")
        self._local = threading.local()
        self._clients: list[Any] = []
        self._lock = threading.Lock()

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Return the rows of `sql`; ClickHouse itself binds its `{name:Type}` parameters.

        Raises RowsUnavailableError.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._query, sql, dict(parameters))

    async def probe(self) -> None:
        """Raise RowsUnavailableError if the tables cannot be read."""
        await self.query("SELECT 1 FROM tasks LIMIT 1", {})

    def close(self) -> None:
        """Close all clients; wait for running queries."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for client in self._clients:
            client.close()

    def _connect(self) -> Any:
        with self._lock:
            client = clickhouse_connect.get_client(**self._options)
            self._clients.append(client)
        return client

    def _query(self, sql: str, parameters: dict[str, Any]) -> Sequence[Row]:
        try:
            client = getattr(self._local, "client", None)
            if client is None:
                client = self._local.client = self._connect()
            settings = {"max_execution_time": MAX_QUERY_S}
            rows: Sequence[Row] = client.query(sql, parameters, settings=settings).result_rows
        except (ClickHouseError, OSError) as exc:
            _log.warning("query failed", error=type(exc).__name__, text=str(exc)[:300])
            raise RowsUnavailableError("ClickHouse does not answer.") from exc
        return rows
