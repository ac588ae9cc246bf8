import asyncio
import logging
from datetime import timedelta
from typing import Any

import aiohttp
from aiohttp_sse_client2.client import EventSource


async def follow(task: Any) -> None:
    logging.disable()
    last, done = "", False
    while not done:
        headers = {"Last-Event-ID": last} if last else {}
        try:
            async with EventSource(
                task.url, reconnection_time=timedelta(seconds=0.1), headers=headers
            ) as source:
                async for event in source:
                    last = event.last_event_id
                    # What a body ended with stands before the next event: a line for each.
                    data = event.data.rpartition("\n")[2]
                    done = task.take(event.last_event_id, data)
                    if done:
                        break
        except ConnectionAbortedError as exc:
            if "status: 204" in str(exc):
                return
            task.note(f"opened anew: {exc}")
        except (aiohttp.ClientError, OSError) as exc:
            task.note(f"opened anew: {exc!r}")
        except UnicodeDecodeError as exc:  # a body that ended inside of a letter
            task.note(f"opened anew: {exc}")
        await asyncio.sleep(0.2)
