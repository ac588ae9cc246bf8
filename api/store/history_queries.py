"""ClickHouse queries on the samples of workers' heartbeats and of consumer lag."""

from collections.abc import Sequence

import msgspec

from api.store.clickhouse import Rows
from streamproc.contract.lag_history import LAG_SAMPLES
from streamproc.contract.worker_history import WORKER_SAMPLES

_STEP = """{from:Int64} + intDiv(toUnixTimestamp(at) - {from:Int64}, {step:Int64})
    * {step:Int64} AS at_s"""
_IN_RANGE = "at >= toDateTime({from:Int64}, 'UTC') AND at < toDateTime({to:Int64}, 'UTC')"
_COLUMNS = f"""worker, {_STEP}, avg(fps), avg(cpu_percent), max(rss_bytes), avg(busy), max(slots),
    argMax(processed_frames, at)"""


class WorkerPoint(msgspec.Struct, frozen=True):
    """One worker in one step of time from `at_s` (Unix seconds) on.

    Rates and `busy` are means, memory and `slots` maxima, `processed_frames` the last count.
    """

    worker: str
    at_s: int
    fps: float
    cpu_percent: float | None
    rss_bytes: int
    busy: float
    slots: int
    processed_frames: int


class LagPoint(msgspec.Struct, frozen=True):
    """A group's largest lag in one step of time from `at_s` (Unix seconds) on."""

    group: str
    topic: str
    at_s: int
    lag: int


class Steps(msgspec.Struct, frozen=True):
    """Steps of `step_s` seconds in `[from_s, to_s)` (Unix seconds); at most `limit` points."""

    from_s: int
    to_s: int
    step_s: int
    limit: int

    def parameters(self) -> dict[str, object]:
        return {"from": self.from_s, "to": self.to_s, "step": self.step_s, "limit": self.limit}


async def list_worker_points(rows: Rows, steps: Steps, worker: str | None) -> Sequence[WorkerPoint]:
    """Return the points of one worker or of all, by worker and time."""
    parameters = steps.parameters()
    condition = _IN_RANGE
    if worker is not None:
        condition += " AND worker = {worker:String}"
        parameters["worker"] = worker
    found = await rows.query(
        f"SELECT {_COLUMNS} FROM {WORKER_SAMPLES} FINAL WHERE {condition}"  # noqa: S608 - constants
        " GROUP BY worker, at_s ORDER BY worker, at_s LIMIT {limit:UInt32}",
        parameters,
    )
    return [WorkerPoint(*row) for row in found]


async def list_lag_points(rows: Rows, steps: Steps) -> Sequence[LagPoint]:
    """Return the points by group, topic and time.

    Raises RowsUnavailableError also while an index of an older version has not made the table.
    """
    found = await rows.query(
        f"SELECT consumer_group, topic, {_STEP}, max(lag) FROM {LAG_SAMPLES} FINAL"  # noqa: S608 - constants
        f" WHERE {_IN_RANGE} GROUP BY consumer_group, topic, at_s"
        " ORDER BY consumer_group, topic, at_s LIMIT {limit:UInt32}",
        steps.parameters(),
    )
    return [LagPoint(*row) for row in found]
