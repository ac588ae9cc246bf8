"""Attacks on the api of a real stack: what they cost it, and what another client notices.

`python -m benchmarks.hostile [--short]` starts a stack without workers and, for each attack, asks
`/v1/models` with another project's key all the while. It prints the api's highest resident memory,
how long that client waited, and how the attack was answered. Every attack is bounded in number
and time, and comes from this machine to its own loopback interface.
"""

import argparse
import base64
import contextlib
import json
import resource
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil

from benchmarks.log_stack import MIB, LogStack, log_stack
from benchmarks.stack import another_projects_key

MAX_RSS_MIB = 500
MAX_P99_MS = 200
ATTACK_S = 20.0
AT_LEAST_S = 4.0
ASK_EVERY_S = 0.02
MAX_FILES = 20_000
_END = b"]" * 8


class Size(NamedTuple):
    """How large the attacks are."""

    idle: int
    bodies: int
    body_bytes: int
    head_bytes: int
    hang_ups: int


WHOLE = Size(20_000, 12, 95 * MIB, 100 * MIB, 2000)
SHORT = Size(500, 4, 20 * MIB, 10 * MIB, 50)


class Target:
    """Where the attacks go."""

    def __init__(self, stack: LogStack) -> None:
        parts = urlsplit(stack.url)
        self.netloc = parts.netloc
        self._place = (parts.hostname, parts.port)
        self.key = str(stack.told["key"])

    def connect(self) -> socket.socket:
        return socket.create_connection(self._place, ATTACK_S)

    def head(self, length: int | None, *more: str, path: str = "/v1/video/process") -> bytes:
        lines = [f"POST {path} HTTP/1.1", f"Host: {self.netloc}", *more]
        lines += [] if length is None else [f"Content-Length: {length}"]
        return "\r\n".join([*lines, "", ""]).encode()

    def authorized(self, length: int) -> bytes:
        return self.head(length, f"Authorization: Bearer {self.key}")


def send(connection: socket.socket, data: Iterator[bytes]) -> str:
    """Send until the other side has enough; return the status of its answer."""
    deadline_s = time.monotonic() + ATTACK_S
    with contextlib.suppress(OSError):
        for piece in data:
            connection.sendall(piece)
            if time.monotonic() > deadline_s:
                return "still sending"
    try:
        connection.settimeout(max(0.1, deadline_s - time.monotonic()))
        answer = connection.recv(4096)
    except TimeoutError:
        return "no answer"
    except OSError:
        return "reset"
    return answer[9:12].decode("latin-1") if answer else "closed"


