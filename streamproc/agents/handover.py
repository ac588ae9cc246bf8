"""The end of a slice: who takes the task on from here. Nothing is acknowledged before.

A slice that is over is followed by its `continue` message, unless the log is closed or a claim of
a higher rank has come since (`standing.Rank`): then another message carries the task already. It
is followed by one, too, when it was shut out by a claim of no higher rank: a late one, of a run
that may die, whose message others have acknowledged long since.
"""

from streamproc.agents.log import LogReader, LogWriter
from streamproc.agents.standing import Standing, rank_of, slice_of, submission
from streamproc.contract.fold import Fold
from streamproc.contract.records import Claim, Continue, FoldPoint, TaskMessage


def hand_over(
    writer: LogWriter,
    reader: LogReader,
    message: TaskMessage,
    claim: Claim,
    after_claim: FoldPoint,
    *,
    started_ms: int,
    closes: bool,
    n_records: int | None = None,
) -> None:
    """Write the `continue` message if one is needed.

    `after_claim` is the fold just after `claim`, `closes`: the slice wrote a terminal. `n_records`
    is how many records it wrote: if they are all that came to the partition since, nobody has
    claimed, and nothing needs to be read.
    Raises `LogUnavailableError` when Kafka does not answer.
    """
    submitted = submission(message)
    end = reader.end(submitted.partition)
    if n_records is not None and end == after_claim.position + n_records:
        closed, overtaken = closes, False
    else:
        standing = Standing(Fold.at(after_claim), last_claim=claim)
        for record in reader.read(submitted.partition, after_claim.position, end, submitted.task):
            standing.take(record)
        closed = standing.fold.closed
        overtaken = standing.rank > rank_of(claim)
    if closed or overtaken:
        return
    writer.send_task(
        Continue(
            submitted=submitted,
            slice=slice_of(message) + 1,
            point=after_claim,
            parent=after_claim.epoch,
            claim=claim,
            started_ms=started_ms,
        ),
        submitted.task,
        submitted.partition,
    )
