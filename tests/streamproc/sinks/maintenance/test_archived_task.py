"""Tasks are found without listing all objects of the long ones."""

from collections.abc import Iterator

import pytest

from streamproc.clients.object_store import ListedObject
from streamproc.contract.object_keys import latest_key, request_key, segment_key, vectors_key
from streamproc.sinks.maintenance.archived_task import archived_tasks
from tests.streamproc.sinks.logs import PROJECT, MemoryObjects, task_id

TASKS = [task_id(n) for n in range(4)]
PAGE = 1000


class Listed(MemoryObjects):
    """Counts the keys that were listed, and refuses to read an object."""

    def __init__(self) -> None:
        super().__init__()
        self.n_keys = 0

    def keys(self, prefix: str, after: str = "") -> Iterator[ListedObject]:
        for listed in super().keys(prefix, after):
            self.n_keys += 1
            yield listed

    def get(self, key: str) -> bytes | None:
        raise AssertionError(f"{key} was read")


def a_store(n_objects: int) -> Listed:
    """Return a store in which two of the tasks have so many objects of each kind."""
    store = Listed()
    for n, task in enumerate(TASKS):
        store.put(request_key(PROJECT, task), b"{}")
        store.put(latest_key(PROJECT, task), b"")
        for at in range(n_objects if n in {1, 2} else 3):
            store.put(segment_key(PROJECT, task, at), b"")
            store.put(vectors_key(PROJECT, task, at), b"")
            store.put(f"{PROJECT}/{task}/rec/{at:020d}", b"")
            store.put(f"{PROJECT}/{task}/pictures/1/{at:020d}", b"")
    return store


@pytest.mark.parametrize("n_objects", [1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_every_task_is_found_once(n_objects: int) -> None:
    found = list(archived_tasks(a_store(n_objects)))
    assert found == [(PROJECT, task) for task in TASKS]


def test_the_listing_does_not_grow_with_the_length_of_a_log() -> None:
    counts = []
    for n_objects in (2 * PAGE, 4 * PAGE):
        store = a_store(n_objects)
        assert len(list(archived_tasks(store))) == len(TASKS)
        counts.append(store.n_keys)
    assert counts[0] == counts[1]
    assert counts[0] < 9 * PAGE
