"""Logs for clients to read, over a real api: closed ones, and ones that grow meanwhile."""

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

import httpx

from streamproc.contract.chunk import Target
from tests.clients.events import DONE, Event, parse
from tests.conformance.backend import Backend, LogWriter
from tests.streamproc.sinks.logs import target

N_CHUNKS = 120
LIVE_S = 6.0
_BODY = {
    "input": [{"type": "video_url", "url": "https://example.com/clip.mp4"}],
    "steps": [{"model": "detect"}],
}
# With ends of lines that are none here, and letters of several bytes.
_TEXTS = ("", "EXIT", "a\u2028b\x85c", "出口 →", "Ausfahrt freihalten", "日本語" * 12)


@dataclass(frozen=True)
class Api:
    """A running api, and the two sides of its logs."""

    url: str
    key: str
    backend: Backend

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def closed(self, n_chunks: int = N_CHUNKS) -> str:
        """Return a new task whose log is closed."""
        writer, targets = await self._begun(), _targets(n_chunks)
        for of_chunk in targets:
            await writer.append(of_chunk, None)
        await writer.close()
        await self.backend.visible(writer.task, 0, writer.end)
        return writer.task

    async def growing(
        self, n_chunks: int = N_CHUNKS, *, within_s: float = LIVE_S
    ) -> tuple[str, asyncio.Task[None]]:
        """Return a new task, and what writes its log evenly within so many seconds."""
        writer = await self._begun()

        async def write() -> None:
            begun_s = time.monotonic()
            for n, of_chunk in enumerate(_targets(n_chunks)):
                due_s = begun_s + n * within_s / n_chunks
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                await writer.append(of_chunk, None)
            await writer.close()

        return writer.task, asyncio.create_task(write())

    async def truth(self, task: str) -> list[Event]:
        """Return all events of a closed log as curl gets them, without any proxy."""
        found = parse(await self.whole(task))
        if found[-1].data != DONE:
            raise RuntimeError("curl did not get the whole log")
        return found

    async def token_path(self, task: str) -> str:
        """Return where the task's stream is for a client that sends no headers."""
        return str((await self._post(f"/v1/video/tasks/{task}/token", {}))["stream_url"])

    async def whole(self, task: str) -> bytes:
        curl = await asyncio.create_subprocess_exec(
            "curl", "-sSfN", "-H", f"Authorization: Bearer {self.key}",
            f"{self.url}/v1/video/tasks/{task}/stream",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        data, _ = await curl.communicate()
        if curl.returncode:
            raise RuntimeError(f"curl ended with {curl.returncode}")
        return data

    async def _begun(self) -> LogWriter:
        writer = LogWriter(self.backend, (await self._post("/v1/video/process", _BODY))["id"])
        await writer.claim()
        return writer

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask over a connection of its own: one that was kept may just be closing."""
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=30) as http:
            answer = await http.post(path, headers=headers, json=body)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


def _targets(n_chunks: int) -> list[list[Target]]:
    """Return what is seen in each frame: none to four targets, texts of several bytes a letter.

    Always the same, so that a plan's bytes are the same places in every log.
    """
    chance = random.Random(1)
    return [
        [
            target(1 + k, text=chance.choice(_TEXTS) or None)
            for k in range(chance.choice((0, 1, 1, 2, 4)))
        ]
        for _ in range(n_chunks)
    ]
