"""Frames and their rate, as a worker reports them."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from streamproc.worker.frame_rate import WINDOW_S, FrameCounter, FrameRate


def test_frames_that_come_in_slices_have_a_steady_rate() -> None:
    rate = FrameRate(100.0)
    slices = [(100.0 + 2 * n, 50 * n) for n in range(1, 21)]
    assert [rate.after(at_s, n_frames) for at_s, n_frames in slices] == [25.0] * 20
    silence = [rate.after(140.0 + 2 * n, 1000) for n in range(1, 7)]
    assert silence == [20.0, 15.0, 10.0, 5.0, 0.0, 0.0]


@given(st.lists(st.tuples(st.floats(0.1, 30), st.integers(0, 500)), min_size=1, max_size=40))
def test_the_rate_is_that_of_the_last_ten_seconds_or_a_little_more(
    steps: list[tuple[float, int]],
) -> None:
    rate, at_s, n_frames = FrameRate(0.0), 0.0, 0
    seen = [(0.0, 0)]
    for pause_s, n_new in steps:
        at_s, n_frames = at_s + pause_s, n_frames + n_new
        since_s, before = max((one for one in seen if one[0] <= at_s - WINDOW_S), default=seen[0])
        assert rate.after(at_s, n_frames) == (n_frames - before) / (at_s - since_s) >= 0
        seen.append((at_s, n_frames))


def test_the_rate_at_its_own_start_is_none() -> None:
    assert FrameRate(5.0).after(5.0, 3) == 0.0


def test_no_frame_of_many_threads_is_lost() -> None:
    frames = FrameCounter()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8000):
            pool.submit(frames.add)
    assert frames.n_frames == 8000
