"""Child process that renders previews: `python -m streamproc frame`, one order at a time."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from streamproc.contract import env
from streamproc.contract.preview import FrameAnswer, FrameOrder
from streamproc.contract.setting_error import SettingError

_LINE_BYTES = 64 * 1024
_PROBE_S = 60
_INHERITED = (
    *(env.FILE_ROOTS, env.PRIVATE_HOSTS, env.SOURCE_PORTS, env.MAX_SOURCE_BYTES),
    *(env.OPEN_TIMEOUT_S, env.MIN_SOURCE_RATE, env.MIN_FREE_BYTES, env.REQUIRE_SANDBOX),
    env.S3_CA_BUNDLE,
    *("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_ROOT = Path(__file__).resolve().parents[2]


class FrameChild:
    """One child process, started at its first order; it handles one order at a time.

    If it exits while idle, the next order starts a new one.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def answer(self, order: FrameOrder) -> tuple[FrameAnswer, bytes]:
        """Send an order and return the child's answer. After any exception, call `end`."""
        if self._timer is not None:
            self._timer.cancel()
        if self._process is not None and _is_gone(self._process):
            await self.end()
        process = self._process
        if process is None:
            process = self._process = await self._start()
        if process.stdin is None or process.stdout is None:
            raise OSError("the child has no pipes")
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readuntil(b"\n")
        answer = msgspec.json.decode(line, type=FrameAnswer)
        return answer, await process.stdout.readexactly(answer.size_bytes)

    def rest(self, idle_s: float, ended: Callable[["FrameChild"], None]) -> None:
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
        await process.wait()

    @staticmethod
    async def _start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *_command("frame"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
            limit=_LINE_BYTES,
        )


def require_sandbox() -> None:
    """Test a decoder's sandbox on this host; raises SettingError if a required part is missing.

    Blocks for about a second.
    """
    said = f"{env.REQUIRE_SANDBOX} is 1, and the decoder's sandbox on this host is"
    try:
        done = subprocess.run(
            _command("sandbox"),
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=_PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise SettingError(f"{said} not known: no decoder started") from exc
    if done.returncode:
        found = (done.stdout or done.stderr).strip().splitlines()
        raise SettingError(f"{said} {found[-1] if found else 'not known'}")


def _command(role: str) -> list[str]:
    return [sys.executable, "-P", "-m", "streamproc", role]


def _environment() -> dict[str, str]:
    environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**environ, "PYTHONPATH": str(_ROOT)}


def _is_gone(process: asyncio.subprocess.Process) -> bool:
    """Return whether it has ended: its pipe may close before its exit code is available."""
    return process.returncode is not None or process.stdin is None or process.stdin.is_closing()
