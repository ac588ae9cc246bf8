"""What is played of a live playlist, load after load; and when its pictures are due."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.errors import SourceTimeoutError
from streamproc.source.live.hls.follower import CATCH_UP_S, Follower
from streamproc.source.live.hls.pacer import MAX_AHEAD_S, Pacer
from streamproc.source.live.hls.place import Known, LastFrame, Place, name_of
from streamproc.source.live.hls.playlist import ByteRange, Media, Part, Segment


def listed(first: int, n: int, *, is_ended: bool = False, target_s: float = 2.0) -> Media:
    segments = (
        Segment(
            Part(f"http://x/{number}", None), number, 2.0, False, None, None, None, is_missing=False
        )
        for number in range(first, first + n)
    )
    return Media(target_s, tuple(segments), is_ended)


def numbers(segments: list[Segment]) -> list[int]:
    return [segment.sequence for segment in segments]


def test_a_live_list_is_followed_from_its_newest_segment_on_without_a_repeat() -> None:
    follower = Follower("cam", 0.0)
    assert numbers(follower.take(listed(10, 5), 0.0)) == [14]
    assert follower.wait_s == 2.0
    assert numbers(follower.take(listed(10, 5), 2.0)) == []
    assert follower.wait_s == 1.0
    assert numbers(follower.take(listed(12, 5), 3.0)) == [15, 16]
    assert not follower.is_over


def test_an_ended_list_is_played_from_its_first_segment() -> None:
    follower = Follower("cam", 0.0)
    assert numbers(follower.take(listed(0, 3, is_ended=True), 0.0)) == [0, 1, 2]
    assert follower.is_over


def test_a_list_that_ends_while_it_is_followed_is_played_to_its_end() -> None:
    follower = Follower("cam", 0.0)
    follower.take(listed(0, 3), 0.0)
    assert numbers(follower.take(listed(0, 5, is_ended=True), 2.0)) == [3, 4]
    assert follower.is_over


def test_segments_that_were_gone_break_the_times() -> None:
    follower = Follower("cam", 0.0)
    follower.take(listed(0, 3), 0.0)
    found = follower.take(listed(7, 3), 9.0)
    assert numbers(found) == [7, 8, 9]
    assert [segment.starts_anew for segment in found] == [True, False, False]


def test_a_sequence_that_starts_again_is_followed_from_its_newest_segment() -> None:
    follower = Follower("cam", 0.0)
    follower.take(listed(1000, 3), 0.0)
    found = follower.take(listed(0, 2), 2.0)
    assert numbers(found) == [1]
    assert found[0].starts_anew
    assert numbers(follower.take(listed(0, 3), 4.0)) == [2]


def test_a_list_that_stands_still_is_lost_after_three_target_durations() -> None:
    follower = Follower("cam", 0.0)
    follower.take(listed(0, 3), 10.0)
    follower.take(listed(0, 3), 15.9)
    with pytest.raises(SourceTimeoutError, match="cam has listed no new segment for 6 s"):
        follower.take(listed(0, 3), 16.0)


def test_the_session_after_a_loss_plays_nothing_again_while_the_list_stands_still() -> None:
    place = Place()
    assert numbers(Follower("cam", 0.0, place).take(listed(0, 3), 0.0)) == [2]
    second = Follower("cam", 10.0, place)
    assert numbers(second.take(listed(0, 3), 10.0)) == []
    with pytest.raises(SourceTimeoutError):
        second.take(listed(0, 3), 16.0)
    third = Follower("cam", 20.0, place)
    assert numbers(third.take(listed(0, 3), 20.0)) == []
    assert numbers(third.take(listed(0, 5), 21.0)) == [3, 4]


def test_the_session_after_a_loss_begins_with_the_newest_of_a_list_that_went_on() -> None:
    place = Place()
    Follower("cam", 0.0, place).take(listed(0, 3), 0.0)
    assert numbers(Follower("cam", 9.0, place).take(listed(2, 5), 9.0)) == [6]
    restarted = Follower("cam", 20.0, place)
    assert numbers(restarted.take(listed(0, 2), 20.0)) == [1]


def last_frame_in(number: int, timestamp: int = 90_000) -> LastFrame:
    (segment,) = listed(number, 1).segments
    return LastFrame(*name_of(segment), timestamp)


def test_a_log_that_goes_on_is_read_from_the_segment_of_its_last_frame_on() -> None:
    place = Place(last_frame_in(12))
    follower = Follower("cam", 0.0, place)
    assert numbers(follower.take(listed(10, 6), 0.0)) == [12, 13, 14, 15]
    assert follower.resumed == last_frame_in(12)
    assert numbers(follower.take(listed(11, 6), 2.0)) == [16]
    later = Follower("cam", 9.0, place)  # a session after that begins as always
    assert numbers(later.take(listed(15, 6), 9.0)) == [20]
    assert later.resumed is None


def test_a_log_goes_on_at_the_newest_segment_if_its_own_is_gone_or_too_far_behind() -> None:
    for last, media in (
        (last_frame_in(9), listed(10, 6)),
        (LastFrame(12, b"of another", 0), listed(10, 6)),
        (last_frame_in(10), listed(10, round(CATCH_UP_S / 2.0) + 2)),
    ):
        follower = Follower("cam", 0.0, Place(last))
        assert numbers(follower.take(media, 0.0)) == [media.segments[-1].sequence]
        assert follower.resumed is None
    most = listed(10, round(CATCH_UP_S / 2.0) + 1)
    follower = Follower("cam", 0.0, Place(last_frame_in(10)))
    assert len(follower.take(most, 0.0)) == len(most.segments)


def test_a_log_of_an_ended_list_goes_on_where_it_was_however_far_that_is() -> None:
    follower = Follower("cam", 0.0, Place(last_frame_in(3)))
    found = follower.take(listed(0, 60, is_ended=True), 0.0)
    assert numbers(found) == [*range(3, 60)]


def test_a_segment_has_the_same_name_on_another_host_and_with_another_query() -> None:
    (one,) = listed(7, 1).segments
    assert len(name_of(one).digest) == 8
    other = one._replace(part=Part("https://y.example/7?token=1", None))
    assert name_of(other) == name_of(one)
    assert name_of(one._replace(part=Part("http://x/8", None))) != name_of(one)
    ranged = one._replace(part=Part("http://x/7", ByteRange(0, 5)))
    assert name_of(ranged) != name_of(one)
    assert name_of(one._replace(sequence=8)) != name_of(one)


def known(last: int, *segments: tuple[bool, list[int]]) -> list[list[bool]]:
    """Return which pictures the log has, of segments as (starts anew, timestamps)."""
    one, found = Known(LastFrame(1, b"", last)), []
    for starts_anew, timestamps in segments:
        one.begin(starts_anew=starts_anew)
        found.append([one.has(timestamp) for timestamp in timestamps])
    return found


def test_pictures_up_to_the_last_frame_are_known_in_any_order_of_sending() -> None:
    sent = [100, 400, 200, 300, 700, 500, 600]
    assert known(300, (True, sent)) == [[True, False, True, True, False, False, False]]
    assert known(900, (False, sent), (False, [800, 1000, 900, 950])) == [
        [True] * 7,
        [True, False, True, False],
    ]


def test_no_picture_of_a_later_segment_or_after_a_discontinuity_is_known() -> None:
    assert known(300, (False, [100, 400]), (False, [200, 500])) == [[True, False], [False, False]]
    assert known(300, (False, [100, 200]), (True, [0, 50])) == [[True, True], [False, False]]


def test_timestamps_wrap() -> None:
    wrap = 1 << 33
    assert known(wrap - 100, (False, [wrap - 200, wrap - 100, 50])) == [[True, True, False]]
    assert known(3 * wrap + 50, (False, [wrap - 100, 50, 60])) == [[True, True, False]]


def test_pictures_of_a_burst_are_due_as_far_apart_as_they_were_captured() -> None:
    pacer = Pacer()
    first = [pacer.due_s(100 + n / 10, 5.0) for n in range(20)]
    assert first == pytest.approx([5 + n / 10 for n in range(20)])
    second = [pacer.due_s(102 + n / 10, 6.5) for n in range(20)]
    assert second == pytest.approx([7 + n / 10 for n in range(20)])


def test_a_late_segment_makes_the_delay_longer_once() -> None:
    pacer = Pacer()
    pacer.due_s(0.0, 0.0)
    assert pacer.due_s(2.0, 3.0) == 3.0
    assert pacer.due_s(2.5, 3.0) == 3.5
    assert pacer.due_s(4.0, 4.1) == 5.0


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.floats(0, 5), st.booleans()), min_size=2, max_size=50
    )
)
def test_due_times_never_go_back_nor_far_ahead(steps: list[tuple[float, float, bool]]) -> None:
    pacer, arrived_s, dues = Pacer(), 0.0, []
    for media_s, step_s, restarts in steps:
        arrived_s += step_s
        if restarts:
            pacer.restart()
        due_s = pacer.due_s(media_s, arrived_s)
        assert due_s >= arrived_s
        dues.append(due_s)
    assert all(a <= b <= a + MAX_AHEAD_S + 5 for a, b in pairwise(dues))
