import time
from typing import Any

import requests
import sseclient


def follow(task: Any) -> None:
    last, done = "", False
    while not done:
        headers = {"Last-Event-ID": last} if last else {}
        try:
            with requests.get(task.url, headers=headers, stream=True, timeout=30) as answer:
                if answer.status_code == 204:
                    return
                answer.raise_for_status()
                for event in sseclient.SSEClient(answer).events():
                    # It dispatches what a body ends with: an event is whole when its id is
                    # beyond the last one's.
                    if int(event.id or 0) <= int(last or 0):
                        continue
                    last = event.id
                    done = task.take(event.id, event.data)
                    if done:
                        break
        # A body that ends inside of a letter is a UnicodeDecodeError.
        except (requests.RequestException, UnicodeDecodeError) as exc:
            task.note(f"asked again: {exc!r}")
            time.sleep(0.2)
