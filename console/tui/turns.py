"""Order among coroutines that finish in any order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Lets coroutines do something in the order of their numbers, which begin at 0."""

    def __init__(self) -> None:
        self._next = 0
        self._passed_on = asyncio.Condition()

    @asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[None]:
        """Wait until the numbers before had their turns. Each must take its own, to the end."""
        async with self._passed_on:
            await self._passed_on.wait_for(lambda: self._next == number)
            try:
                yield
            finally:
                self._next += 1
                self._passed_on.notify_all()