def repeated(piece: bytes, n_bytes: int, begin: bytes = b"", end: bytes = b"") -> Iterator[bytes]:
    yield begin
    block = piece * (MIB // len(piece))
    left = n_bytes - len(begin) - len(end)
    while left > 0:
        yield block[:left]
        left -= len(block)
    yield end


def at_once(count: int, attack: Callable[[], str]) -> Counter[str]:
    with ThreadPoolExecutor(count) as threads:
        return Counter(threads.map(lambda _: attack(), range(count)))


def nothing(target: Target, size: Size) -> Counter[str]:  # noqa: ARG001 - as the attacks have it
    """What the other client waits for on this machine anyway."""
    return Counter({"-": 1})


def endless_header(target: Target, size: Size) -> Counter[str]:
    def attack() -> str:
        with target.connect() as connection:
            begin = target.head(None, "X: ").removesuffix(b"\r\n\r\n")
            return send(connection, repeated(b"a", size.head_bytes, begin))

    return at_once(4, attack)


def long_url(target: Target, size: Size) -> Counter[str]:
    def attack() -> str:
        with target.connect() as connection:
            return send(connection, repeated(b"a", size.head_bytes, b"GET /"))

    return at_once(4, attack)


def many_headers(target: Target, size: Size) -> Counter[str]:
    def attack() -> str:
        with target.connect() as connection:
            begin = target.head(None).removesuffix(b"\r\n")
            return send(connection, repeated(b"X: aaaaaaaaaa\r\n", size.head_bytes, begin))

    return at_once(4, attack)


def idle_connections(target: Target, size: Size) -> Counter[str]:
    seen: Counter[str] = Counter()
    held: list[socket.socket] = []
    deadline_s = time.monotonic() + ATTACK_S
    while len(held) < size.idle and time.monotonic() < deadline_s:
        try:
            held.append(target.connect())
        except OSError as exc:
            seen[type(exc).__name__] += 1
            break
    seen["opened"] = len(held)
    time.sleep(2.0)
    for connection in held:
        connection.close()
    return seen


def nested_json(target: Target, size: Size) -> Counter[str]:
    def attack() -> str:
        with target.connect() as connection:
            begin = target.authorized(size.body_bytes) + b"["
            return send(connection, repeated(b"[],", size.body_bytes, begin, _END))

    return at_once(3, attack)


def unfinished_uploads(target: Target, size: Size) -> Counter[str]:
    def attack() -> str:
        with target.connect() as connection:
            begin = target.authorized(size.body_bytes)
            begin += b'{"input":[{"type":"video_base64","data":"'
            answer = send(connection, repeated(b"AAAA", size.body_bytes - 1024, begin))
            return {"no answer": "held"}.get(answer, answer)

    return at_once(size.bodies, attack)


def uploads(target: Target, size: Size) -> Counter[str]:
    data = base64.b64encode(bytes(min(size.body_bytes, 80 * MIB) // 4 * 3 // 3 * 3))
    value = {"input": [{"type": "video_base64", "data": "@"}], "steps": [{"model": "detect"}]}
    before, _, after = json.dumps(value).encode().partition(b"@")
    length = len(before) + len(data) + len(after)

    def attack() -> str:
        with target.connect() as connection:
            return send(connection, iter([target.authorized(length) + before, data, after]))

    return at_once(size.bodies, attack)


def without_key(target: Target, size: Size) -> Counter[str]:
    def attack() -> str:
        with target.connect() as connection:
            return send(connection, repeated(b"a", size.body_bytes, target.head(size.body_bytes)))

    return at_once(size.bodies, attack)


def chunk_extensions(target: Target, size: Size) -> Counter[str]:
    def attack() -> str:
        with target.connect() as connection:
            begin = target.head(
                None, "Transfer-Encoding: chunked", f"Authorization: Bearer {target.key}"
            )
            return send(connection, repeated(b"a", size.head_bytes, begin + b"5;x="))

    return at_once(4, attack)


def hang_ups(target: Target, size: Size) -> Counter[str]:
    for _ in range(size.hang_ups):
        with target.connect() as connection:
            connection.sendall(target.authorized(10_000) + b"{" * 5000)
    return Counter({"hung up": size.hang_ups})


ATTACKS = (
    nothing,
    endless_header,
    long_url,
    many_headers,
    chunk_extensions,
    without_key,
    nested_json,
    unfinished_uploads,
    uploads,
    hang_ups,
    idle_connections,
)


class Innocent:
    """Another project's client, and the api's highest memory meanwhile."""

    def __init__(self, stack: LogStack, key: str) -> None:
        self.late_ms: list[float] = []
        self.n_failed = 0
        self.rss_bytes = 0
        self._process = stack.api
        self._url, self._key = stack.url, key
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"}
        with httpx.Client(base_url=self._url, headers=headers, timeout=60) as client:
            while not self._stop.is_set():
                begun_s = time.perf_counter()
                try:
                    good = client.get("/v1/models").status_code == 200
                except httpx.TransportError:
                    good = False
                self.n_failed += not good
                self.late_ms.append((time.perf_counter() - begun_s) * 1000)
                self.rss_bytes = max(self.rss_bytes, self._process.memory_info().rss)
                self._stop.wait(ASK_EVERY_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true")
    size = SHORT if parser.parse_args().short else WHOLE
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = min(MAX_FILES, hard) if hard != resource.RLIM_INFINITY else MAX_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    print(f"targets: at most {MAX_RSS_MIB} MiB, p99 {MAX_P99_MS} ms, nothing failed")
    print(f"{'attack':<20}{'MiB':>6}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}  answers")
    with tempfile.TemporaryDirectory(prefix="framewire-hostile-") as name:
        data = Path(name) / "data"
        with log_stack(data) as stack:
            key = another_projects_key(stack.url, data)
            n_bad = sum(not show(stack, key, attack, size) for attack in ATTACKS)
    sys.exit(1 if n_bad else 0)


def show(
    stack: LogStack, key: str, attack: Callable[[Target, Size], Counter[str]], size: Size
) -> bool:
    """Run one attack and print a line; return whether the other client was served."""
    with Innocent(stack, key) as innocent:
        begun_s = time.monotonic()
        answers = attack(Target(stack), size)
        while time.monotonic() - begun_s < AT_LEAST_S:
            time.sleep(ASK_EVERY_S)
            answers += attack(Target(stack), size)
    p50, p99 = np.percentile(innocent.late_ms, (50, 99))
    rss_mib = innocent.rss_bytes / MIB
    told = ", ".join(f"{what} x {n}" for what, n in answers.items())
    missed = [] if rss_mib <= MAX_RSS_MIB else ["memory"]
    missed += [] if p99 <= MAX_P99_MS else ["p99"]
    note = f"   MISSED: {', '.join(missed)}" if missed else ""
    print(
        f"{attack.__name__:<20}{rss_mib:>6.0f}{p50:>9.1f}{p99:>9.1f}{innocent.n_failed:>8}  "
        f"{told}{note}",
        flush=True,
    )
    psutil.Process(stack.api.pid)  # it still runs
    return innocent.n_failed == 0


if __name__ == "__main__":
    main()
