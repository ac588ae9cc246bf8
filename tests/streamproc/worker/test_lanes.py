"""Live frames go first, batch frames still get their share, and one thread stays free for live."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.worker.lanes import LINGER_S, LIVE_IN_A_ROW, Lane, Lanes
from streamproc.worker.perception_pool import PerceptionPool

WAIT_S = 10.0


def taken(lanes: Lanes[int], now_s: float = 0.0) -> list[tuple[Lane, int]]:
    """Take, as by free threads, until there is nothing to take."""
    found = []
    while (one := lanes.take(now_s)) is not None:
        found.append((one.lane, one.item))
        assert len(found) < 100
    return found


def filled(n_threads: int, n_live: int, n_batch: int) -> Lanes[int]:
    lanes: Lanes[int] = Lanes(n_threads)
    for n in range(n_batch):
        lanes.put(Lane.BATCH, n, 0.0)
    for n in range(n_live):
        lanes.put(Lane.LIVE, n, 0.0)
    return lanes


def test_each_lane_is_first_in_first_out_and_live_goes_before_batch() -> None:
    lanes = filled(n_threads=3, n_live=3, n_batch=2)
    order = taken(lanes)
    assert order == [(Lane.LIVE, n) for n in range(3)] + [(Lane.BATCH, 0), (Lane.BATCH, 1)]


def test_every_fifth_frame_is_a_batch_frame_while_both_wait() -> None:
    lanes, order = filled(n_threads=1, n_live=40, n_batch=40), []
    for _ in range(40):  # one thread: it ends an item before it takes the next
        one = lanes.take(0.0)
        assert one is not None
        order.append(one.lane)
        lanes.ended(one.lane, 0.0)
    assert order == ([Lane.LIVE] * LIVE_IN_A_ROW + [Lane.BATCH]) * 8


def test_batch_frames_have_all_threads_until_a_live_frame_comes_and_all_but_one_then() -> None:
    lanes = filled(n_threads=3, n_live=0, n_batch=9)
    lanes = _with_threads_at_work(lanes)
    lanes.put(Lane.LIVE, 0, 1.0)
    lanes.ended(Lane.BATCH, 1.0)
    assert taken(lanes, 1.0) == [(Lane.LIVE, 0)]
    lanes.ended(Lane.LIVE, 1.1)
    assert lanes.take(1.1) is None  # a thread is free and batch frames wait: it stays free
    lanes.put(Lane.LIVE, 1, 1.2)
    assert taken(lanes, 1.2) == [(Lane.LIVE, 1)]


def _with_threads_at_work(lanes: Lanes[int]) -> Lanes[int]:
    for _ in range(3):
        one = lanes.take(0.0)
        assert one is not None
        assert one.lane is Lane.BATCH
    return lanes


def test_the_free_thread_is_given_back_a_while_after_the_last_live_frame() -> None:
    lanes = filled(n_threads=2, n_live=1, n_batch=3)
    assert taken(lanes) == [(Lane.LIVE, 0), (Lane.BATCH, 0)]
    assert lanes.waits_s(0.5) is None  # the live frame's end will wake a thread
    lanes.ended(Lane.LIVE, 1.0)
    assert lanes.take(1.0) is None
    assert lanes.waits_s(2.0) == pytest.approx(LINGER_S - 1.0)
    assert lanes.take(1.0 + LINGER_S - 0.01) is None
    assert taken(lanes, 1.0 + LINGER_S) == [(Lane.BATCH, 1)]
    assert lanes.waits_s(99.0) is None  # both threads are at work


class Model:
    """What the lanes must do, by counts alone."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads, self.now_s, self.last_live_s = n_threads, 0.0, -LINGER_S
        self.waiting, self.running = dict.fromkeys(Lane, 0), dict.fromkeys(Lane, 0)
        self.in_a_row = 0

    @property
    def has_free_thread(self) -> bool:
        return sum(self.running.values()) < self.n_threads

    def next_lane(self) -> Lane | None:
        is_live = self.now_s < self.last_live_s + LINGER_S
        most = max(1, self.n_threads - 1) if is_live else self.n_threads
        batch = self.waiting[Lane.BATCH] > 0 and self.running[Lane.BATCH] < most
        if self.waiting[Lane.LIVE] and not (batch and self.in_a_row == LIVE_IN_A_ROW):
            return Lane.LIVE
        return Lane.BATCH if batch else None

    def take(self, lane: Lane) -> None:
        self.waiting[lane] -= 1
        self.running[lane] += 1
        self.in_a_row = min(self.in_a_row + 1, LIVE_IN_A_ROW) if lane is Lane.LIVE else 0

    def note(self, lane: Lane) -> None:
        if lane is Lane.LIVE:
            self.last_live_s = self.now_s


