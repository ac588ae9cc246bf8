"""Acknowledgements: never past an event that is still in work."""

from hypothesis import given
from hypothesis import strategies as st

from streamproc.worker.ordered_acks import OrderedAcks


@given(st.permutations(range(12)))
def test_events_are_released_in_offset_order_and_only_behind_finished_ones(
    order: list[int],
) -> None:
    acks: OrderedAcks[int] = OrderedAcks()
    for offset in range(12):
        acks.begin("p", offset, offset)
    finished: set[int] = set()
    released: list[int] = []
    for offset in order:
        finished.add(offset)
        released += acks.finish("p", offset, offset)
        assert released == list(range(len(released)))
        assert set(released) <= finished
    assert released == list(range(12))
    assert len(acks) == 0


def test_partitions_do_not_wait_for_each_other() -> None:
    acks: OrderedAcks[str] = OrderedAcks()
    acks.begin("a", 5, "a5")
    acks.begin("b", 7, "b7")
    assert acks.finish("b", 7, "b7") == ["b7"]


def test_a_lost_partition_releases_nothing_any_more() -> None:
    acks: OrderedAcks[str] = OrderedAcks()
    acks.begin("a", 5, "a5")
    acks.drop("a")
    assert acks.finish("a", 5, "a5") == []


def test_a_former_delivery_cannot_acknowledge_for_the_later_one() -> None:
    acks: OrderedAcks[list[str]] = OrderedAcks()
    former, later = ["a5"], ["a5"]
    acks.begin("a", 5, former)
    acks.drop("a")
    acks.begin("a", 5, later)
    assert acks.finish("a", 5, former) == []
    (released,) = acks.finish("a", 5, later)
    assert released is later
