"""`python run.py LIBRARY`: follow the stream of $STREAM_URL to its end with one library.

Every event that it delivers is printed as a line of JSON. With $STAY the library is not closed at
`[DONE]`.
"""

import asyncio
import importlib
import inspect
import json
import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """What a driver is given: where the stream is, and where its events go."""

    url: str
    base: str
    path: str
    key: str
    stay: bool

    def take(self, event_id: str | None, data: str) -> bool:
        """Take an event; true: it was the last one, close."""
        _print({"id": event_id or "", "data": data})
        return data == "[DONE]" and not self.stay

    def note(self, text: object) -> None:
        _print({"note": str(text)})


def main() -> None:
    environ = os.environ
    task = Task(
        environ["STREAM_URL"],
        environ["BASE_URL"],
        environ["STREAM_PATH"],
        environ["FRAMEWIRE_KEY"],
        stay=bool(environ.get("STAY")),
    )
    follow = importlib.import_module(f"drivers.{sys.argv[1]}").follow
    done = follow(task)
    if inspect.iscoroutine(done):
        asyncio.run(done)
    task.note("ended")


def _print(what: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
