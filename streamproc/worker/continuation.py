"""The end of a slice: who takes the task on from here. Nothing is acknowledged before.

A slice that is over is followed by its `continue` message, unless the log is closed or a claim of
a higher rank has come since (`task_state.Rank`): then another message carries the task already. It
is followed by one, too, when it was shut out by a claim of no higher rank: a late one, of a run
that may die, whose message others have acknowledged long since.
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

    `closes`: the slice wrote a terminal. `n_records` is how many records it wrote: if they are all
    that came to the partition since, nobody has claimed, and nothing needs to be read.
    Raises `LogUnavailableError` when Kafka does not answer.
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
        ),
        submitted.task,
        submitted.partition,
    )
