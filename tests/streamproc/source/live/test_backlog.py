"""What waits for the decoder is bounded in time and bytes, and no picture is left uncounted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.source.live import backlog
from streamproc.source.live.backlog import Backlog, Waiting
from streamproc.source.live.connection import VideoTrack
from streamproc.source.live.media_clock import Captured
from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.stream import Arrived

TRACK = VideoTrack("h264", 90_000)


def arrived(
    number: int, *, gop: int, fps: float = 10.0, size: int = 10, gap_s: float | None = None
) -> Arrived:
    at_s = number / fps
    unit = AccessUnit(bytes(size), number, number % gop == 0, False, False, at_s)
    return Arrived(unit, at_s, at_s, Captured(at_s, is_source=False), None, gap_s)


def filled(n: int, *, gop: int, start: int = 0, max_lag_s: float = 2.0) -> Backlog:
    one = Backlog(max_lag_s)
    for number in range(start, start + n):
        one.put(arrived(number, gop=gop), TRACK)
    return one


def number(found: Waiting | None) -> int:
    assert found is not None
    return found.arrived.unit.timestamp


def test_pictures_come_in_order_while_the_decoder_keeps_up() -> None:
    one = filled(20, gop=5)
    assert [number(one.take(2.0)) for _ in range(20)] == list(range(20))
    assert one.take(2.0) is None


def test_a_decoder_that_is_behind_goes_on_at_the_newest_keyframe() -> None:
    one = filled(24, gop=5)
    found = one.take(2.1)
    assert (number(found), found and found.n_late) == (20, 20)
    after = one.take(2.1)
    assert (number(after), after and after.n_late) == (21, 0)


def test_a_burst_of_what_was_kept_back_begins_at_its_newest_keyframe() -> None:
    one = Backlog(2.0)
    for n in range(40):
        picture = arrived(n, gop=10)
        unit = picture.unit._replace(arrival_s=4.0)
        one.put(picture._replace(unit=unit, late_s=4.0 - n / 10), TRACK)
    found = one.take(4.0)
    assert (number(found), found and found.n_late) == (30, 30)


def test_pictures_that_the_task_has_had_are_not_counted_as_late() -> None:
    one = Backlog(2.0)
    for number_ in range(24):
        found = arrived(number_, gop=5)
        one.put(found._replace(unit=found.unit._replace(is_known=number_ < 7)), TRACK)
    after = one.take(2.1)
    assert (number(after), after and after.n_late) == (20, 13)


def test_without_a_keyframe_it_catches_up_until_that_is_hopeless() -> None:
    one = filled(24, gop=1000)
    assert number(one.take(5.9)) == 0
    assert one.take(6.2) is None
    assert len(one) == one.n_bytes == 0
    one.put(arrived(62, gop=70), TRACK)
    assert one.take(6.3) is None
    one.put(arrived(70, gop=70), TRACK)
    found = one.take(7.0)
    assert (number(found), found and found.n_late) == (70, 24)


@pytest.mark.parametrize("limit", [("MAX_BYTES", 105), ("MAX_PICTURES", 10)])
def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch, limit: tuple[str, int]) -> None:
    monkeypatch.setattr(backlog, *limit)
    one = filled(11, gop=6)
    assert one.n_bytes == 50
    found = one.take(1.0)
    assert (number(found), found and found.n_late) == (6, 6)


def test_the_end_of_an_outage_is_not_lost_with_the_picture_that_brought_it() -> None:
    one = Backlog(2.0)
    for place in range(11):
        one.put(arrived(place, gop=10, gap_s=7.0 if place == 0 else None), TRACK, place % 2)
    found = one.take(3.0)
    assert found is not None
    assert (number(found), found.n_late, found.n_damaged, found.gap_s) == (10, 10, 5, 7.0)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 1.5)), max_size=60),
    st.sampled_from([0.5, 2.0]),
)
def test_each_picture_is_taken_or_counted_and_none_builds_on_one_that_is_not(
    steps: list[tuple[bool, bool, float]], max_lag_s: float
) -> None:
    one, now_s, n_put, n_found = Backlog(max_lag_s), 0.0, 0, 0
    expected = 0
    for is_put, is_key, wait_s in steps:
        now_s += wait_s
        if is_put:
            unit = AccessUnit(b"1", n_put, is_key or n_put == 0, False, False, now_s)
            one.put(Arrived(unit, now_s, now_s, Captured(0, is_source=False), None, None), TRACK)
            n_put += 1
            continue
        found = one.take(now_s)
        if found is None:
            assert len(one) == 0
            continue
        unit = found.arrived.unit
        assert unit.timestamp == expected + found.n_late
        assert unit.is_key or not found.n_late
        assert now_s - unit.arrival_s <= backlog.HOPELESS * max_lag_s or unit.is_key
        expected = unit.timestamp + 1
        n_found += 1 + found.n_late
    assert n_put - n_found >= len(one)
