import asyncio
import logging
from typing import Any

import aiohttp
from aiosseclient import aiosseclient


async def follow(task: Any) -> None:
    logging.disable()
    last, done = "", False
    while not done:
        n_events = 0
        try:
            async for event in aiosseclient(task.url, last_id=last, raise_for_status=True):
                if not event.data:
                    continue
                n_events += 1
                last = event.id or last
                done = task.take(event.id, event.data)
                if done:
                    break
        # A body that ends inside of a letter is a UnicodeDecodeError.
        except (aiohttp.ClientError, UnicodeDecodeError) as exc:
            task.note(f"asked again: {exc!r}")
        if task.stay and not n_events:
            return
        await asyncio.sleep(0.2)