@settings(max_examples=100, deadline=None)
@given(
    n_threads=st.integers(1, 4),
    steps=st.lists(st.sampled_from(["live", "batch", "take", "end", "wait"]), max_size=60),
)
def test_no_thread_idles_beside_a_frame_that_it_may_run(n_threads: int, steps: list[str]) -> None:
    lanes: Lanes[int] = Lanes(n_threads)
    model = Model(n_threads)
    for step in steps:
        if step == "wait":
            model.now_s += 2.0
        elif step == "end":
            if (ended := next((lane for lane in Lane if model.running[lane]), None)) is not None:
                lanes.ended(ended, model.now_s)
                model.running[ended] -= 1
                model.note(ended)
        elif step != "take":
            lanes.put(Lane(step), 0, model.now_s)
            model.waiting[Lane(step)] += 1
            model.note(Lane(step))
        elif model.has_free_thread:
            expected, one = model.next_lane(), lanes.take(model.now_s)
            assert (None if one is None else one.lane) is expected
            if expected is not None:
                model.take(expected)


@contextmanager
def held_pool(n_threads: int) -> Iterator[tuple[PerceptionPool, threading.Event]]:
    """Yield a pool whose threads all run a batch call until the event is set."""
    pool, go_on = PerceptionPool(n_threads), threading.Event()
    started = threading.Barrier(n_threads + 1)

    def hold() -> None:
        started.wait(WAIT_S)
        go_on.wait(WAIT_S)

    for _ in range(n_threads):
        pool.batch.submit(hold)
    started.wait(WAIT_S)
    try:
        yield pool, go_on
    finally:
        go_on.set()
        pool.shutdown()


def test_calls_return_and_raise_as_in_every_executor() -> None:
    pool = PerceptionPool(2)
    assert pool.live.submit(divmod, 7, 2).result(WAIT_S) == (3, 1)
    failed = pool.batch.submit(divmod, 7, 0)
    assert isinstance(failed.exception(WAIT_S), ZeroDivisionError)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.live.submit(divmod, 7, 2)


def test_a_live_call_overtakes_batch_calls_that_wait() -> None:
    order: list[str] = []
    with held_pool(1) as (pool, go_on):
        calls = [pool.batch.submit(order.append, f"batch {n}") for n in range(3)]
        live = pool.live.submit(order.append, "live")
        go_on.set()
        for call in (live, *calls):
            call.result(WAIT_S)
    assert order == ["live", "batch 0", "batch 1", "batch 2"]


def test_a_cancelled_call_does_not_run_and_those_that_wait_run_before_the_end() -> None:
    order: list[int] = []
    with held_pool(2) as (pool, go_on):
        calls = [pool.batch.submit(order.append, n) for n in range(20)]
        assert calls[7].cancel()
        go_on.set()
        pool.shutdown()
    assert calls[7].cancelled()
    assert sorted(order) == [n for n in range(20) if n != 7]
    assert not any(thread.is_alive() for thread in pool._threads)


def test_a_shutdown_that_cancels_leaves_no_future_unanswered() -> None:
    with held_pool(1) as (pool, go_on):
        calls = [pool.batch.submit(int) for _ in range(3)] + [pool.live.submit(int)]
        pool.shutdown(wait=False, cancel_futures=True)
        assert all(call.cancelled() for call in calls)
        go_on.set()


def test_batch_calls_that_were_held_back_run_without_another_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamproc.worker.lanes.LINGER_S", 0.05)
    with held_pool(1) as (pool, go_on):
        go_on.set()
        pool.live.submit(int).result(WAIT_S)
        starts = [pool.batch.submit(threading.get_ident) for _ in range(2)]
        assert len({start.result(WAIT_S) for start in starts}) == 1
    with held_pool(2) as (pool, go_on):
        blocked = pool.live.submit(int)
        both = threading.Barrier(2)
        pair = [pool.batch.submit(both.wait, WAIT_S) for _ in range(2)]
        go_on.set()
        blocked.result(WAIT_S)
        for one in pair:  # both at once: the second thread was given back by time alone
            one.result(WAIT_S)
