"""Chunks of the stream are no chat completions: only the transport and its parser are used.

It keeps ids and `[DONE]` to itself: a call that broke off is repeated, and what is known skipped.
"""

import json
import time
from typing import Any

import httpx
from openai import APIError, OpenAI, Stream


def follow(task: Any) -> None:
    client = OpenAI(base_url=task.base, api_key=task.key, max_retries=5)
    n_known, finished = 0, False
    while not finished:
        try:
            stream = client.get(
                task.path, cast_to=dict[str, Any], stream=True, stream_cls=Stream[dict[str, Any]]
            )
            for n, chunk in enumerate(stream, 1):
                if n > n_known:
                    n_known = n
                    finished = bool(chunk["finish_reason"])
                    task.take("", json.dumps(chunk, separators=(",", ":"), ensure_ascii=False))
        except (APIError, httpx.HTTPError) as exc:
            task.note(f"called again: {exc!r}")
            time.sleep(0.2)
    task.take("", "[DONE]")
