"""Vectors of words, made by a child process with a text encoder, with an LRU cache.

The api loads no network itself. A child (`python -m models.text_service`) does, from its first
order on; it is ended after `IDLE_S` without one, which gives its memory back, and killed when it
takes longer than `TIMEOUT_S`.
"""

import asyncio
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from cachetools import LRUCache

from api.errors import InvalidRequestError, UnavailableError
from api.settings import MIB
from api.tasks.fair_queue import FairQueue
from api.tasks.line_child import LineChild, child_environment, module_command
from models.manifest import Manifest
from models.text_orders import TextAnswer, TextOrder

LIKE_TEXT = "like_text"
MAX_WAITING = 64
MAX_WAITING_PER_PROJECT = 16
TIMEOUT_S = 30.0
"""Of one text, with the time to start the child and to load a large text encoder."""
IDLE_S = 300.0
CACHE_BYTES = 8 * MIB
_log = structlog.get_logger("framewire.api.texts")


class _Key(NamedTuple):
    """A text, and the files of the text encoder that makes its vector."""

    files: tuple[str, ...]
    text: str


class TextVectors:
    """Makes and caches the vectors of words, one at a time. Use from one event loop."""

    def __init__(self, models_dir: Path | None) -> None:
        """`models_dir` has the user's own models; without one there is no text encoder."""
        arguments = () if models_dir is None else ("--dir", str(models_dir))
        command = module_command("models.text_service", *arguments)
        self._child = LineChild(command, child_environment())
        self._turns = FairQueue(
            1, MAX_WAITING, MAX_WAITING_PER_PROJECT, what="texts", busy_code="text_busy"
        )
        self._kept: LRUCache[_Key, bytes] = LRUCache(CACHE_BYTES, getsizeof=_size_bytes)

    async def get(self, project: str, encoder: Manifest, text: str) -> bytes:
        """Return the vector of a text, of length 1: little-endian float32.

        Raises InvalidRequestError if the text has none, UnavailableError if the text encoder cannot
        be used, takes too long, or too many texts wait.
        """
        key = _Key(tuple(file.sha256 for file in encoder.files), text)
        known = self._kept.get(key)
        if known is not None:
            return known
        async with self._turns.of(project):
            known = self._kept.get(key)  # another request made it while this one waited
            if known is None:
                known = self._kept[key] = await self._make(encoder.ref, text)
        return known

    async def close(self) -> None:
        """End the child."""
        await self._child.end()

    async def _make(self, ref: str, text: str) -> bytes:
        order = msgspec.json.encode(TextOrder(ref, text))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                line = await self._child.ask(order)
            answer = msgspec.json.decode(line, type=TextAnswer)
        except TimeoutError as exc:
            await self._child.end()
            raise UnavailableError(f"{ref} took too long.", code="text_timeout") from exc
        except (OSError, asyncio.IncompleteReadError, msgspec.DecodeError) as exc:
            await self._child.end()
            _log.warning("the text encoder's process failed", error=type(exc).__name__)
            raise UnavailableError(f"{ref} could not be used.", code="text_failed") from exc
        except BaseException:
            await self._child.end()
            raise
        self._child.rest(IDLE_S, lambda _: None)
        if answer.error == "unusable":
            raise InvalidRequestError.at(LIKE_TEXT, answer.message)
        if answer.error is not None:
            _log.warning("a text encoder cannot be used", model=ref, reason=answer.message)
            raise UnavailableError(f"{ref} cannot be used: see the log.", code="text_failed")
        return answer.vector


def _size_bytes(vector: bytes) -> int:
    return len(vector)
