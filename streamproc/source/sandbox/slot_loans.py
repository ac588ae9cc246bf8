"""Slot accounting of the frame pool: slots that the worker holds, and their batched release."""

import threading
from typing import Final

from streamproc.source.errors import DecoderCrashedError

RELEASE_BATCHES: Final = 4
"""Slots are returned in batches of `n_slots // RELEASE_BATCHES`. So a decoder runs in bursts: with
other decoders on the machine, it refills its CPU caches once per burst, not for every frame."""


class SlotLoans:
    """The slots of one frame pool. Thread-safe; it sends nothing: methods return slots to send."""

    def __init__(self, n_slots: int) -> None:
        self._n_slots = n_slots
        self._lock = threading.Lock()
        self._lent: set[int] = set()
        self._kept: list[int] = []
        self._is_awaited = False

    @property
    def all_lent(self) -> bool:
        """Whether all slots are in use: the decoder cannot continue until one is released."""
        return bool(self._lent) and len(self._lent) == self._n_slots

    def acquire(self, slot: int) -> None:
        """Mark a slot as in use; raises DecoderCrashedError if the decoder does not own it."""
        with self._lock:
            if not 0 <= slot < self._n_slots or slot in self._lent or slot in self._kept:
                raise DecoderCrashedError("the decoder used a slot it does not own")
            self._lent.add(slot)

    def release(self, slot: int) -> list[int]:
        """Release a slot; return the slots to send to the decoder now. A second release is ignored.

        Released slots are collected to a batch, unless the worker waits for the decoder.
        """
        with self._lock:
            if slot in self._lent:
                self._lent.discard(slot)
                self._kept.append(slot)
            worth_it = len(self._kept) >= self._n_slots // RELEASE_BATCHES
            return self._all_kept() if worth_it or self._is_awaited else []

    def flush(self) -> list[int]:
        """Return the collected slots; until `end_wait` each released slot is returned at once."""
        with self._lock:
            self._is_awaited = True
            return self._all_kept()

    def end_wait(self) -> None:
        with self._lock:
            self._is_awaited = False

    def _all_kept(self) -> list[int]:
        kept, self._kept = self._kept, []
        return kept
