"""`verify`: checks that S3 is consistent, and that the tables match it.

Per task: segments without gaps, complete events with correct offsets, readable vectors, final.json
with the log's actual length and SHA-256. Then every row expected from the log is compared with the
tables. A running task is compared up to its archived end, and only if the index is not ahead. A
request with neither log nor row was stored but then refused, because Kafka was unavailable: it is
not a task. Rows are compared by their hashes, which wait in temporary files: memory does not grow
with the length of a live task's log.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import NamedTuple

import msgspec

from streamproc.clients.clickhouse import client_factory
from streamproc.clients.object_store import Objects, S3Objects
from streamproc.clients.settings import describe_stores, log_level, required
from streamproc.contract import env
from streamproc.contract.setting_error import SettingError
from streamproc.contract.store_settings import StoreSettings
from streamproc.contract.tables import TABLES, TASKS, TaskRow
from streamproc.errors import SinkError
from streamproc.logging_setup import configure_logging
from streamproc.sinks.archive.segments import first_kept
from streamproc.sinks.errors import DamagedLogError
from streamproc.sinks.index.tables import IndexTables
from streamproc.sinks.maintenance.archived_task import archived_tasks
from streamproc.sinks.maintenance.rebuild import ROWS_AT_ONCE, rebuild
from streamproc.sinks.maintenance.reindex import tasks_of
from streamproc.sinks.maintenance.row_difference import RowDifference


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
            yield from _task_findings(store, tables, project, task)
        except (DamagedLogError, ValueError) as exc:
            yield Finding(task, "archive", str(exc))
        except SinkError:
            raise
        except Exception as exc:  # noqa: BLE001 - one task's edge: the others are compared
            yield Finding(task, "archive", f"{type(exc).__name__}: {exc}")


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


def _task_findings(
    store: Objects, tables: IndexTables | None, project: str, task: str
) -> Iterator[Finding]:
    """Read the task's log, then compare; of one whose beginning has expired, only the task row."""
    is_compared = tables is not None and first_kept(store, project, task) == 0
    with ExitStack() as opened:
        differences = {
            table: opened.enter_context(RowDifference())
            for table in (TABLES if is_compared else ())
        }
        wanted = None
        for rows in rebuild(store, project, task):
            wanted = rows.tasks[0] if rows.tasks else None
            for table, part in rows.by_table():
                if table in differences:
                    differences[table].expect(part)
        if tables is None or wanted is None:
            return
        if first_kept(store, project, task):
            differences.clear()  # it may have expired while it was read
        try:
            yield from _compare(wanted, differences, tables)
        except msgspec.ValidationError as exc:
            yield Finding(task, "tables", f"a row cannot be read: {exc}")


def _compare(
    wanted: TaskRow, differences: Mapping[str, RowDifference], tables: IndexTables
) -> Iterator[Finding]:
    """Yield the differences between the tables and the rows that are expected in them."""
    task = wanted.task_id
    (found,) = tables.select(TASKS, [task]) or (None,)
    if found is None:
        if wanted.log_length:
            yield Finding(task, TASKS, "is missing")
        return
    if found.log_length > wanted.log_length:
        return  # the index is ahead of the archive
    for table, difference in differences.items():
        pages = [[found]] if table == TASKS else tables.pages(table, task, ROWS_AT_ONCE[table])
        if what := difference.find(pages):
            yield Finding(task, table, what)
