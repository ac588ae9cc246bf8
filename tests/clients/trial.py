"""One client through one proxy: what it delivered, what it asked for, what is to be said of it."""

import asyncio
import contextlib
import enum
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from tests.clients.events import DONE, Difference, Event, compare
from tests.clients.faults import Plan
from tests.clients.proxy import Exchange, FaultyProxy
from tests.clients.served import LIVE_S, Api
from tests.ports import die_with_parent

TIMEOUT_S = 300.0
END_S = 12.0
"""How long it is watched what a client does behind the end: several times what any waits there."""


class Program(NamedTuple):
    """A driver, which prints events as JSON with id and data, or an example that prints chunks."""

    command: Sequence[str]
    is_example: bool = False


class Mode(enum.Enum):
    """Whether the log is closed when a client begins to read, or grows while it does."""

    REPLAY = "replay"
    LIVE = "live"


@dataclass
class Taken:
    """What a driver has printed: events, and what it had to do itself, or complained of."""

    events: list[Event] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    timed_out: bool = False


@dataclass
class Outcome:
    """What came of a trial."""

    difference: Difference
    exchanges: list[Exchange]
    notes: list[str] = field(default_factory=list)
    timed_out: bool = False
    end: str = ""

    def __str__(self) -> str:
        return "no end" if self.timed_out else str(self.difference)


async def try_out(
    program: Program, api: Api, plan: Plan, mode: Mode, closed: str, *, live_s: float = LIVE_S
) -> Outcome:
    """Run a driver over a log with the plan's faults.

    `closed` is the task of replays, `live_s` how long a log grows.
    """
    task, writing = closed, None
    if mode is Mode.LIVE:
        task, writing = await api.growing(within_s=live_s)
    async with FaultyProxy(api.port, plan) as proxy:
        taken = await _follow(program, api, task, proxy.port)
        if writing is not None:
            await writing
        difference = compare(await api.truth(task), taken.events)
        return Outcome(difference, proxy.exchanges, taken.notes, taken.timed_out)


async def watch_end(program: Program, api: Api, closed: str) -> Outcome:
    """Run a driver which does not close its library at `[DONE]`; `end` says what that does."""
    taken = Taken()
    async with (
        FaultyProxy(api.port, Plan()) as proxy,
        _running(program, api, closed, proxy.port, stay="1") as (process, _),
    ):
        await _read(process, taken, TIMEOUT_S, last=DONE)
        n_before = len(proxy.exchanges)
        await _read(process, taken, END_S)
    difference = compare(await api.truth(closed), taken.events)
    n_more = len(proxy.exchanges) - n_before
    end = "repeats" if difference.repeated else "asks on" if n_more > 1 else "stops"
    return Outcome(difference, proxy.exchanges, end=end)


async def _follow(program: Program, api: Api, task: str, port: int) -> Taken:
    taken = Taken()
    async with _running(program, api, task, port) as (process, errors):
        await _read(process, taken, TIMEOUT_S, is_example=program.is_example)
        if taken.timed_out:
            return taken
        if await process.wait():
            errors.seek(0)
            last = errors.read().decode(errors="replace")[-800:]
            taken.notes.append(f"it ended with {process.returncode}: {last}")
        elif program.is_example:
            taken.events.append(Event("", DONE))
    return taken


async def _read(
    process: asyncio.subprocess.Process,
    taken: Taken,
    timeout_s: float,
    *,
    last: str = "",
    is_example: bool = False,
) -> None:
    """Take what the driver prints until its end, or until it delivers `last`."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(timeout_s):
            async for line in process.stdout:
                if is_example:
                    taken.events.append(Event("", line.decode().removesuffix("\n")))
                    continue
                what = json.loads(line)
                if "data" in what:
                    taken.events.append(Event(what["id"], what["data"]))
                    if what["data"] == last:
                        return
                elif what["note"] != "ended":
                    taken.notes.append(what["note"])
    except TimeoutError:
        taken.timed_out = True


@contextlib.asynccontextmanager
async def _running(
    program: Program, api: Api, task: str, port: int, stay: str = ""
) -> AsyncIterator[tuple[asyncio.subprocess.Process, IO[bytes]]]:
    """Start a driver, and leave nothing of it behind; yield it and what it complains of."""
    base, path = f"http://127.0.0.1:{port}", f"/v1/video/tasks/{task}/stream"
    environ = {
        **os.environ,
        "STREAM_URL": base + await api.token_path(task),
        "BASE_URL": base,
        "STREAM_PATH": path,
        "FRAMEWIRE_URL": base,
        "FRAMEWIRE_KEY": api.key,
        "TASK": task,
        "STAY": stay,
        "NO_PROXY": "127.0.0.1",
    }
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *program.command,
            cwd=folder,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=1024 * 1024,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        try:
            yield process, errors
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
