"""What trials show is held against what `libraries.toml` says."""

from tests.clients.events import Difference
from tests.clients.faults import Fault
from tests.clients.libraries import Library
from tests.clients.proxy import Exchange
from tests.clients.report import table, unexpected
from tests.clients.trial import Mode, Outcome

ONE = [Exchange("/log", None, 200)]
LIBRARY = Library("one", "npm", "one", "one", "one", "itself", "waits", "stops", {"cut": "L"})


def results(fault: Fault, *outcomes: Outcome) -> dict[tuple[Fault, Mode], list[Outcome]]:
    return {(fault, Mode.LIVE): list(outcomes)}


def outcome(*notes: str, n_requests: int = 1, timed_out: bool = False, **counts: int) -> Outcome:
    return Outcome(Difference(**counts), ONE * n_requests, list(notes), timed_out)


def test_what_is_said_and_seen_is_nothing_to_tell() -> None:
    seen = {
        **results(Fault.CUT, outcome(lost=3), outcome()),
        **results(Fault.REFUSAL, outcome("called again: cut")),
        **results(Fault.STALL, outcome()),
    }
    assert unexpected(LIBRARY, seen, "stops") == []


def test_a_loss_that_is_not_said_is_told() -> None:
    assert unexpected(LIBRARY, results(Fault.PIECES, outcome(lost=1)), None) == ["pieces: L"]
    assert unexpected(LIBRARY, results(Fault.CUT, outcome(lost=1, repeated=2)), None) == ["cut: D"]


def test_an_example_has_to_be_exact() -> None:
    assert unexpected(None, results(Fault.CUT, outcome(lost=1)), None) == ["cut: L"]
    assert unexpected(None, results(Fault.CUT, outcome()), None) == []


def test_a_client_that_does_not_end_or_fails_is_told() -> None:
    assert unexpected(None, results(Fault.CUT, outcome(timed_out=True)), None)
    assert unexpected(None, results(Fault.CUT, outcome("it ended with 1: oh")), None)


def test_who_asks_again_is_told() -> None:
    seen = results(Fault.REFUSAL, outcome("opened anew"))
    assert unexpected(LIBRARY, seen, None) == ["refused: caller, not itself"]
    seen = results(Fault.STALL, outcome(n_requests=2))
    assert unexpected(LIBRARY, seen, None) == ["silence: asks again, not waits"]
    assert unexpected(LIBRARY, {}, "asks on") == ["end: asks on, not stops"]


def test_the_table_sums_up_what_differed() -> None:
    rows = table({"one": results(Fault.CUT, outcome(lost=1), outcome(lost=2, truncated=1))})
    assert "L3 X1" in rows.splitlines()[1]
