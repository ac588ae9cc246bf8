"""Follows one task's log into a fold, over cuts and an api that is away, and says what happened."""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from console.backend import Backend
from console.client.log import Following
from console.errors import ApiProblem, LogMismatchError, UnreachableError
from console.feed import LiveFold
from console.ink import Span
from console.link import FIRST_PAUSE_S, MAX_PAUSE_S
from console.words import grouped


async def follow_log(backend: Backend, task_id: str, fold: LiveFold) -> AsyncIterator[Span | None]:
    """Yield after every piece that `fold` took: a note for the person, or None.

    Ends with the log, or with a note when it cannot be read. Begins where the fold stands.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        cuts: list[float] = []
        following = Following(task_id, fold.offset)
        try:
            async for piece in backend.follow(following, cuts.append):
                fold.apply(piece.events, backend.clock.monotonic_s())
                yield _resumed(piece.offset, cuts)
                pause_s = FIRST_PAUSE_S
                # A burst that is always ready would leave nobody else a turn.
                await asyncio.sleep(0)
        except ApiProblem as exc:
            yield f"the stream is refused: {exc.detail or exc.code}", "bad"
            return
        except (LogMismatchError, msgspec.DecodeError) as exc:
            yield f"the stream is not a log that this console can read: {exc}", "bad"
            return
        except UnreachableError as exc:
            yield f"{exc}, again in {pause_s:.0f} s", "bad"
            await asyncio.sleep(pause_s)
            pause_s = min(MAX_PAUSE_S, 2 * pause_s)
            continue
        yield None
        return


def _resumed(offset: int, cuts: list[float]) -> Span | None:
    if not cuts:
        return None
    n_cuts = len(cuts)
    cuts.clear()
    tries = "" if n_cuts == 1 else f" after {n_cuts} tries"
    return f"resumed at byte {grouped(offset)}{tries}", "warn"
