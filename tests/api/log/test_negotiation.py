"""Every answer to a request for a log, from the request and the log alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import BadRequestError, ConflictError, OffsetRangeError
from api.log.negotiation import Ask, Body, Empty, Hold, Live, LogExtent, negotiate, read_ask

OPEN = LogExtent("vt_1", 100, closed=False)
CLOSED = LogExtent("vt_1", 100, closed=True)
TAG = '"vt_1.100"'


def ask(query: dict[str, list[str]] | None = None, **headers: str) -> Ask:
    return read_ask(query or {}, {name.replace("_", "-"): text for name, text in headers.items()})


def test_without_anything_the_log_is_streamed_from_its_first_byte() -> None:
    assert ask() == Ask(offset=None, live=Live.STREAM)
    assert negotiate(ask(), OPEN) == Body(
        200, 0, None, {"Stream-Closed": "false", "Stream-Start-Offset": "0"}
    )


def test_last_event_id_wins_over_the_offset_of_the_url() -> None:
    assert ask({"offset": ["5"]}, last_event_id="70").offset == 70
    assert ask({"offset": ["5"]}).offset == 5
    assert ask({"offset": ["5"]}, last_event_id="").offset == 5


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.0", "0x10", " 1", "1 ", "\u0661", "1_0", "abc", "9" * 20, "1e3"]
)
def test_junk_offsets_are_refused(text: str) -> None:
    with pytest.raises(BadRequestError, match="offset"):
        ask({"offset": [text]})
    if text.strip() and not text.strip().isascii():
        return
    if text.strip() != "1" and text:
        with pytest.raises(BadRequestError, match="Last-Event-ID"):
            ask(last_event_id=text)


@pytest.mark.parametrize("name", ["offset", "live", "heartbeat"])
def test_a_parameter_given_twice_is_refused(name: str) -> None:
    with pytest.raises(BadRequestError, match=f"{name} must be given once"):
        ask({name: ["1", "1"]})


@pytest.mark.parametrize("text", ["1, 2", "1,2", "1, , 2", "2, 1, 1"])
def test_two_last_event_ids_are_refused(text: str) -> None:
    with pytest.raises(BadRequestError, match="Last-Event-ID must be given once"):
        ask(last_event_id=text)


@pytest.mark.parametrize("text", ["7", " 7", "7, 7", "7,", ",7,7"])
def test_one_last_event_id_may_be_repeated(text: str) -> None:
    assert ask(last_event_id=text).offset == 7


@pytest.mark.parametrize("text", ["", " ", ","])
def test_an_empty_last_event_id_is_none(text: str) -> None:
    assert ask({"offset": ["3"]}, last_event_id=text).offset == 3


def test_a_log_may_be_read_from_its_end_or_from_a_time() -> None:
    assert ask({"offset": ["end"]}).at_end
    assert ask({"from": ["2027-01-15T08:00:00.250Z"]}).from_ms == 1_800_000_000_250
    assert ask({"from": ["2027-01-15T10:00:00 02:00"]}).from_ms == 1_800_000_000_000


@pytest.mark.parametrize("query", [{"offset": ["end"]}, {"from": ["2027-01-15T08:00:00Z"]}])
def test_last_event_id_comes_before_the_start_of_the_url(query: dict[str, list[str]]) -> None:
    found = ask(query, last_event_id="7")
    assert (found.offset, found.at_end, found.from_ms) == (7, False, None)


@pytest.mark.parametrize("text", ["", "now", "2027-01-15T08:00:00", "2027-01-15", "9" * 400])
def test_a_time_without_a_zone_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError, match="from must be a time"):
        ask({"from": [text]})


def test_an_offset_and_a_time_are_refused() -> None:
    with pytest.raises(BadRequestError, match="not both"):
        ask({"from": ["2027-01-15T08:00:00Z"], "offset": ["0"]})


@pytest.mark.parametrize("text", ["yes", "", "FALSE", "longpoll"])
def test_an_unknown_mode_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError, match="live must be one of"):
        ask({"live": [text]})


@pytest.mark.parametrize("text", ["0", "0.5", "301", "-1", "nan", "inf", "1e1", "", "x"])
def test_a_heartbeat_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError, match="heartbeat"):
        ask({"heartbeat": [text]})


@pytest.mark.parametrize("live", ["false", "long-poll"])
def test_a_heartbeat_needs_a_stream(live: str) -> None:
    with pytest.raises(BadRequestError, match="heartbeat needs a live stream"):
        ask({"live": [live], "heartbeat": ["15"]})
    assert ask({"heartbeat": ["15"]}).heartbeat_s == 15


@pytest.mark.parametrize("live", list(Live))
def test_the_end_of_a_closed_log_is_204_in_every_mode(live: Live) -> None:
    answer = negotiate(Ask(100, live), CLOSED)
    assert isinstance(answer, Empty)
    assert answer.status == 204
    assert answer.headers["Stream-Closed"] == "true"


@pytest.mark.parametrize("live", list(Live))
def test_beyond_a_closed_log_is_416_with_its_length(live: Live) -> None:
    with pytest.raises(OffsetRangeError) as refused:
        negotiate(Ask(101, live), CLOSED)
    assert refused.value.status == 416
    assert refused.value.extra == {"length": 100}
    assert refused.value.headers["Content-Range"] == "bytes */100"


@pytest.mark.parametrize("live", list(Live))
def test_ahead_of_an_open_log_is_waited_for_then_409_with_its_length(live: Live) -> None:
    assert negotiate(Ask(101, live), OPEN) == Hold(101, ahead=True)
    with pytest.raises(ConflictError) as refused:
        negotiate(Ask(101, live), OPEN, waited=True)
    assert (refused.value.status, refused.value.code) == (409, "offset_ahead")
    assert refused.value.extra == {"length": 100}


def test_a_long_poll_at_the_end_waits_for_one_more_event_then_is_204() -> None:
    at_end = Ask(100, Live.LONG_POLL)
    assert negotiate(at_end, OPEN) == Hold(101, ahead=False)
    assert negotiate(at_end, LogExtent("vt_1", 130, closed=False), waited=True) == Body(
        200,
        100,
        130,
        {"Stream-Closed": "false", "Stream-Start-Offset": "100", "Stream-Next-Offset": "130"},
    )
    assert negotiate(at_end, OPEN, waited=True) == Empty(
        204,
        {"Stream-Closed": "false", "Stream-Start-Offset": "100", "Stream-Next-Offset": "100"},
    )


def test_what_exists_now_may_be_nothing() -> None:
    answer = negotiate(Ask(100, Live.NOW), OPEN)
    assert isinstance(answer, Body)
    assert (answer.start, answer.end) == (100, 100)
    assert "ETag" not in answer.headers


@given(
    start=st.integers(0, 120),
    length=st.integers(0, 110),
    closed=st.booleans(),
    live=st.sampled_from(list(Live)),
    waited=st.booleans(),
)
def test_every_answer_is_inside_the_log_and_none_waits_twice(
    start: int, length: int, closed: bool, live: Live, waited: bool
) -> None:
    log = LogExtent("vt_1", length, closed)
    try:
        answer = (
            negotiate(Ask(start, live), log, waited=True)
            if waited
            else negotiate(Ask(start, live), log)
        )
    except OffsetRangeError:
        assert (start > length, closed) == (True, True)
        return
    except ConflictError:
        assert (start > length, closed, waited) == (True, False, True)
        return
    if isinstance(answer, Hold):
        assert not waited
        assert not closed
        return
    assert start <= length
    assert answer.headers["Stream-Closed"] == ("true" if closed else "false")
    assert answer.headers["Stream-Start-Offset"] == str(start)
    if isinstance(answer, Body):
        assert answer.start == start
        assert answer.end == (None if live is Live.STREAM and not closed else length)
    else:
        assert start == length


WHOLE = Body(
    200,
    0,
    100,
    {
        "Stream-Closed": "true",
        "Stream-Start-Offset": "0",
        "Stream-Next-Offset": "100",
        "ETag": TAG,
        "Accept-Ranges": "bytes",
    },
)


def ranged(byte_range: str, if_range: str | None = None) -> Body | Empty | Hold:
    return negotiate(Ask(None, Live.NOW, byte_range=byte_range, if_range=if_range), CLOSED)


@pytest.mark.parametrize(
    ("byte_range", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=10-", 10, 100),
        ("bytes=99-99", 99, 100),
        ("bytes=50-5000", 50, 100),
        ("bytes=-1", 99, 100),
        ("bytes=-100", 0, 100),
        ("bytes=-5000", 0, 100),
    ],
)
def test_a_range_of_a_closed_log_is_206(byte_range: str, start: int, end: int) -> None:
    answer = ranged(byte_range)
    assert isinstance(answer, Body)
    assert (answer.status, answer.start, answer.end) == (206, start, end)
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/100"
    assert answer.headers["ETag"] == TAG


@pytest.mark.parametrize("byte_range", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_beyond_a_closed_log_is_416(byte_range: str) -> None:
    with pytest.raises(OffsetRangeError):
        ranged(byte_range)


@pytest.mark.parametrize(
    "byte_range", ["bytes=5-2", "bytes=-", "bytes=0-1,5-6", "items=0-1", "bytes 0-1", "x"]
)
def test_a_range_that_is_none_is_ignored(byte_range: str) -> None:
    assert ranged(byte_range) == WHOLE


@pytest.mark.parametrize(
    ("if_range", "status"),
    [(TAG, 206), (f"W/{TAG}", 200), ('"x"', 200), ("Wed, 21 Oct 2026 07:28:00 GMT", 200)],
)
def test_if_range_needs_the_very_same_tag(if_range: str, status: int) -> None:
    answer = ranged("bytes=1-2", if_range)
    assert isinstance(answer, Body)
    assert answer.status == status


def test_a_log_that_the_client_has_is_304() -> None:
    for tags in (f'"x", {TAG}', f"W/{TAG}", "*"):
        have = ask({"live": ["false"]}, if_none_match=tags)
        answer = negotiate(have, CLOSED)
        assert isinstance(answer, Empty)
        assert answer.status == 304
    assert negotiate(ask({"live": ["false"]}, if_none_match='"x"'), CLOSED) == WHOLE


@pytest.mark.parametrize(
    ("log", "asked"),
    [
        (OPEN, Ask(None, Live.NOW, byte_range="bytes=1-2")),
        (OPEN, Ask(5, Live.NOW)),
        (CLOSED, Ask(5, Live.NOW, byte_range="bytes=1-2")),
        (CLOSED, Ask(0, Live.STREAM, byte_range="bytes=1-2")),
        (CLOSED, Ask(0, Live.LONG_POLL, byte_range="bytes=1-2")),
    ],
)
def test_ranges_belong_to_a_closed_log_read_whole(log: LogExtent, asked: Ask) -> None:
    answer = negotiate(asked, log)
    assert isinstance(answer, Body)
    assert answer.status == 200
    assert answer.start == (asked.offset or 0)
    assert "ETag" not in answer.headers
