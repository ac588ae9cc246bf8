"""A real chDB: one engine in this process, a database for each test with the tables, empty.

To make the tables takes .3 s of CPU time, to empty them a hundredth of it. So a database is used
again, unless a test has left other tables in it, or other columns or constraints.
"""

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from streamproc.clients.clickhouse import ClientFactory, client_factory
from streamproc.contract.tables import TABLES
from streamproc.sinks.index.tables import IndexTables


class Databases:
    """Databases of one engine, and which of them are as new."""

    def __init__(self, chdb_path: Path) -> None:
        self._path = chdb_path
        self._made: dict[str, dict[str, str]] = {}
        self._free: list[str] = []
        self._owner = client_factory(f"chdb://{chdb_path}?database=default")()

    def connect(self, database: str) -> ClientFactory:
        return client_factory(f"chdb://{self._path}?database={database}")

    def lend(self) -> str:
        if not self._free:
            name = f"t_{secrets.token_hex(6)}"
            tables = IndexTables(self.connect(name))
            tables.prepare()
            tables.close()
            self._made[name] = self._statements(name)
            self._free.append(name)
        return self._free.pop()

    def take_back(self, database: str) -> None:
        """Empty the tables. A database that has become another one is not lent again."""
        if self._statements(database) != self._made[database]:
            return
        for table in TABLES:
            self._owner.command(f"TRUNCATE TABLE {database}.{table}")
        self._free.append(database)

    def close(self) -> None:
        self._owner.close()

    def _statements(self, database: str) -> dict[str, str]:
        query = "SELECT name, create_table_query FROM system.tables WHERE database = {db:String}"
        return dict(self._owner.query(query, {"db": database}).result_rows)


@pytest.fixture(scope="session")
def databases(chdb_path: Path) -> Iterator[Databases]:
    with closing(Databases(chdb_path)) as databases:
        yield databases


@pytest.fixture
def connect(databases: Databases) -> Iterator[ClientFactory]:
    """Opens clients of a database of the test's own, with the index's tables, empty."""
    database = databases.lend()
    yield databases.connect(database)
    databases.take_back(database)


@pytest.fixture
def tables(connect: ClientFactory) -> Iterator[IndexTables]:
    """The index's tables, empty."""
    opened = IndexTables(connect)
    yield opened
    opened.close()
