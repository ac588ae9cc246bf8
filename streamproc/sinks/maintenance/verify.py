"""`verify`: checks that S3 is consistent, and that the tables match it.

Per task: segments without gaps, complete events with correct offsets, readable vectors, final.json
with the log's actual length and SHA-256. Then every row expected from the log is compared with the
tables. A running task is compared up to its archived end, and only if the index is not ahead. A
request with neither log nor row was stored but then refused, because Kafka was unavailable: it is
not a task.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from streamproc.clients.clickhouse import client_factory
from streamproc.clients.object_store import Objects, S3Objects
from streamproc.clients.settings import describe_stores, log_level, required
from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.contract.store_settings import StoreSettings
from streamproc.contract.tables import DETECTIONS, TASKS
from streamproc.errors import SinkError
from streamproc.logging_setup import configure_logging
from streamproc.sinks.archive.segments import first_kept
from streamproc.sinks.errors import DamagedLogError
from streamproc.sinks.index.tables import IndexTables
from streamproc.sinks.index.task import IndexedTask
from streamproc.sinks.maintenance.archived_task import archived_tasks, rebuild
from streamproc.sinks.maintenance.reindex import tasks_of


class Finding(NamedTuple):
    """A problem with a task; `where` is `archive` or the table."""

    task: str
    where: str
    what: str


def verify(store: Objects, tables: IndexTables | None, *, sure: bool = False) -> Iterator[Finding]:
    """Yield the problems found; `tables` None: check only S3.

    Raises `EmptyStoreError` unless `sure`, `StoreUnavailableError` and `TablesUnavailableError`.
    """
    found = archived_tasks(store) if tables is None else tasks_of(store, tables, sure=sure)
    for project, task in found:
        try:
            indexed = rebuild(store, project, task)
        except (DamagedLogError, ValueError) as exc:
            yield Finding(task, "archive", str(exc))
            continue
        except SinkError:
            raise
        except Exception as exc:  # noqa: BLE001 - one task's edge: the others are compared
            yield Finding(task, "archive", f"{type(exc).__name__}: {exc}")
            continue
        if tables is None:
            continue
        try:
            yield from _compare(indexed, tables, is_whole=first_kept(store, project, task) == 0)
        except msgspec.ValidationError as exc:
            yield Finding(task, "tables", f"a row cannot be read: {exc}")


def main(argv: list[str]) -> int:
    """Print the findings; return 0 if none, 1 if any or if a store does not answer, 2: usage.

    With --json they are one line: `{"findings": [{"task", "where", "what"}]}`.
    """
    if not set(argv) <= {"--yes", "--json"}:
        sys.stderr.write("usage: python -m streamproc verify [--yes] [--json]\n")
        return 2
    as_json = "--json" in argv
    findings: list[Finding] = []
    try:
        configure_logging(log_level(os.environ))
        settings, url = StoreSettings.from_environ(os.environ), required(os.environ, env.CLICKHOUSE)
        sys.stderr.write(f"verify: {describe_stores(settings, url)}\n")
        store, tables = S3Objects(settings), IndexTables(client_factory(url))
        try:
            for found in verify(store, tables, sure="--yes" in argv):
                findings.append(found)
                if not as_json:
                    sys.stdout.write(f"{found.task} {found.where}: {found.what}\n")
        finally:
            tables.close()
            store.close()
    except (SinkError, SettingError) as exc:
        sys.stderr.write(f"verify: {exc}\n")
        return 1
    if as_json:
        sys.stdout.write(f"{json.dumps({'findings': [found._asdict() for found in findings]})}\n")
    else:
        sys.stdout.write(f"{len(findings)} findings\n")
    return 1 if findings else 0


def _compare(indexed: IndexedTask, tables: IndexTables, *, is_whole: bool) -> Iterator[Finding]:
    """Yield the differences; of a log whose beginning has expired, only whether it has a row."""
    task = indexed.row.task_id
    rows = indexed.take_rows()
    (wanted,) = rows.tasks
    (found,) = tables.select(TASKS, [task]) or (None,)
    if found is None:
        if wanted.log_length:
            yield Finding(task, TASKS, "is missing")
        return
    if found.log_length > wanted.log_length or not is_whole:
        return  # the index is ahead of the archive, or counts what has expired: both are right
    for table, expected in rows.by_table():
        if table != TASKS:
            difference = _difference(table, expected, tables.select(table, [task]))
        else:
            difference = _difference(table, [wanted], [found])
        if difference:
            yield Finding(task, table, difference)


def _difference(table: str, expected: Sequence[Any], found: Sequence[Any]) -> str:
    """Return the difference, empty if there is none; the writers' epochs are not compared."""
    if table == DETECTIONS:
        expected = [msgspec.structs.replace(row, epoch=0) for row in expected]
        found = [msgspec.structs.replace(row, epoch=0) for row in found]
    wanted = {msgspec.json.encode(row) for row in expected}
    stored = {msgspec.json.encode(row) for row in found}
    n_missing, n_foreign = len(wanted - stored), len(stored - wanted)
    if not n_missing and not n_foreign:
        return ""
    return f"{n_missing} rows are missing or differ, {n_foreign} rows do not belong there"
