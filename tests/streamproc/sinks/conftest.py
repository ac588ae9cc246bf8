"""A real chDB: one engine in this process, a database of its own for each test."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.sinks.clickhouse import ClientFactory, IndexTables, client_factory


@pytest.fixture
def connect(chdb_path: Path) -> ClientFactory:
    """Opens clients of a fresh database."""
    return client_factory(f"chdb://{chdb_path}?database=t_{secrets.token_hex(6)}")


@pytest.fixture
def tables(connect: ClientFactory) -> Iterator[IndexTables]:
    """The index's tables, empty."""
    opened = IndexTables(connect)
    yield opened
    opened.close()
