"""What a trial counts, from units whose times are exact."""

from streamproc.source.live.rtp.depacketizer import AccessUnit
from streamproc.source.live.trial import _Watched

HZ = 90_000


def watched(n_units: int, *, fps: int, gop: int, slower: float = 1.0, start: int = 3) -> _Watched:
    """Return the counts of a camera whose pictures arrive at `fps` / `slower`."""
    found = _Watched(HZ)
    for number in range(start, start + n_units):
        is_key = number % gop == 0
        stamp, arrival_s = 5_000 + number * HZ // fps, 7.0 + number / fps * slower
        found.add(AccessUnit(b"1234", stamp, is_key, False, False, arrival_s))
    return found


def test_rate_and_interval_are_those_of_the_timestamps() -> None:
    found = watched(97, fps=25, gop=10)
    assert found.n_pictures == 90
    assert found.fps == 25
    assert found.keyframe_interval_s == 0.4
    assert found.n_bytes == 4 * 90
    assert found.gate.n_before_first == 7


def test_timestamps_that_lie_are_not_believed() -> None:
    assert watched(101, fps=25, gop=1, slower=4.0).fps == 6.25
    assert watched(101, fps=25, gop=1, slower=0.1).fps == 250


def test_one_keyframe_has_no_interval_and_one_picture_no_rate() -> None:
    found = watched(20, fps=25, gop=100, start=0)
    assert found.keyframe_interval_s is None
    assert watched(1, fps=25, gop=1).fps == 0.0
    assert watched(5, fps=25, gop=100).first_s is None
