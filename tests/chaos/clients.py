"""Clients that stream through whatever api answers, and hang up at random."""

import random
import threading
import time

import httpx

from tests.chaos.fleet import Fleet

_TIMEOUT = httpx.Timeout(10.0, read=20.0)


class StreamClient(threading.Thread):
    """Reads one task's whole log, by byte offset, over both apis in turn."""

    def __init__(self, fleet: Fleet, key: str, task: str, seed: int) -> None:
        super().__init__(daemon=True)
        self._fleet, self._random = fleet, random.Random(seed)
        self._headers = {"Authorization": f"Bearer {key}"}
        self.task = task
        self.log = bytearray()
        self.n_connections = 0
        self.finished = False
        self.halt = threading.Event()

    def run(self) -> None:
        with httpx.Client(headers=self._headers, timeout=_TIMEOUT, trust_env=False) as http:
            while not self.finished and not self.halt.is_set():
                try:
                    self.finished = self._read_on(http)
                except httpx.HTTPError:
                    self.halt.wait(self._random.uniform(0.05, 0.5))

    def _read_on(self, http: httpx.Client) -> bool:
        """Read from where the log stands; True once the server says that nothing follows."""
        self.n_connections += 1
        url = f"{self._fleet.api_url(self.n_connections)}/v1/video/tasks/{self.task}/stream"
        leave_at = len(self.log) + self._random.randint(1, 200_000)
        place = {"Last-Event-ID": str(len(self.log))}
        with http.stream("GET", url, headers=place) as answer:
            if answer.status_code == 204:
                return True
            answer.raise_for_status()
            start = int(answer.headers["Stream-Start-Offset"])
            assert start == len(self.log), f"asked for {len(self.log)}, got {start}"
            for piece in answer.iter_raw():
                self.log += piece
                if len(self.log) >= leave_at or self.halt.is_set():
                    return False
        return False


def submit(fleet: Fleet, key: str, body: dict[str, object], idempotency_key: str) -> str:
    """POST until some api takes the task; the key makes that safe."""
    deadline = time.monotonic() + 120
    attempt = 0
    while time.monotonic() < deadline:
        attempt += 1
        try:
            answer = httpx.post(
                f"{fleet.api_url(attempt)}/v1/video/process",
                json=body,
                headers={
                    "Authorization": f"Bearer {key}",
                    "Idempotency-Key": idempotency_key,
                },
                timeout=_TIMEOUT,
            )
        except httpx.HTTPError:
            continue
        if answer.status_code == 202:
            task: str = answer.json()["id"]
            return task
        assert answer.status_code in (401, 503), answer.text
        time.sleep(0.3)
    raise AssertionError("no api took the task")
