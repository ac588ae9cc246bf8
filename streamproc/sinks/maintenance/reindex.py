"""`reindex`: rebuilds the tables from S3 only, without Kafka.

Tasks are read and checked one by one, and only rows are written; a running index writes the same
rows concurrently. Nothing of a task is written before its whole log was checked: a long log is read
twice, and its rows are never in memory as a whole. `--empty` removes rows that should not exist: it
writes new tables and swaps them with the old ones once they are complete. Until then the old ones
are unchanged. Rows of tasks that could not be read, or of which the index has more than S3, are
copied from the old tables.
"""

import json
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import msgspec
import structlog

from streamproc.clients.clickhouse import client_factory
from streamproc.clients.object_store import Objects, S3Objects
from streamproc.clients.settings import describe_stores, log_level, required
from streamproc.contract import env
from streamproc.contract.object_keys import request_key
from streamproc.contract.setting_error import SettingError
from streamproc.contract.store_settings import StoreSettings
from streamproc.errors import SinkError
from streamproc.logging_setup import configure_logging
from streamproc.sinks.errors import DamagedLogError, EmptyStoreError
from streamproc.sinks.index.tables import IndexTables
from streamproc.sinks.index.task import TaskRows
from streamproc.sinks.maintenance.archived_task import archived_tasks
from streamproc.sinks.maintenance.rebuild import rebuild

_log = structlog.get_logger("framewire.reindex")

_N_IN_MEMORY = 8
"""A task with more lists of rows (`rebuild.ROWS_AT_ONCE`) is read twice."""

_OPTIONS = frozenset({"--empty", "--json", "--yes"})


class Reindexed(msgspec.Struct, frozen=True):
    """Number of tasks written, and the damaged tasks, each with the reason."""

    n_tasks: int
    damaged: dict[str, str]


def reindex(
    store: Objects,
    tables: IndexTables,
    *,
    empty: bool = False,
    only: Iterable[str] | None = None,
    sure: bool = False,
) -> Reindexed:
    """Write the rows of every archived task, or only of the tasks in `only`.

    `empty`, only for all tasks: no other rows remain afterwards. Raises `EmptyStoreError` unless
    `sure`, `StoreUnavailableError` and `TablesUnavailableError`; it may be run again.
    """
    if empty and only is not None:
        raise ValueError("tables are emptied for all tasks alone")
    found = tasks_of(store, tables, sure=sure)
    if empty:
        return _replace(store, tables, found)
    wanted = None if only is None else frozenset(only)
    return _write(store, tables, (at for at in found if wanted is None or at[1] in wanted))


def tasks_of(store: Objects, tables: IndexTables, *, sure: bool) -> Iterator[tuple[str, str]]:
    """Return `(project, task)` of every archived task.

    Raises `EmptyStoreError` if there is none, the index has tasks, and `sure` is False.
    """
    found = archived_tasks(store)
    first = next(found, None)
    if first is not None:
        return chain((first,), found)
    n_indexed = 0 if sure else len(tables.lengths())
    if n_indexed:
        raise EmptyStoreError(
            f"the object store has no task, and the index has {n_indexed}: these are hardly the"
            " stores of one stack; --yes goes on all the same"
        )
    return iter(())


def _replace(store: Objects, tables: IndexTables, found: Iterable[tuple[str, str]]) -> Reindexed:
    """Write a new set of tables and swap it with the old one."""
    successor = tables.make_successor()
    try:
        read: set[str] = set()
        result = _write(store, successor, _noted(found, read))
        kept = _further(store, tables.lengths(), successor.lengths(), read, result.damaged)
        successor.take(tables, kept)
        tables.exchange()
        # A running index may have written to the old ones until now.
        old, new = successor.lengths(), tables.lengths()
        tables.take(successor, _further(store, old, new, read, {}))
    finally:
        successor.close()
        tables.drop_successor()
    return result


