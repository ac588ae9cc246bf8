"""The bytes of the log, in the order of today and in that of earlier versions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.contract.chunk import (
    CHUNK_OBJECT,
    Chunk,
    Delta,
    Result,
    Roi,
    StreamInfo,
    Target,
    decode_chunk,
    encode_chunk,
)
from streamproc.contract.framing import frame_event, parse_events
from tests.id_first import frame_id_first

DATA = st.binary(max_size=200).filter(lambda b: b"\n" not in b and b"\r" not in b)


def test_the_data_stands_before_the_id() -> None:
    assert frame_event(b"{}", 100) == b"data: {}\nid: 118\n\n"


@given(st.lists(st.tuples(DATA, st.booleans()), max_size=8), st.integers(0, 10**7))
def test_events_parse_back_with_their_own_ends(
    written: list[tuple[bytes, bool]], start: int
) -> None:
    """Whichever order each of them has."""
    log, ends = b"", []
    for data, is_id_first in written:
        log += (frame_id_first if is_id_first else frame_event)(data, start + len(log))
        ends.append(start + len(log))
    events = list(parse_events(log, start))
    assert [event.data for event in events] == [data for data, _ in written]
    assert [event.end for event in events] == ends
    assert not events or events[-1].end == start + len(log)


@pytest.mark.parametrize("start", range(60, 110))
def test_the_smallest_consistent_end_is_taken_around_a_power_of_ten(start: int) -> None:
    event = frame_event(b"x", start)
    end = int(event.split(b"\n")[1].removeprefix(b"id: "))
    assert end == start + len(event)
    shorter = [e for e in range(start, end) if start + len(b"data: x\nid: %d\n\n" % e) == e]
    assert shorter == []


def test_a_line_break_in_data_is_refused() -> None:
    with pytest.raises(ValueError, match="line breaks"):
        frame_event(b"a\nb", 0)


@given(DATA, st.integers(0, 10**7))
def test_both_orders_have_the_same_length_and_end(data: bytes, start: int) -> None:
    today, earlier = frame_event(data, start), frame_id_first(data, start)
    assert list(parse_events(today, start)) == list(parse_events(earlier, start))
    assert len(today) == len(earlier)


def test_a_wrong_end_is_refused() -> None:
    for block in (b"id: 9\ndata: x\n\n", b"data: x\nid: 9\n\n"):
        with pytest.raises(ValueError, match="no event"):
            list(parse_events(block))


@pytest.mark.parametrize(
    "block",
    [
        b"data: x",
        b"id: 13",
        b"data: x\nid: 14",
        b"data: x\nid: 013",
        b"data: x\nid: 13\nid: 13",
        b"data: x\ndata: y",
        b"id: 13\nid: 13",
        b"data: x\n\rid: 13",
        b"xdata: x\nid: 13",
        b"data: x\n",
        b"",
    ],
)
def test_what_no_version_wrote_is_refused(block: bytes) -> None:
    with pytest.raises(ValueError, match="no event"):
        list(parse_events(block + b"\n\n"))


@given(
    st.text(st.characters(codec="utf-8") | st.sampled_from("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"))
)
def test_a_chunk_is_one_line_for_whoever_knows_more_line_ends_than_the_standard(text: str) -> None:
    target = Target(1, "sign", 0.5, Roi(1, 2, 3, 4), text=text)
    chunk = Chunk(
        "c", CHUNK_OBJECT, StreamInfo(0, None, 1, 0, 1.0, 1), Delta((Result(0, (target,)),)), None
    )
    data = encode_chunk(chunk)
    assert data.decode().splitlines() == [data.decode()]
    assert decode_chunk(data) == chunk
    assert json.loads(data)["delta"]["results"][0]["targets"][0]["text"] == text
