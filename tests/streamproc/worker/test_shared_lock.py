"""Who runs beside whom: threads enter at random, and nobody is ever beside one who is alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.worker.shared_lock import SharedLock


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=24))
def test_nobody_is_beside_one_who_is_alone_and_all_get_in(wishes: list[bool]) -> None:
    shared, lock = SharedLock(), threading.Lock()
    inside: list[bool] = []
    seen: list[list[bool]] = []

    def visit(alone: bool) -> None:
        with shared.held(exclusive=alone):
            with lock:
                inside.append(alone)
                seen.append(list(inside))
            with lock:
                inside.remove(alone)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(visit, wishes))
    assert len(seen) == len(wishes)
    assert all(len(together) == 1 for together in seen if True in together)


def test_those_who_are_together_do_not_wait_for_each_other() -> None:
    lock = SharedLock()
    with lock.held(exclusive=False), lock.held(exclusive=False):
        pass
    with lock.held(exclusive=True):
        pass


def test_one_who_waits_to_be_alone_goes_before_newcomers() -> None:
    lock, order = SharedLock(), []
    first = lock.held(exclusive=False)
    first.__enter__()

    def enter(name: str, alone: bool) -> None:
        with lock.held(exclusive=alone):
            order.append(name)

    alone = threading.Thread(target=enter, args=("alone", True))
    alone.start()
    while lock._n_waiting == 0:
        threading.Event().wait(0.001)
    newcomer = threading.Thread(target=enter, args=("newcomer", False))
    newcomer.start()
    first.__exit__(None, None, None)
    alone.join()
    newcomer.join()
    assert order == ["alone", "newcomer"]
