"""The arithmetic of range and sampling, against a brute-force reading of the specification."""

from fractions import Fraction
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from streamproc.contract.task_spec import FrameRange, Sampling
from streamproc.source.video.sampling import Place, Selection


def step_s(number: int) -> Fraction:
    """One of the fractions from 1/1000 to 3 with a denominator up to 1000."""
    numerator, denominator = divmod(number, 1000)
    return Fraction(numerator % (3 * (denominator + 1)) + 1, denominator + 1)


times = st.lists(  # of integers, which are drawn ten times faster than fractions
    st.integers(0, 3_000_000 - 1).map(step_s), min_size=1, max_size=60
).map(lambda steps: list(accumulate(steps[1:], initial=Fraction(0))))
tenths = st.integers(0, 100).map(lambda n: n / 10)


def chosen(sampling: Sampling, frames: FrameRange, times_s: list[Fraction]) -> list[int]:
    selection = Selection(sampling, frames)
    picked = []
    for index, time_s in enumerate(times_s):
        inside = selection.place(index, time_s) is Place.INSIDE
        if inside and selection.takes(index, time_s, is_key=False):
            picked.append(index)
    return picked


@given(times, st.integers(1, 300).map(lambda n: n / 10), tenths)
def test_fps_takes_the_first_frame_at_or_after_each_tick(
    times_s: list[Fraction], rate: float, start_s: float
) -> None:
    start = Fraction(round(start_s * 10), 10)
    step = 1 / Fraction(round(rate * 10), 10)
    inside = [i for i, t in enumerate(times_s) if t >= start]
    wanted, tick = [], start
    for i in inside:
        if times_s[i] >= tick:
            wanted.append(i)
            while tick <= times_s[i]:
                tick += step
    assert chosen(Sampling("fps", rate), FrameRange(start_s), times_s) == wanted


@given(times, st.integers(1, 9), st.integers(0, 70), st.integers(1, 70))
def test_interval_counts_from_the_start_of_the_range(
    times_s: list[Fraction], step: int, start: int, length: int
) -> None:
    frames = FrameRange(start, start + length, "frames")
    wanted = [i for i in range(start, start + length, step) if i < len(times_s)]
    assert chosen(Sampling("interval", step), frames, times_s) == wanted


@given(times, tenths, tenths)
def test_a_range_is_half_open(times_s: list[Fraction], start_s: float, length_s: float) -> None:
    frames = FrameRange(start_s, start_s + length_s)
    end = Fraction(start_s + length_s).limit_denominator(1000)
    start = Fraction(start_s).limit_denominator(1000)
    wanted = [i for i, t in enumerate(times_s) if start <= t < end]
    assert chosen(Sampling("interval", 1), frames, times_s) == wanted


def test_decimal_rates_hit_their_boundaries() -> None:
    seconds = [Fraction(n) for n in range(31)]
    assert chosen(Sampling("fps", 0.1), FrameRange(), seconds) == [0, 10, 20, 30]
    assert chosen(Sampling("fps", 0.3), FrameRange(), seconds)[:4] == [0, 4, 7, 10]
    assert chosen(Sampling("fps", 1 / 3), FrameRange(), seconds)[:4] == [0, 3, 6, 9]
