"""The chunks at a log's edges, whichever order its events' lines have."""

import pytest

from api.log.log_state import first_chunk, last_chunk
from tests.id_first import frame_id_first
from tests.streamproc.sinks.logs import LogBuilder, target, task_id


def two_chunks(*orders: bool, text: str = "A1", closed: bool = False) -> bytes:
    """Return a log of two chunks, and the terminal if `closed`; True: `id` stands first."""
    log = LogBuilder(task_id(1))
    today = log.frame_event
    for is_id_first in orders:
        log.frame_event = frame_id_first if is_id_first else today
        log.chunk(target(1, text=text))
    if closed:
        log.terminal()
    return log.log


@pytest.mark.parametrize("orders", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("text", ["A1", "data: x", "data: {}", "data: [DONE]", "id: 1"])
def test_the_chunks_at_the_edges_are_found_from_any_byte(
    orders: tuple[bool, ...], text: str
) -> None:
    log = two_chunks(*orders, text=text)
    first = first_chunk(log)
    assert first is not None
    assert first.stream_info.frame_index == 0
    start = log.find(b"\n\n") + 2
    for at in (*range(start - 1), start):  # a blank line's second half is taken for an event's
        found = last_chunk(log[at:])
        assert found is not None
        assert found.stream_info.frame_index == 1
    for at in range(start + 1, len(log)):
        assert last_chunk(log[at:]) is None


@pytest.mark.parametrize("is_id_first", [True, False])
def test_the_last_chunk_of_a_closed_log_is_its_terminal(*, is_id_first: bool) -> None:
    found = last_chunk(two_chunks(is_id_first, closed=True))
    assert found is not None
    assert found.finish_reason == "stop"
