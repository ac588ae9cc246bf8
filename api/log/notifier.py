"""Notifier (condition variable per task): wakes the readers that wait for a task's log to grow.

One shared wake-up per task and batch, no queue per reader.
"""

import asyncio


class StoppingError(Exception):
    """The process is stopping: waiting is not possible any more."""


class Notifier:
    """The waiting readers of each task. A task without waiting readers costs nothing."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._stopping = False

    def wake(self, task: str) -> None:
        """Wake all readers that wait for the task now."""
        waiting = self._waiting.get(task)
        if waiting is not None:
            waiting.event.set()
            waiting.event.clear()

    def stop(self) -> None:
        """Wake all readers; every `wait` raises `StoppingError` from now on."""
        self._stopping = True
        for waiting in self._waiting.values():
            waiting.event.set()

    def check(self) -> None:
        """Raise `StoppingError` if `stop` was called."""
        if self._stopping:
            raise StoppingError

    async def wait(self, task: str, timeout_s: float | None) -> bool:
        """Wait for the next `wake`; return False after `timeout_s`.

        Raises `StoppingError` if `stop` was called.
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
    """The waiting readers of one task: `n` readers share one event."""

    __slots__ = ("event", "n")

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.n = 0
