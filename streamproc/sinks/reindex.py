"""`reindex`: the tables again, from S3 alone. Kafka is not asked.

Everything is read and checked task by task, and only rows are written; what a running index writes
at the same time are the same rows. `--empty` first empties the tables, for rows that should not be.
"""

import logging
import os
import secrets
import sys
from collections.abc import Iterable

import msgspec

from streamproc.contract import env
from streamproc.sinks.archived import archived_tasks, rebuild
from streamproc.sinks.clickhouse import IndexTables, client_factory
from streamproc.sinks.errors import DamagedLogError, SinkError
from streamproc.sinks.objects import Objects, S3Objects
from streamproc.sinks.settings import StoreSettings, log_level, required

LOG = logging.getLogger("framewire.reindex")


class Reindexed(msgspec.Struct, frozen=True):
    """How many tasks were written, and the others, each with what is wrong."""

    n_tasks: int
    damaged: dict[str, str]


def reindex(
    store: Objects,
    tables: IndexTables,
    *,
    empty: bool = False,
    only: Iterable[str] | None = None,
) -> Reindexed:
    """Write the rows of every archived task, or of the tasks `only` names.

    Raises `StoreUnavailableError` and `TablesUnavailableError`; it may be run again.
    """
    wanted = None if only is None else frozenset(only)
    salt = secrets.token_hex(8)  # emptied tables remember the blocks they had
    if empty:
        tables.truncate()
    n_tasks, damaged = 0, {}
    for project, task in archived_tasks(store):
        if wanted is not None and task not in wanted:
            continue
        try:
            rows = rebuild(store, project, task).take_rows()
        except (DamagedLogError, ValueError) as exc:
            LOG.error("%s: %s", task, exc)  # noqa: TRY400 - a finding, not a failure of ours
            damaged[task] = str(exc)
            continue
        except SinkError:
            raise
        except Exception as exc:  # one task's edge: the others are written all the same
            LOG.exception("%s: an unforeseen failure", task)
            damaged[task] = f"{type(exc).__name__}: {exc}"
            continue
        refused = [
            found
            for table, part in rows.by_table()
            for found in tables.insert(table, part, salt=salt)
        ]
        if refused:
            damaged[task] = f"{len(refused)} rows cannot be stored: {refused[0].reason}"
            LOG.error("%s: %s", task, damaged[task])
            continue
        n_tasks += 1
    return Reindexed(n_tasks, damaged)


def main(argv: list[str]) -> int:
    """Return 0, or 1 when a task's archive is damaged or an engine does not answer."""
    if [arg for arg in argv if arg != "--empty" and not arg.startswith("vt_")]:
        sys.stderr.write("usage: python -m streamproc reindex [--empty] [TASK…]\n")
        return 2
    try:
        logging.basicConfig(level=log_level(os.environ), format="%(levelname)s %(message)s")
        store = S3Objects(StoreSettings.from_environ())
        tables = IndexTables(client_factory(required(os.environ, env.CLICKHOUSE)))
        try:
            tasks = [arg for arg in argv if arg != "--empty"]
            result = reindex(store, tables, empty="--empty" in argv, only=tasks or None)
        finally:
            tables.close()
            store.close()
    except SinkError as exc:
        sys.stderr.write(f"reindex: {exc}\n")
        return 1
    sys.stdout.write(f"{result.n_tasks} tasks indexed, {len(result.damaged)} damaged\n")
    return 1 if result.damaged else 0
