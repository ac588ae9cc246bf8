import time
from typing import Any

import httpx
import httpx_sse


def follow(task: Any) -> None:
    last, done = "", False
    with httpx.Client() as client:
        while not done:
            headers = {"Last-Event-ID": last} if last else {}
            try:
                with httpx_sse.connect_sse(client, "GET", task.url, headers=headers) as source:
                    if source.response.status_code == 204:
                        return
                    source.response.raise_for_status()
                    for event in source.iter_sse():
                        last = event.id
                        done = task.take(event.id, event.data)
                        if done:
                            break
            except httpx.HTTPError as exc:
                task.note(f"asked again: {exc!r}")
                time.sleep(0.2)
