"""What a claim states of the task."""

from typing import Any

from streamproc.contract.records import decode_claim
from streamproc.worker.claims import SliceClaimer
from streamproc.worker.task_state import Incarnation, TaskState
from tests.streamproc.memory_log import SUBMITTED
from tests.streamproc.worker.world import Reader, Writer


class Engines:
    def resolve(self, name: str, precision: str) -> tuple[str, str]:
        return "CPU", "f32"


def test_every_claim_after_the_first_states_when_the_task_started() -> None:
    log, engines = Writer(), Engines()
    claimer = SliceClaimer(Incarnation("w", 1), log, engines)  # type: ignore[arg-type]
    for _ in range(3):  # workers die before they write anything
        state = TaskState.at(SUBMITTED)
        reader: Any = Reader(log)
        reader.read_on(state, SUBMITTED)
        taken = claimer.take(SUBMITTED, state, reader)
        assert taken is not None
        assert taken.started_ms == 1  # the time of the records that `Reader` gives
    claims = [decode_claim(record.value) for record in log.records]
    assert [claim and claim.started_ms for claim in claims] == [0, 1, 1]
