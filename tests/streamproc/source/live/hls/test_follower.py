"""What is played of a live playlist, load after load; and when its pictures are due."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.errors import SourceTimeoutError
from streamproc.source.live.hls.follower import Follower, Place
from streamproc.source.live.hls.pacer import MAX_AHEAD_S, Pacer
from streamproc.source.live.hls.playlist import Media, Part, Segment


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


def test_segments_that_were_gone_are_counted_and_break_the_times() -> None:
    follower = Follower("cam", 0.0)
    follower.take(listed(0, 3), 0.0)
    found = follower.take(listed(7, 3), 9.0)
    assert numbers(found) == [7, 8, 9]
    assert [segment.starts_anew for segment in found] == [True, False, False]
    assert follower.n_missed == 4


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
