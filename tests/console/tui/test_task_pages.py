"""The loaded rows of a long list: always a begin, perhaps an end, and nothing twice."""

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from api.contract.counts import Counts
from api.contract.tasks import Status, TaskPage, TaskResource
from console.tui.view_models.task_pages import GAP, TaskPages
from tests.console.tui.recorded_api import Script

ONE = msgspec.convert(Script().answers["tasks"], TaskPage).data[0]
SIZE = 4


class Api:
    """A list of tasks, newest first, in pages of `SIZE`; cursors are ids."""

    def __init__(self, n_tasks: int) -> None:
        self.ids = [f"t{n:04}" for n in range(n_tasks, 0, -1)]
        self.statuses: dict[str, Status] = {}
        self._made = n_tasks

    def add(self, n_tasks: int) -> None:
        for _ in range(n_tasks):
            self._made += 1
            self.ids.insert(0, f"t{self._made:04}")

    def page(self, after: str | None = None, *, is_reversed: bool = False) -> TaskPage:
        ids = [
            one
            for one in (self.ids[::-1] if is_reversed else self.ids)
            if after is None or (one > after if is_reversed else one < after)
        ]
        data = self.tasks(ids[:SIZE])
        cursor = ids[SIZE - 1] if len(ids) > SIZE else None
        return TaskPage(data, cursor, Counts(len(self.ids), len(self.ids)))

    def tasks(self, ids: Sequence[str]) -> list[TaskResource]:
        return [
            msgspec.structs.replace(ONE, id=one, status=self.statuses.get(one, "running"))
            for one in ids
            if one in self.ids
        ]


def opened(api: Api) -> TaskPages:
    pages = TaskPages()
    pages.refresh(api.page())
    return pages


def test_the_end_is_one_page_away_and_the_gap_is_filled_from_both_sides() -> None:
    api = Api(20)
    pages = opened(api)
    pages.show_end(api.page(is_reversed=True))
    assert list(pages.keys) == [*api.ids[:4], GAP, *api.ids[-4:]]
    assert pages.n_missing == 12
    pages.extend(api.page(pages.head_cursor))
    pages.extend_tail(api.page(pages.tail_cursor, is_reversed=True))
    assert list(pages.keys) == [*api.ids[:8], GAP, *api.ids[-8:]]
    pages.extend(api.page(pages.head_cursor))

    pages.extend(api.page(pages.head_cursor))
    assert list(pages.keys) == api.ids
    assert (pages.has_gap, pages.head_cursor) == (False, None)


def test_more_new_tasks_than_a_page_leave_no_hole() -> None:
    api = Api(12)
    pages = opened(api)
    pages.extend(api.page(pages.head_cursor))
    api.add(9)
    pages.refresh(api.page())
    assert list(pages.keys) == api.ids[:4]
    pages.extend(api.page(pages.head_cursor))
    assert list(pages.keys) == api.ids[:8]


def test_rows_beyond_the_first_page_are_asked_for_while_they_are_active_or_in_sight() -> None:
    api = Api(12)
    pages = opened(api)
    for _ in range(2):
        pages.extend(api.page(pages.head_cursor))
    old = api.ids[4:]
    api.statuses = dict.fromkeys(old[:4], "succeeded")
    pages.update(api.tasks(old), old)
    assert pages.outdated([]) == tuple(old[4:])
    assert pages.outdated([api.ids[0], old[0]]) == (old[0], *old[4:])


def test_a_task_that_left_the_filter_leaves_the_list() -> None:
    api = Api(12)
    pages = opened(api)
    pages.extend(api.page(pages.head_cursor))
    gone, *rest = api.ids[4:8]
    pages.update(api.tasks(rest), [gone, *rest])
    assert list(pages.keys) == [*api.ids[:4], *rest]
    assert pages.task(gone) is None


def test_another_filter_replaces_the_rows_once_its_page_is_there() -> None:
    api = Api(12)
    pages = opened(api)
    pages.show_end(api.page(is_reversed=True))
    pages.start_over()
    assert len(pages) == 8
    api.ids = api.ids[1::2]
    pages.refresh(api.page())
    assert list(pages.keys) == api.ids[:4]


def test_tasks_that_are_added_at_the_end_are_missed() -> None:
    api = Api(3)
    pages = opened(api)
    assert not pages.misses_end
    api.ids.append("t0000")
    pages.extend(TaskPage([], None))
    pages.counts = Counts(4, 4)
    assert pages.misses_end
    pages.show_end(api.page(is_reversed=True))
    assert list(pages.keys) == api.ids


@given(
    n_tasks=st.integers(0, 25),
    steps=st.lists(st.sampled_from(["poll", "next", "before", "last", "new", "many"]), max_size=25),
)
def test_whatever_is_read_the_rows_are_a_begin_and_an_end_of_the_list(
    n_tasks: int, steps: list[str]
) -> None:
    api = Api(n_tasks)
    pages = opened(api)
    for step in [*steps, "poll"]:
        match step:
            case "poll":
                pages.refresh(api.page())
            case "next" if pages.head_cursor is not None:
                pages.extend(api.page(pages.head_cursor))
            case "before" if pages.tail_cursor is not None and pages.has_gap:
                pages.extend_tail(api.page(pages.tail_cursor, is_reversed=True))
            case "last":
                pages.show_end(api.page(is_reversed=True))
            case "new" | "many":
                api.add(1 if step == "new" else 7)
                pages.refresh(api.page())
        keys = list(pages.keys)
        assert len(keys) == len(set(keys))
        head, tail = keys, []
        if GAP in keys:
            at = keys.index(GAP)
            head, tail = keys[:at], keys[at + 1 :]
        assert head == api.ids[: len(head)]
        assert not tail or tail == api.ids[-len(tail) :]
        assert all(pages.task(key) is not None for key in head + tail)
        if not tail and pages.head_cursor is None:
            assert head == api.ids
