"""Follows one task's log into a fold; reconnects with backoff, and reports connection events."""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec

from console.client.log_stream import Following
from console.errors import ApiProblem, LogMismatchError, UnreachableError
from console.tui.api_session import ApiSession
from console.tui.drawing.formatting import grouped
from console.tui.drawing.styled_text import Span
from console.tui.view_models.connection import FIRST_PAUSE_S, MAX_PAUSE_S
from console.tui.view_models.live_stream import LiveFold

_KEY_STATUSES = {401, 403}  # a key may become valid again


async def follow_log(
    backend: ApiSession, task_id: str, fold: LiveFold, tell: Callable[[Span], object]
) -> AsyncIterator[Span | None]:
    """Apply each piece of the log to `fold`, then yield a note for the user, or None.

    Starts at the fold's offset. `tell` receives notes while no data arrives. Ends at the log's end,
    or with a note if the log cannot be read. Other failures are retried without limit, with
    exponential backoff.
    """
    pause_s = FIRST_PAUSE_S
    tries: list[float] = []
    while True:

        def expired(first: int) -> None:
            tell((f"bytes before {grouped(first)} have expired: the log begins there", "warn"))

        following = Following(task_id, fold.offset, on_expired=expired)

        def cut(next_s: float, following: Following = following) -> None:
            tries.append(next_s)
            at = grouped(following.offset)
            tell((f"the stream broke off at byte {at}, again in {next_s:.1f} s", "bad"))

        try:
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


def _resumed(offset: int, tries: list[float]) -> Span | None:
    if not tries:
        return None
    n_tries = len(tries)
    tries.clear()
    after = "" if n_tries == 1 else f" after {n_tries} tries"
    return f"resumed at byte {grouped(offset)}{after}", "warn"
