"""Follows one task's log into a fold; reconnects with backoff, and reports connection events.

The log of a file is read from its first byte. That of a live source may be months long: it is read
from ten minutes before now, or before its end.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
from msgspec import UNSET

from console.client import calls
from console.client.log_stream import Following
from console.errors import ApiProblem, LogMismatchError, UnreachableError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import grouped
from console.tui.drawing.styled_text import Span
from console.tui.view_models.connection import FIRST_PAUSE_S, MAX_PAUSE_S
from console.tui.view_models.live_stream import LiveFold
from console.tui.view_models.task_list import parse_time
from streamproc.contract.timestamps import rfc3339

RECENT_MS = 10 * 60 * 1000
"""So much of a live source's log is read at first."""
_KEY_STATUSES = {401, 403}  # a key may become valid again


async def follow_log(
    backend: ApiSession, task_id: str, fold: LiveFold, tell: Callable[[Span], object]
) -> AsyncIterator[Span | None]:
    """Apply each piece of the log to `fold`, then yield a note for the user, or None.

    Starts at the fold's offset, or where `_beginning` says. `tell` receives notes while no data
    arrives. Ends at the log's end, or with a note if the log cannot be read. Other failures are
    retried without limit, with exponential backoff.
    """
    pause_s = FIRST_PAUSE_S
    tries: list[float] = []
    while True:

        def expired(first: int) -> None:
            tell((f"bytes before {grouped(first)} have expired: the log begins there", "warn"))

        try:
            start = fold.offset or await _beginning(backend, task_id, tell)
            following = Following(task_id, start, on_expired=expired)

            def cut(next_s: float, following: Following = following) -> None:
                tries.append(next_s)
                at = grouped(following.offset)
                tell((f"the stream broke off at byte {at}, again in {next_s:.1f} s", "bad"))

            async for piece in backend.follow(following, cut):
                fold.apply(piece.events, backend.clock.monotonic_s())
                yield _resumed(piece.offset, tries)
                pause_s = FIRST_PAUSE_S
                # Yield to the event loop: a long burst of data would starve other tasks.
                await asyncio.sleep(0)
        except ApiProblem as exc:
            why = f"the api rejected the stream request: {exc.detail or exc.code}"
            if exc.status < 500 and exc.status not in _KEY_STATUSES:
                yield why, "bad"
                return
        except (LogMismatchError, msgspec.DecodeError) as exc:
            yield f"the stream is not a log that this console can read: {exc}", "bad"
            return
        except UnreachableError as exc:
            why = str(exc)
        else:
            yield None
            return
        yield f"{why}, again in {pause_s:.0f} s", "bad"
        tries.append(pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(MAX_PAUSE_S, 2 * pause_s)


async def _beginning(
    backend: ApiSession, task_id: str, tell: Callable[[Span], object]
) -> int | str:
    """Return where a log is read from at first: a byte, or a time."""
    task = await backend.ask(calls.task(task_id))
    if task.live is UNSET:
        return 0
    end = parse_time(task.finished_at) or backend.clock.now()
    start_ms = round(end.timestamp() * 1000) - RECENT_MS
    began = parse_time(task.started_at) or parse_time(task.created_at)
    if began is None or round(began.timestamp() * 1000) >= start_ms:
        return 0
    time_of_day = f"{backend.clock.local(start_ms):%H:%M:%S}"
    tell((f"the log from {time_of_day} on; b and a time of day shows what was before", "info"))
    return rfc3339(start_ms)


def _resumed(offset: int, tries: list[float]) -> Span | None:
    if not tries:
        return None
    n_tries = len(tries)
    tries.clear()
    after = "" if n_tries == 1 else f" after {n_tries} tries"
    return f"resumed at byte {grouped(offset)}{after}", "warn"
