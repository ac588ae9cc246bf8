from collections.abc import Callable
from itertools import cycle, pairwise, zip_longest
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.log.sse_response import HEARTBEAT
from console.client.log_stream import MAX_PAUSE_S, EventSplitter, Following, HeartbeatFilter
from console.errors import LogMismatchError, UnreachableError
from streamproc.contract.framing import frame_event, parse_events
from tests.console.client.logs import make_log
from tests.id_first import frame_id_first

LOG = make_log(12)


@given(st.lists(st.integers(0, len(LOG))), st.integers(0, len(LOG)))
def test_events_do_not_depend_on_how_the_bytes_are_cut(cuts: list[int], start: int) -> None:
    edges = [start, *sorted(cut for cut in cuts if cut > start), len(LOG)]
    splitter = EventSplitter(start)
    events = [event for left, right in pairwise(edges) for event in splitter.feed(LOG[left:right])]
    assert events == [event for event in parse_events(LOG) if event.start >= start]


@pytest.mark.parametrize("frame", [frame_event, frame_id_first])
@pytest.mark.parametrize("text", [b"data: x", b"data: {}", b"data: [DONE]", b"data: [1,", b"id: 1"])
def test_what_a_text_says_is_no_event(text: bytes, frame: Callable[[bytes, int], bytes]) -> None:
    """Wherever in an event the reading begins, and whatever its texts look like."""
    first = frame(b'{"text":"%b","n":{"text":"%b"}}' % (text, text), 0)
    second = frame(b"{}", len(first))
    whole = list(parse_events(first + second))
    for start in range(1, len(first) + 1):
        assert EventSplitter(start).feed((first + second)[start:]) == (whole[1],)


@given(st.integers(0, len(LOG) - 2))  # before the last byte an event would only be unfinished
def test_a_changed_byte_count_is_noticed(at: int) -> None:
    with pytest.raises(LogMismatchError):
        EventSplitter(0).feed(LOG[:at] + b"x" + LOG[at:])


@given(
    st.integers(0, len(LOG)),
    st.lists(st.integers(1, 9), max_size=4),
    st.lists(st.integers(1, 400), min_size=1),
    st.integers(0, len(LOG) + 500),
)
def test_heartbeats_are_left_out_whatever_the_pieces_and_wherever_one_begins(
    start: int, silences: list[int], sizes: list[int], cut: int
) -> None:
    ends = [event.end for event in parse_events(LOG) if event.end >= start]
    answer, at = b"retry: 1234\n\n", start
    for end, n_heartbeats in zip_longest(ends, silences, fillvalue=0):
        answer += LOG[at:end] + HEARTBEAT * n_heartbeats
        at = end or at
    answer = answer[:cut]
    one, kept = HeartbeatFilter(), b""
    for size in cycle(sizes):
        kept += one.feed(answer[:size])
        answer = answer[size:]
        if not answer:
            break
    assert LOG[start:].startswith(kept)
    whole = cut >= len(LOG) + 500
    assert not whole or kept == LOG[start:]


@pytest.mark.parametrize(
    "log", [b": 390\n\n", b"retry: 5\n\n", b"\n", b"\n:\n\n", b"y: {}", b"re", b"r\n\n"]
)
def test_log_bytes_that_look_like_comments_are_kept(log: bytes) -> None:
    """Behind an offset inside an event any of its bytes may come first."""
    one = HeartbeatFilter()
    assert one.feed(b"retry: 1000\n\n" + log) == log.removesuffix(b":\n\n")


def opened(patience_s: float) -> Following:
    following = Following("vt_x", jitter=Random(1), patience_s=patience_s)
    assert following.opened(200, {"stream-start-offset": "0"})
    return following


def test_pauses_grow_to_a_bound_and_begin_anew_with_the_next_byte() -> None:
    following = opened(patience_s=1e9)
    pauses_s = [following.cut(0.0, "cut") for _ in range(20)]
    assert all(0 < pause_s <= MAX_PAUSE_S for pause_s in pauses_s)
    assert max(pauses_s) > MAX_PAUSE_S / 2
    following.feed(LOG[:10])
    assert following.cut(0.0, "cut") <= 0.25
    assert following.offset == 10


def test_patience_ends_when_no_byte_comes() -> None:
    following = opened(patience_s=5.0)
    following.cut(100.0, "cut")
    following.cut(104.9, "cut")
    with pytest.raises(UnreachableError, match="byte 0"):
        following.cut(105.0, "cut")


def test_no_content_is_the_logs_end() -> None:
    following = Following("vt_x", len(LOG))
    assert not following.opened(204, {})
    assert following.finished
