"""Which session is given up when there are too many."""

from types import SimpleNamespace
from typing import Any

from streamproc.worker.session_cache import SessionCache


def session(project: str = "p", *, has_begun: bool = True, live: object = None) -> Any:
    submitted = SimpleNamespace(project=project, spec=SimpleNamespace(live=live))
    one = SimpleNamespace(has_begun=has_begun, submitted=submitted)
    one.n_closed = 0

    def close() -> None:
        one.n_closed += 1

    one.close = close
    return one


def test_the_coldest_is_closed() -> None:
    sessions, kept = SessionCache(2), [session() for _ in range(3)]
    for number, one in enumerate(kept):
        sessions.keep(f"task-{number}", one)
    assert [one.n_closed for one in kept] == [1, 0, 0]
    assert sessions.take("task-0") is None
    assert sessions.take("task-2") is kept[2]


def test_one_on_its_way_to_its_first_frame_is_kept_longer() -> None:
    """Otherwise many tasks with a long way to their first frame would begin again for ever."""
    sessions = SessionCache(2)
    on_the_way, shown, newest = session(has_begun=False), session(), session(has_begun=False)
    sessions.keep("on-the-way", on_the_way)
    sessions.keep("shown", shown)
    sessions.keep("newest", newest)
    assert (on_the_way.n_closed, shown.n_closed, newest.n_closed) == (0, 1, 0)
    sessions.keep("one-more", session(has_begun=False))
    assert on_the_way.n_closed == 1  # nobody has shown anything: the coldest all the same
    sessions.close()
    assert newest.n_closed == 1


def test_live_sessions_and_others_make_no_room_for_each_other() -> None:
    sessions = SessionCache(2)
    files = [session() for _ in range(2)]
    cameras = [session(live="options") for _ in range(5)]
    for number, one in enumerate([files[0], *cameras, files[1]]):
        sessions.keep(f"task-{number}", one)
    assert [one.n_closed for one in (*files, *cameras)] == [0] * 7
    assert sessions.by_project() == {"p": 2}  # what projects share has no live ones
    sessions.keep("one-more", session())
    assert [one.n_closed for one in (*files, *cameras)] == [1] + [0] * 6
    sessions.close()
    assert {one.n_closed for one in cameras} == {1}
