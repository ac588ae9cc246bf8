"""Which of the ring's slots the worker has from its decoder, and when they go back."""

import threading
from typing import Final

from streamproc.source.errors import DecoderCrashedError

RELEASE_BATCHES: Final = 4
"""In so many parts the ring's slots go back. A decoder that gets several works in bursts: beside
other decoders it finds its caches emptied once for a burst, not for every frame."""


class SlotLoans:
    """The slots of one ring. Thread-safe; it sends nothing, what goes back is returned."""

    def __init__(self, n_slots: int) -> None:
        self._n_slots = n_slots
        self._lock = threading.Lock()
        self._lent: set[int] = set()
        self._kept: list[int] = []
        self._is_awaited = False

    @property
    def all_lent(self) -> bool:
        """Whether the decoder can do nothing before a slot is given back."""
        return bool(self._lent) and len(self._lent) == self._n_slots

    def acquire(self, slot: int) -> None:
        """Raises DecoderCrashedError for a slot that is not the decoder's."""
        with self._lock:
            if not 0 <= slot < self._n_slots or slot in self._lent or slot in self._kept:
                raise DecoderCrashedError("the decoder used a slot it does not own")
            self._lent.add(slot)

    def release(self, slot: int) -> list[int]:
        """Return the slots that go back to the decoder now; a slot that is not lent changes none.

        They gather until they are worth a burst, unless somebody waits for the decoder.
        """
        with self._lock:
            if slot in self._lent:
                self._lent.discard(slot)
                self._kept.append(slot)
            worth_it = len(self._kept) >= self._n_slots // RELEASE_BATCHES
            return self._all_kept() if worth_it or self._is_awaited else []

    def flush(self) -> list[int]:
        """From now on every slot goes back at once. Returns those that gathered."""
        with self._lock:
            self._is_awaited = True
            return self._all_kept()

    def end_wait(self) -> None:
        with self._lock:
            self._is_awaited = False

    def _all_kept(self) -> list[int]:
        kept, self._kept = self._kept, []
        return kept
