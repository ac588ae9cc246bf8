"""The bytes of the log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.contract.framing import frame_event, parse_events

DATA = st.binary(max_size=200).filter(lambda b: b"\n" not in b and b"\r" not in b)


@given(st.lists(DATA, max_size=8), st.integers(0, 10**7))
def test_events_parse_back_with_their_own_ends(datas: list[bytes], start: int) -> None:
    log, at = b"", start
    for data in datas:
        log += frame_event(data, at)
        at = start + len(log)
    events = list(parse_events(log, start))
    assert [event.data for event in events] == datas
    assert [event.end for event in events] == [
        int(line.removeprefix(b"id: ")) for line in log.split(b"\n") if line.startswith(b"id: ")
    ]
    assert not events or events[-1].end == start + len(log)


@pytest.mark.parametrize("start", range(60, 110))
def test_the_smallest_consistent_end_is_taken_around_a_power_of_ten(start: int) -> None:
    event = frame_event(b"x", start)
    end = int(event.split(b"\n")[0].removeprefix(b"id: "))
    assert end == start + len(event)
    shorter = [e for e in range(start, end) if start + len(b"id: %d\ndata: x\n\n" % e) == e]
    assert shorter == []


def test_a_line_break_in_data_is_refused() -> None:
    with pytest.raises(ValueError, match="line breaks"):
        frame_event(b"a\nb", 0)


def test_a_wrong_end_is_refused() -> None:
    with pytest.raises(ValueError, match="no event"):
        list(parse_events(b"id: 9\ndata: x\n\n"))
