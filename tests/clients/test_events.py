"""What a client delivered otherwise is counted, whatever it did with the events."""

import pytest

from tests.clients.events import DONE, Difference, Event, compare, parse

TRUTH = [Event("30", '{"n":1.50}'), Event("62", '{"n":2}'), Event("80", DONE)]


def test_either_line_of_an_event_may_come_first() -> None:
    log = b"id: 17\ndata: {}\n\n: silence\n\ndata: [DONE]\nid: 50\n\nid: 70\ndata: cut"
    assert parse(log) == [Event("17", "{}"), Event("50", DONE)]


def test_the_same_events_are_exact() -> None:
    assert str(compare(TRUTH, TRUTH)) == "exact"


def test_a_library_may_keep_ids_to_itself_and_write_numbers_in_its_way() -> None:
    told = [Event("", '{"n": 1.5}'), Event("", '{"n": 2.0}'), Event("", DONE)]
    assert str(compare(TRUTH, told)) == "exact"


@pytest.mark.parametrize(
    ("delivered", "difference"),
    [
        ([TRUTH[0], TRUTH[2]], Difference(lost=1)),
        ([TRUTH[0], TRUTH[0], TRUTH[1], TRUTH[2]], Difference(repeated=1)),
        ([TRUTH[0], Event("62", '{"n":'), TRUTH[2]], Difference(lost=1, truncated=1)),
        ([TRUTH[0], TRUTH[1]._replace(id="6"), TRUTH[2]], Difference(misnamed=1)),
        ([TRUTH[1], TRUTH[0], TRUTH[2]], Difference(disordered=2)),
        ([], Difference(lost=3)),
    ],
)
def test_what_differs_is_counted(delivered: list[Event], difference: Difference) -> None:
    assert compare(TRUTH, delivered) == difference


def test_a_log_whose_events_cannot_be_told_apart_proves_nothing() -> None:
    with pytest.raises(ValueError, match="the same data"):
        compare([TRUTH[0], TRUTH[0]], TRUTH)
