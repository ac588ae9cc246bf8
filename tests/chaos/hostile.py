"""A client that means harm, with a key of its own, while everything else is being broken.

It may be refused; it must not hold up another project, nor end a process.
"""

import base64
import contextlib
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable

import httpx

from tests.chaos.fleet import Fleet
from tests.fuzz.mutation import broken
from tests.fuzz.seeds import Seed
from tests.streamproc.source.raw_origin import Exchange, RawOrigin
from tests.workers import CLIP

ENDED = ("succeeded", "failed", "cancelled")
_TIMEOUT = httpx.Timeout(10.0)
_ADDRESS = "127.0.0.2"  # connections are counted by address, and the others have 127.0.0.1
_PAUSE_S = 1.0
_MIB = 1024 * 1024
_DRIP_S = 5.0
_HELD_S = 30.0
_NUMBERS = ("-1", "99999999999999999999", "1e999", "NaN", "²", "9" * 5000)


def slow_or_lying(exchange: Exchange) -> None:
    """Answer with a long body, a byte every five seconds, or with a length that nobody means."""
    length = exchange.path.partition("/length/")[2] or "9999"
    exchange.send(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())
    exchange.drip(bytes(9999), _DRIP_S)


class HostileClient(threading.Thread):
    """One attack after another until `stop`; `done` counts what was tried, by kind."""

    def __init__(
        self, fleet: Fleet, key: str, origin: RawOrigin, seeds: list[Seed], seed: int
    ) -> None:
        super().__init__(daemon=True)
        self._fleet, self._origin, self._seeds = fleet, origin, seeds
        self._random = random.Random(seed)
        self._headers = {"Authorization": f"Bearer {key}"}
        transport = httpx.HTTPTransport(local_address=_ADDRESS)
        self._http = httpx.Client(headers=self._headers, timeout=_TIMEOUT, transport=transport)
        self._halt = threading.Event()
        self._held: list[tuple[float, socket.socket]] = []
        self.tasks: list[str] = []
        self.done: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self._attacks: tuple[Callable[[], None], ...] = (
            self.broken_video,
            self.broken_video,
            self.negative_duration,
            self.slow_origin,
            self.impossible_length,
            self.many_tasks,
            self.endless_header,
            self.idle_connections,
            self.unfinished_body,
            self.strange_numbers,
            self.unread_stream,
            self.cancels,
        )

    def run(self) -> None:
        while not self._halt.wait(_PAUSE_S):
            attack = self._random.choice(self._attacks)
            with contextlib.suppress(httpx.HTTPError, OSError):  # killed, away, or it hung up
                attack()
            self.done[attack.__name__] += 1
            self._let_go(_HELD_S)
        self._let_go(0)

    def stop(self) -> None:
        self._halt.set()
        self.join()

    def close(self) -> None:
        """Close the client that `unfinished` still needed after `stop`."""
        self._http.close()

    def unfinished(self) -> list[str]:
        """Cancel every task; return those that are not at their end."""
        left = []
        for task in self.tasks:
            url = f"{self._fleet.api_url(0)}/v1/video/tasks/{task}"
            try:
                self._http.post(f"{url}/cancel")
                status = self._http.get(url).json().get("status")
            except httpx.HTTPError:
                status = "unknown"
            if status not in ENDED:
                left.append(f"{task}: {status}")
        return left

    def broken_video(self) -> None:
        one, other = self._random.sample(self._seeds, 2)
        self._submit_file(broken(self._random, one.content, other.content))

    def negative_duration(self) -> None:
        content = bytearray(next(s.content for s in self._seeds if s.name.endswith(".mkv")))
        at = content.find(b"\x44\x89\x88")
        if at >= 0:
            number = self._random.choice((-1000.0, float("nan"), float("inf"), 1e308))
            content[at + 3 : at + 11] = struct.pack(">d", number)
        self._submit_file(bytes(content))

    def slow_origin(self) -> None:
        self._submit_url(f"http://{self._origin.authority}/clip.mp4")

    def impossible_length(self) -> None:
        length = self._random.choice(_NUMBERS)
        self._submit_url(f"http://{self._origin.authority}/length/{length}")

    def many_tasks(self) -> None:
        for _ in range(10):
            self._submit_url(CLIP.as_uri())

    def endless_header(self) -> None:
        with self._connection() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
            for _ in range(8):
                connection.sendall(b"a" * _MIB)

    def idle_connections(self) -> None:
        for _ in range(50):
            self._hold(self._connection())

    def unfinished_body(self) -> None:
        connection = self._connection()
        self._hold(connection)
        length = f"Content-Length: {40 * _MIB}\r\n\r\n"
        connection.sendall(f"POST /v1/video/process {self._head()}{length}".encode())
        for _ in range(20):
            connection.sendall(b"[" * _MIB)

    def strange_numbers(self) -> None:
        number = self._random.choice(_NUMBERS)
        body = {
            "input": [{"type": "video_url", "url": CLIP.as_uri()}],
            "steps": [{"model": "detect", "parameters": {"min_score": "@"}}],
        }
        self._post(json.dumps(body).replace('"@"', number).encode())

    def unread_stream(self) -> None:
        if not self.tasks:
            return
        connection = self._connection()
        self._hold(connection)
        path = f"/v1/video/tasks/{self._random.choice(self.tasks)}/stream"
        connection.sendall(f"GET {path} {self._head()}\r\n".encode())

    def cancels(self) -> None:
        for task in self.tasks[-10:]:
            self._http.post(f"{self._url()}/v1/video/tasks/{task}/cancel")

    def _submit_file(self, content: bytes) -> None:
        data = base64.b64encode(content).decode()
        self._submit({"type": "video_base64", "data": data})

    def _submit_url(self, url: str) -> None:
        self._submit({"type": "video_url", "url": url})

    def _submit(self, source: dict[str, object]) -> None:
        source["sampling"] = {"mode": "interval", "value": 1}
        self._post({"input": [source], "steps": [{"model": "detect"}]})

    def _post(self, body: object) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self._http.post(f"{self._url()}/v1/video/process", content=content)
        self.answers[answer.status_code] += 1
        if answer.status_code == 202:
            self.tasks.append(answer.json()["id"])

    def _head(self) -> str:
        return f"HTTP/1.1\r\nHost: a\r\nAuthorization: {self._headers['Authorization']}\r\n"

    def _url(self) -> str:
        return self._fleet.api_url(self._random.randrange(2))

    def _connection(self) -> socket.socket:
        port = self._fleet.api_ports[self._random.randrange(2)]
        return socket.create_connection(("127.0.0.1", port), 5, (_ADDRESS, 0))

    def _hold(self, connection: socket.socket) -> None:
        self._held.append((time.monotonic(), connection))

    def _let_go(self, held_s: float) -> None:
        """Close what has been held for so long."""
        now_s = time.monotonic()
        for since_s, connection in self._held:
            if now_s - since_s >= held_s:
                connection.close()
        self._held = [one for one in self._held if now_s - one[0] < held_s]
