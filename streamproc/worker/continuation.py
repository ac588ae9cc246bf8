"""Continuation of a task after a slice: its `continue` message, written before the acknowledgement.

A slice that ended writes a `continue` message, unless the log is closed or a claim of a higher rank
was written since (`task_state.Rank`): then another message already carries the task. A `continue`
is also written if a late claim of equal or lower rank fenced this slice: the run of that claim may
crash, and its message may be acknowledged already, so nothing else would continue the task.
"""

from streamproc.contract.records import Continue
from streamproc.worker.claims import ClaimedSlice
from streamproc.worker.task_log import LogReader, LogWriter
from streamproc.worker.task_state import slice_of


def schedule_continuation(
    writer: LogWriter,
    reader: LogReader,
    taken: ClaimedSlice,
    *,
    closes: bool = False,
    n_records: int | None = None,
) -> None:
    """Write the `continue` message if one is needed.

    `closes`: the slice wrote a terminal. `n_records` is the number of records that it wrote: if the
    partition received no others since the claim, there is no newer claim and nothing to read.
    Raises `LogUnavailableError` if Kafka does not answer.
    """
    submitted = taken.submitted
    end = reader.end(submitted.partition)
    if n_records is not None and end == taken.point.position + n_records:
        goes_on = not closes
    else:
        reader.read_on(taken.task_state, submitted, end)
        goes_on = taken.task_state.continues_after(taken.claim)
    if not goes_on:
        return
    writer.send_task(
        Continue(
            submitted=submitted,
            slice=slice_of(taken.message) + 1,
            point=taken.point,
            parent=taken.point.epoch,
            claim=taken.claim,
            started_ms=taken.started_ms,
        )
    )
