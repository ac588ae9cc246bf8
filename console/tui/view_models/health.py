"""Health of the service as the header shows it: the worst of its parts. Pure."""

import msgspec

from api.contract.system import SystemResource
from console.tui.drawing.styled_text import Span
from console.tui.view_models.connection import ConnectionState

PART_TITLES = {
    "kafka": "Kafka",
    "s3": "S3",
    "clickhouse": "ClickHouse",
    "directory": "keys",
    "log": "log",
    "worker": "workers",
    "archive": "archive",
    "index": "index",
}
STALL_S = 5.0
"""A stream without a new chunk for this long is called stalled, unless its chunks are that rare."""
_STALL_FACTOR = 3.0
_MOST_FAULTS = 2


class Health(msgspec.Struct, frozen=True):
    """Health by the last answer of `/v1/system`; `faults` name the parts that do not work."""

    is_known: bool = False
    faults: tuple[str, ...] = ()
    busy: int = 0
    slots: int = 0

    @property
    def words(self) -> str:
        """Return the faults in a few words: `no worker · S3`; empty if there is none."""
        shown = list(self.faults[:_MOST_FAULTS])
        more = len(self.faults) - len(shown)
        return " · ".join([*shown, *([f"+{more}"] if more else [])])


def health_of(system: SystemResource) -> Health:
    """Return the health; without a worker nothing is processed, so that is the first fault."""
    alive = [worker for worker in system.workers if worker.alive]
    faults = [] if alive else ["no worker"]
    faults += [PART_TITLES.get(part.name, part.name) for part in system.parts if not part.ready]
    return Health(
        is_known=True,
        faults=tuple(faults),
        busy=sum(worker.busy for worker in alive),
        slots=sum(worker.slots for worker in alive),
    )


def stall(
    idle_s: float, usual_gap_s: float, health: Health, link: ConnectionState, *, is_pending: bool
) -> Span | None:
    """Return what to say of a stream without a new chunk for `idle_s`; None if that is usual.

    `usual_gap_s` is a long gap between two chunks of this stream, 0 if unknown.
    """
    if idle_s < max(STALL_S, _STALL_FACTOR * usual_gap_s):
        return None
    if not link.is_fine:
        why = link.detail
    elif is_pending and not health.faults and health.slots and health.busy >= health.slots:
        why = "all workers are busy"
    elif is_pending and not health.faults:
        why = "not taken by a worker yet"
    else:
        why = idle_reason(health)
    return f"{'waiting' if is_pending else 'stalled'} {idle_s:.0f} s: {why}", "warn"


def idle_reason(health: Health) -> str:
    """Return why a running task makes no progress, as far as it is known."""
    return health.words.replace("no worker", "no worker alive") or "no chunk from its worker"
