"""Media time: true to the source's clock, near to the arrivals, and never backwards."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.live.media_clock import (
    AHEAD_S,
    BEHIND_S,
    LEAST_STEP_S,
    MAX_CLOCK_ERROR_S,
    WINDOW_S,
    CatchUp,
    MediaClock,
    WallClock,
)
from streamproc.source.live.rtp.packet import SenderReport

HZ = 90_000


def times(arrivals: list[tuple[int, float]]) -> list[float]:
    clock = MediaClock(HZ)
    return [clock.time_s(timestamp, arrival_s) for timestamp, arrival_s in arrivals]


@given(
    st.lists(st.tuples(st.integers(-(2**40), 2**40), st.floats(0, 30)), max_size=60),
    st.floats(0, 1e9),
)
def test_any_timestamps_give_rising_times_near_their_arrival(
    steps: list[tuple[int, float]], start_s: float
) -> None:
    clock, now_s, last_s = MediaClock(HZ), start_s, None
    for number, (timestamp, wait_s) in enumerate(steps):
        now_s += wait_s
        found_s = clock.time_s(timestamp, now_s)
        assert found_s >= now_s - BEHIND_S - 1e-3
        assert found_s <= now_s + LEAST_STEP_S * (number + 1)
        if last_s is not None:
            assert found_s > last_s
        last_s = found_s


@given(
    st.lists(st.floats(0, 0.9), min_size=30, max_size=60),
    st.integers(-(2**31), 2**31),
    st.sampled_from([5, 15, 25, 30]),
)
def test_delays_of_the_network_do_not_show(delays: list[float], start: int, fps: int) -> None:
    """Once a picture came without delay, the distances are those of the source."""
    delays = [0.0, *delays]
    step = HZ // fps
    taken = [number * step / HZ for number in range(len(delays))]
    arrivals, last_s = [], 0.0
    for at_s, delay_s in zip(taken, delays, strict=True):
        last_s = max(last_s, at_s + delay_s)
        arrivals.append(last_s)
    found = times([(start + n * step, at_s) for n, at_s in enumerate(arrivals)])
    within = [n for n, at_s in enumerate(arrivals) if at_s < 2 * WINDOW_S]
    for n in within:
        if arrivals[n] < WINDOW_S:
            assert found[n] == pytest.approx(taken[n], abs=1e-6)


@pytest.mark.parametrize("drift", [0.999, 1.001, 0.99, 1.01])
def test_a_clock_that_runs_wrong_is_followed_for_hours(drift: float) -> None:
    n_frames = 5 * 3600
    found = times([(int(n / 5 * drift * HZ), n / 5) for n in range(n_frames)])
    behind = [n / 5 - at_s for n, at_s in enumerate(found)]
    assert max(behind) <= 2 * WINDOW_S * abs(1 - drift) + 0.3
    assert min(behind) >= -LEAST_STEP_S * 10


@pytest.mark.parametrize(
    "jump_s", [-1e6, -3600.0, -11.0, -5.0, -1.2, 2.0, 3600.0, 1e6, 13 * 3600 + 14 * 60.0]
)
def test_a_jump_of_the_sources_clock_does_not_show(jump_s: float) -> None:
    arrivals = [(int((n / 10 + (jump_s if n >= 50 else 0)) * HZ), n / 10) for n in range(100)]
    found = times(arrivals)
    assert [b - a for a, b in pairwise(found)] == pytest.approx([0.1] * 99, abs=1e-4)


def test_a_burst_after_a_stall_keeps_the_distances_of_the_source() -> None:
    steady = [(n * HZ // 10, n / 10) for n in range(50)]
    stalled = [((50 + n) * HZ // 10, 8.0 + n / 1000) for n in range(30)]
    found = times(steady + stalled)
    assert [b - a for a, b in pairwise(found)] == pytest.approx([0.1] * 79, abs=1e-6)


def test_after_a_reconnect_time_goes_on_from_the_arrival() -> None:
    clock = MediaClock(HZ)
    assert clock.time_s(900_000, 100.0) == 100.0
    clock.restart(HZ)
    assert clock.time_s(5, 105.0) == 105.0
    assert clock.n_jumps == 0
    assert clock.time_s(5 + int((AHEAD_S + 0.5) * HZ), 105.1) == 105.1
    assert clock.n_jumps == 1


def test_the_wall_clock_is_that_of_the_source_while_it_is_plausible() -> None:
    clock = WallClock(HZ)
    assert clock.captured(0, 1000.0) == (1000.0, False)
    clock.note(SenderReport(1, 995.0, 7), 7)
    assert clock.captured(7 + HZ, 1000.0) == (996.0, True)
    assert clock.captured(7 - HZ, 1000.0) == (994.0, True)
    assert clock.captured(7 + int((5 + MAX_CLOCK_ERROR_S) * HZ) + HZ, 1000.0) == (1000.0, False)
    clock.note(SenderReport(1, 1e9, 7), 7)
    assert clock.captured(7, 1000.0) == (1000.0, False)


def test_a_report_of_before_a_restart_of_the_timestamps_is_forgotten() -> None:
    clock, told = WallClock(HZ), SenderReport(1, 995.0, 7)
    clock.note(told, 7)
    clock.forget()
    for _ in range(2):  # it is still the newest report
        clock.note(told, 7)
        assert clock.captured(7, 1000.0) == (1000.0, False)
        clock.forget()
    clock.note(SenderReport(1, 999.0, 7), 7)
    assert clock.captured(7, 1000.0) == (999.0, True)


def test_pictures_that_are_sent_in_another_order_are_no_jump() -> None:
    clock = MediaClock(HZ)
    for n in range(100):
        shown = n + (3, -1, -1, -1)[n % 4]
        clock.tied_s(shown * HZ // 10, n / 10)
    assert (clock.n_jumps, clock.n_restarts) == (0, 0)


def test_what_was_kept_back_is_late_until_the_network_has_caught_up() -> None:
    found = CatchUp()
    assert [found.late_s(n / 10, n / 10) for n in range(20)] == [0.0] * 20
    burst = [found.late_s(2 + n / 10, 6 + n / 1000) for n in range(40)]
    assert burst[0] == pytest.approx(4.0)
    assert burst[20] == pytest.approx(2.02)
    assert burst[-1] == 0.0
    assert found.late_s(6.1, 6.1) == 0.0


def test_a_network_that_has_become_slower_makes_nothing_late_for_long() -> None:
    found = CatchUp()
    late = [found.late_s(n / 10, n / 10 + 4.0) for n in range(60)]
    assert sum(late_s > 0 for late_s in late) == 30
    assert late[30:] == [0.0] * 30
