"""Waiting for a task's log to grow: one shared wake-up per task and batch, no queue per reader."""

import asyncio


class StoppingError(Exception):
    """The process stops: nothing will be waited for any more."""


class Notifier:
    """Who waits for which task. A task that nobody waits for costs nothing."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._stopping = False

    def wake(self, task: str) -> None:
        """Wake all who wait for the task now."""
        waiting = self._waiting.get(task)
        if waiting is not None:
            waiting.event.set()
            waiting.event.clear()

    def stop(self) -> None:
        """Wake everybody, for the last time."""
        self._stopping = True
        for waiting in self._waiting.values():
            waiting.event.set()

    def check(self) -> None:
        """Raise `StoppingError` once `stop` was called."""
        if self._stopping:
            raise StoppingError

    async def wait(self, task: str, timeout_s: float | None) -> bool:
        """Wait for the next `wake`; False when `timeout_s` passed first.

        Raises `StoppingError` once `stop` was called.
        """
        self.check()
        waiting = self._waiting.setdefault(task, _Waiting())
        waiting.n += 1
        try:
            if timeout_s is None:
                await waiting.event.wait()
            else:
                async with asyncio.timeout(timeout_s):
                    await waiting.event.wait()
        except TimeoutError:
            return False
        finally:
            waiting.n -= 1
            if not waiting.n and self._waiting.get(task) is waiting:
                del self._waiting[task]
        self.check()
        return True


class _Waiting:
    """The readers of one task that wait: `n` of them share one event."""

    __slots__ = ("event", "n")

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.n = 0
