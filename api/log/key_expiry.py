"""Streams end with the key that opened them: one look per key with open streams, not per stream."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

SWEEP_S = 0.25

End = Callable[[], None]


class StreamLives:
    """The open streams by who opened them. Use from one event loop.

    `is_alive` tells of a key's id whether it may still be used.
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
        """Call `end` once the key is dead; every `add` needs a `remove`."""
        self._ends.setdefault(key_id, set()).add(end)

    def remove(self, key_id: str, end: End) -> None:
        ends = self._ends.get(key_id)
        if ends is not None:
            ends.discard(end)
            if not ends:
                del self._ends[key_id]

    def end_dead(self) -> None:
        """End the streams of all keys that have died."""
        for key_id, ends in list(self._ends.items()):
            if not self._is_alive(key_id):
                for end in list(ends):
                    end()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.end_dead()


class Life(NamedTuple):
    """What one stream lives by: `key` is the id of the key that opened it."""

    lives: StreamLives
    key: str