def _noted(found: Iterable[tuple[str, str]], read: set[str]) -> Iterator[tuple[str, str]]:
    for project, task in found:
        read.add(task)
        yield project, task


def _further(
    store: Objects,
    old: Mapping[str, tuple[str, int]],
    new: Mapping[str, tuple[str, int]],
    read: set[str],
    damaged: Mapping[str, str],
) -> list[str]:
    """Return the tasks whose rows in `old` are kept: S3 has less, or is unreadable."""
    return [
        task
        for task, (project, length) in old.items()
        if task in damaged
        or (
            length > new.get(task, ("", -1))[1]
            and (task in read or store.head(request_key(project, task)) is not None)
        )
    ]


def _write(store: Objects, tables: IndexTables, found: Iterable[tuple[str, str]]) -> Reindexed:
    salt = secrets.token_hex(8)  # truncated tables remember the tokens of former blocks
    n_tasks, damaged = 0, {}
    for project, task in found:
        try:
            n_refused, reason = _insert(tables, _checked(store, project, task), salt)
        except (DamagedLogError, ValueError) as exc:
            _log.error("task is damaged", task=task, reason=str(exc))
            damaged[task] = str(exc)
            continue
        except SinkError:
            raise
        except Exception as exc:  # noqa: BLE001 - one task's edge: the others are still written
            _log.exception("unexpected failure", task=task)
            damaged[task] = f"{type(exc).__name__}: {exc}"
            continue
        if n_refused:
            damaged[task] = f"{n_refused} rows cannot be stored: {reason}"
            _log.error("task is damaged", task=task, reason=damaged[task])
            continue
        n_tasks += 1
    return Reindexed(n_tasks, damaged)


def _checked(store: Objects, project: str, task: str) -> Iterable[TaskRows]:
    """Return the task's rows, once its whole log was checked."""
    kept: list[TaskRows] = []
    n_lists = 0
    for rows in rebuild(store, project, task):
        n_lists += 1
        if n_lists <= _N_IN_MEMORY:
            kept.append(rows)
        else:
            kept.clear()
    return kept if n_lists <= _N_IN_MEMORY else rebuild(store, project, task)


def _insert(tables: IndexTables, found: Iterable[TaskRows], salt: str) -> tuple[int, str]:
    """Write the rows; return how many were refused, and why the first one was."""
    n_refused, reason = 0, ""
    for rows in found:
        for table, part in rows.by_table():
            for refused in tables.insert(table, part, salt=salt):
                n_refused, reason = n_refused + 1, reason or refused.reason
    return n_refused, reason


def main(argv: list[str]) -> int:
    """Return 0, or 1 if a task's archive is damaged or a store does not answer, 2 on bad usage.

    Prints how many tasks were written; with --json one line: `{"tasks", "damaged": {task: why}}`.
    """
    tasks = [arg for arg in argv if arg not in _OPTIONS]
    empty = "--empty" in argv
    if [task for task in tasks if not task.startswith("vt_")] or (empty and tasks):
        sys.stderr.write("usage: python -m streamproc reindex [--yes] [--json] [--empty | TASK…]\n")
        return 2
    try:
        configure_logging(log_level(os.environ))
        settings, url = StoreSettings.from_environ(os.environ), required(os.environ, env.CLICKHOUSE)
        sys.stderr.write(f"reindex: {describe_stores(settings, url)}\n")
        store, tables = S3Objects(settings), IndexTables(client_factory(url))
        try:
            result = reindex(store, tables, empty=empty, only=tasks or None, sure="--yes" in argv)
        finally:
            tables.close()
            store.close()
    except (SinkError, SettingError) as exc:
        sys.stderr.write(f"reindex: {exc}\n")
        return 1
    if "--json" in argv:
        sys.stdout.write(f"{json.dumps({'tasks': result.n_tasks, 'damaged': result.damaged})}\n")
    else:
        sys.stdout.write(f"{result.n_tasks} tasks indexed, {len(result.damaged)} damaged\n")
    return 1 if result.damaged else 0
