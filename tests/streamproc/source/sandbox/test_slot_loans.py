"""Slots of the ring: who has them, and when they go back to the decoder."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.source.errors import DecoderCrashedError
from streamproc.source.sandbox.slot_loans import RELEASE_BATCHES, SlotLoans


def test_slots_go_back_several_at_a_time() -> None:
    loans = SlotLoans(12)
    for slot in range(12):
        loans.acquire(slot)
    sent = [slots for slot in range(12) if (slots := loans.release(slot))]
    assert sent == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


def test_while_the_decoder_is_awaited_every_slot_goes_back_at_once() -> None:
    loans = SlotLoans(12)
    for slot in range(12):
        loans.acquire(slot)
    assert loans.release(0) == []
    assert loans.flush() == [0]
    assert loans.release(1) == [1]
    loans.end_wait()
    assert loans.release(2) == []


def test_a_ring_of_few_slots_gathers_none() -> None:
    loans = SlotLoans(RELEASE_BATCHES - 1)
    loans.acquire(1)
    assert loans.release(1) == [1]


def test_a_ring_that_is_not_known_yet_holds_nobody_up() -> None:
    assert not SlotLoans(0).all_lent
    assert SlotLoans(0).flush() == []


@pytest.mark.parametrize("slot", [-1, 0, 1, 12])
def test_a_slot_that_is_not_the_decoders_is_a_crash(slot: int) -> None:
    loans = SlotLoans(12)
    loans.acquire(0)
    loans.acquire(1)
    assert loans.release(1) == []
    with pytest.raises(DecoderCrashedError):
        loans.acquire(slot)


@given(
    n_slots=st.integers(1, 40),
    turns=st.lists(st.sampled_from(["lend", "give", "twice", "begin", "end"]), max_size=200),
    seed=st.randoms(use_true_random=False),
)
def test_every_slot_is_in_one_hand_and_whoever_waits_gets_what_is_free(
    n_slots: int, turns: list[str], seed: random.Random
) -> None:
    loans = SlotLoans(n_slots)
    free, lent = set(range(n_slots)), set[int]()
    kept, awaited = set[int](), False
    for turn in turns:
        sent: list[int] = []
        if turn == "lend" and free:
            slot = seed.choice(sorted(free))
            loans.acquire(slot)
            free.discard(slot)
            lent.add(slot)
        elif turn == "give" and lent:
            slot = seed.choice(sorted(lent))
            sent = loans.release(slot)
            lent.discard(slot)
            kept.add(slot)
        elif turn == "twice" and free:
            sent = loans.release(seed.choice(sorted(free)))
        elif turn == "begin":
            sent, awaited = loans.flush(), True
        elif turn == "end":
            loans.end_wait()
            awaited = False
        assert set(sent) <= kept
        assert len(sent) == len(set(sent))
        kept -= set(sent)
        free |= set(sent)
        assert loans.all_lent == (len(lent) == n_slots)
        assert not (awaited and kept)
        assert len(kept) < max(n_slots // RELEASE_BATCHES, 1)
