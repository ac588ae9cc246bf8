"""Child processes that the api asks for what it does not do itself: one JSON line at a time."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

_LINE_BYTES = 64 * 1024
_REAP_S = 5.0
_INHERITED = ("PATH", "LANG", "TMPDIR")
_ROOT = Path(__file__).resolve().parents[2]


class LineChild:
    """One child process, started at its first order; it handles one order at a time.

    If it exits while idle, the next order starts a new one.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = command
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def ask(self, order: bytes) -> bytes:
        """Send a line and return the next line of the child, with its end.

        Raises OSError or IncompleteReadError if the child ends instead. After any exception, call
        `end`.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._process is not None and _is_gone(self._process):
            await self.end()
        process = self._process
        if process is None:
            process = self._process = await self._start()
        if process.stdin is None or process.stdout is None:
            raise OSError("the child has no pipes")
        process.stdin.write(order + b"\n")
        await process.stdin.drain()
        return await process.stdout.readuntil(b"\n")

    async def read(self, size_bytes: int) -> bytes:
        """Return the bytes that follow the line that `ask` returned; raises as it does."""
        if self._process is None or self._process.stdout is None:
            raise OSError("the child has no pipes")
        return await self._process.stdout.readexactly(size_bytes)

    def rest(self, idle_s: float, ended: Callable[[Self], None]) -> None:
        """After `idle_s` without another order, call `ended` and end the child."""

        def end() -> None:
            ended(self)
            self._ending = asyncio.create_task(self.end())

        self._timer = asyncio.get_running_loop().call_later(idle_s, end)

    async def end(self) -> None:
        """Kill the child and reap it. A second call does nothing."""
        if self._timer is not None:
            self._timer.cancel()
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        with suppress(TimeoutError):  # whatever the loop missed, the api must be able to end
            async with asyncio.timeout(_REAP_S):
                await process.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environ,
            limit=_LINE_BYTES,
        )


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of the product's modules."""
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment(names: Iterable[str] = ()) -> dict[str, str]:
    """Return the environment of a child: of this process's only these variables, no credentials."""
    inherited = (*_INHERITED, *names)
    environ = {name: os.environ[name] for name in inherited if name in os.environ}
    return {**environ, "PYTHONPATH": str(_ROOT)}


def _is_gone(process: asyncio.subprocess.Process) -> bool:
    """Return whether it has ended: its pipe may close before its exit code is available."""
    return process.returncode is not None or process.stdin is None or process.stdin.is_closing()
