"""Key expiry for open streams: a stream ends with its key; one check per key, not per stream."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

SWEEP_S = 0.25

End = Callable[[], None]


class KeyExpiry:
    """The open streams by key, checked every `SWEEP_S` seconds. Use from one event loop.

    `is_alive` takes a key's id and returns whether the key may still be used.
    """

    def __init__(self, is_alive: Callable[[str], bool]) -> None:
        self._is_alive = is_alive
        self._ends: dict[str, set[End]] = {}
        self._sweeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper

    def add(self, key_id: str, end: End) -> None:
        """Register `end`, which is called when the key is not valid any more.

        Every `add` needs a `remove`.
        """
        self._ends.setdefault(key_id, set()).add(end)

    def remove(self, key_id: str, end: End) -> None:
        ends = self._ends.get(key_id)
        if ends is not None:
            ends.discard(end)
            if not ends:
                del self._ends[key_id]

    def end_dead(self) -> None:
        """End the streams of all keys that are not valid any more."""
        for key_id, ends in list(self._ends.items()):
            if not self._is_alive(key_id):
                for end in list(ends):
                    end()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.end_dead()


class KeyWatch(NamedTuple):
    """The key that a stream depends on: `key` is the id of the key that opened it."""

    expiry: KeyExpiry
    key: str
