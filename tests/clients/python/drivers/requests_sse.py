import time
from datetime import timedelta
from typing import Any

import requests
from requests_sse import EventSource


def follow(task: Any) -> None:
    last, done = None, False
    while not done:
        source = EventSource(
            task.url,
            reconnection_time=timedelta(seconds=0.1),
            latest_event_id=last,
        )
        try:
            with source:
                for event in source:
                    last = event.last_event_id
                    done = task.take(last, event.data)
                    if done:
                        break
        # A body that ends inside of a letter is a UnicodeDecodeError.
        except (requests.RequestException, UnicodeDecodeError) as exc:
            if getattr(exc, "status_code", 0) == 204:
                return
            task.note(f"opened anew: {exc!r}")
            time.sleep(0.2)
