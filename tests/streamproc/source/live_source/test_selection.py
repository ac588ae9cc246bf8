"""Which frames of a camera are taken, by its times and indexes, also after a takeover."""

from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.live_source.pictures import Choice
from streamproc.source.live_source.selection import LiveSelection

WHOLE = FrameRange()


def taken(one: LiveSelection, indexes: range, fps: float = 25.0) -> list[int]:
    return [
        index
        for index in indexes
        if one.choose(index, index / fps, is_key=index % 10 == 0) is Choice.TAKE
    ]


def test_a_rate_counts_by_time_and_goes_on_by_time() -> None:
    one = LiveSelection(Sampling("fps", 5), WHOLE, None)
    assert taken(one, range(26)) == [0, 5, 10, 15, 20, 25]
    assert one.range_index == 0
    assert taken(LiveSelection(Sampling("fps", 5), WHOLE, 0), range(53, 70)) == [53, 55, 60, 65]


def test_an_interval_counts_by_index_from_the_first_frame_of_the_range() -> None:
    one = LiveSelection(Sampling("interval", 4), WHOLE, None)
    assert taken(one, range(7, 20)) == [7, 11, 15, 19]
    assert one.range_index == 7
    assert taken(LiveSelection(Sampling("interval", 4), WHOLE, 7), range(21, 30)) == [23, 27]


def test_keyframes_alone() -> None:
    one = LiveSelection(Sampling("keyframe", 1), WHOLE, None)
    assert taken(one, range(3, 45)) == [10, 20, 30, 40]


def test_a_range_begins_and_ends() -> None:
    one = LiveSelection(Sampling("interval", 1), FrameRange(0.2, 0.4), None)
    assert taken(one, range(9)) == [5, 6, 7, 8]
    assert one.choose(10, 0.4, is_key=False) is Choice.END
    assert (one.range_index, one.end_s) == (5, 0.4)
    by_number = LiveSelection(Sampling("interval", 1), FrameRange(2, 4, "frames"), None)
    assert taken(by_number, range(4)) == [2, 3]
    assert by_number.choose(4, 0.16, is_key=False) is Choice.END
    assert by_number.end_s is None
