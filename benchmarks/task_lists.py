"""What a list of many tasks costs: `python -m benchmarks.task_lists [--tasks 10000] [--keys 40]`.

Two parts. The console, in a pseudo terminal, in front of a server of this process with made-up
tasks: CPU time while nothing happens (aim: under 2 % of a core), and for each key, with the newest
page loaded, after `G`, and with every row loaded (aim: under 50 ms). And the queries of the api on
as many tasks in chDB: seconds of wall time, median of the rounds.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from api.contract.query.parser import parse
from api.contract.query.tasks import TASKS, parse_sort
from api.ids import new_task_id
from api.store.clickhouse import Rows
from api.store.task_queries import TaskQuery, count_tasks, list_tasks
from benchmarks.console_burst import Terminal
from streamproc.clients.clickhouse import client_factory
from streamproc.contract import tables
from streamproc.sinks.index.tables import IndexTables
from streamproc.sinks.index.task import IndexedTask

IDLE_AIM_PERCENT = 2.0
KEY_AIM_MS = 50.0
_TICKS = os.sysconf("SC_CLK_TCK")
_QUERIES = ("", "status:failed", "source:gate* -ocr age<2h", "class:automobile", "nothing fits")


class Tasks(BaseHTTPRequestHandler):
    """Answers as an api whose project has many ended tasks."""

    ids: ClassVar[list[str]] = []
    oldest_sent: ClassVar[int] = 0
    n_from_the_end: ClassVar[int] = 0
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        last = parts.path.rpartition("/")[2]
        if last == "tasks":
            self._answer(self._page(query))
        elif last in self.ids:
            self._answer({**_task(self.ids.index(last)), "request": {"input": [], "steps": []}})
        else:
            self._answer({"type": "", "title": "", "status": 404, "code": "", "detail": ""}, 404)

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        places = range(len(self.ids))
        if query.get("sort") == ["created"]:
            places = places[::-1]
            type(self).n_from_the_end += 1
        if "task" in query:
            return {"data": [_task(self.ids.index(i)) for i in query["task"]], "next_cursor": None}
        start = int(query.get("cursor", ["0"])[0])
        page = places[start : start + 50]
        if places.step > 0 and page:
            type(self).oldest_sent = max(self.oldest_sent, page[-1])
        more = start + 50 < len(places)
        counts = {"matching": len(places), "all": len(places)}
        return {
            "data": [_task(place) for place in page],
            "next_cursor": str(start + 50) if more else None,
            "counts": counts,
        }

    def _answer(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A console that does not wait for an answer is no error."""


def _task(place: int) -> dict[str, Any]:
    at = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=place)
    return {
        "id": Tasks.ids[place],
        "object": "video.task",
        "status": "succeeded",
        "created_at": at.isoformat(),
        "started_at": at.isoformat(),
        "finished_at": (at + timedelta(seconds=9)).isoformat(),
        "model": None,
        "provider": "local",
        "attempts": [],
        "progress": {"processed_frames": 30, "total_frames": 300, "fps": 10.0},
        "error": None,
        "stream_url": "",
        "results_url": "",
        "source": f"file:///videos/gate-{place % 40}.mp4",
        "steps": ["detect", "ocr"],
        "tracks": 3,
    }


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def measured(terminal: Terminal, keys: str, n_keys: int, idle_s: float) -> dict[str, float]:
    """Return the console's CPU use while it idles and for each key, and a key's latency.

    `keys` are two that move the cursor to and fro.
    """
    pid = terminal.process.pid
    terminal.drain(3.0)
    before, begun_s = cpu_s(pid), time.monotonic()
    terminal.drain(idle_s)
    idle = (cpu_s(pid) - before) / (time.monotonic() - begun_s)
    before, waits_s = cpu_s(pid), []
    for i in range(n_keys):
        terminal.type(keys[i % 2])
        waits_s.append(terminal.wait(re.compile(rb"."), within_s=30))
        terminal.drain(0.1)
    keys_s = cpu_s(pid) - before - idle * 0.1 * n_keys
    return {
        "idle_percent_of_a_core": round(100 * idle, 2),
        "cpu_ms_per_key": round(1000 * keys_s / n_keys, 1),
        "latency_p50_ms": round(1000 * statistics.median(waits_s), 1),
        "rss_mib": round(terminal.rss_mib(), 1),
    }


def measure_console(n_tasks: int, n_keys: int, idle_s: float) -> dict[str, dict[str, float]]:
    """Return the figures with one page loaded, after `G`, and with all rows loaded."""
    base_ms = 1_700_000_000_000
    Tasks.ids = [new_task_id(base_ms + n_tasks - n) for n in range(n_tasks)]
    server = Server(("127.0.0.1", 0), Tasks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        return {
            "first page": _in_console(url, lambda _: None, "jk", n_keys, idle_s),
            "after G": _in_console(url, _go_to_the_end, "kj", n_keys, idle_s),
            "every row": _in_console(url, _load_everything, "kj", n_keys, idle_s),
        }
    finally:
        server.shutdown()


def _in_console(
    url: str, begin: Callable[[Terminal], None], keys: str, n_keys: int, idle_s: float
) -> dict[str, float]:
    terminal = Terminal(url)
    try:
        terminal.wait(re.compile(rb"gate-"), within_s=60)
        begun_s = time.monotonic()
        begin(terminal)
        took_s = time.monotonic() - begun_s
        return {"begin_s": round(took_s, 2), **measured(terminal, keys, n_keys, idle_s)}
    finally:
        terminal.end()


def _go_to_the_end(terminal: Terminal) -> None:
    terminal.type("G")
    terminal.wait(re.compile(Tasks.ids[-1][-6:].encode()))
    assert Tasks.n_from_the_end == 1, "G is one request"


def _load_everything(terminal: Terminal) -> None:
    Tasks.oldest_sent = 0
    while Tasks.oldest_sent < len(Tasks.ids) - 1:
        terminal.type("\x1b[6~")  # page down
        terminal.drain(0.03)


def measure_queries(n_tasks: int, rounds: int) -> dict[str, float]:
    """Return the seconds of the api's queries on that many tasks in chDB."""
    with tempfile.TemporaryDirectory(prefix="framewire-lists-") as folder:
        url = f"chdb://{folder}/chdb"
        index = IndexTables(client_factory(url))
        index.prepare()
        _fill(index, n_tasks)
        rows = Rows(url)
        try:
            return asyncio.run(_time_queries(rows, rounds))
        finally:
            rows.close()
            index.close()


def _fill(index: IndexTables, n_tasks: int) -> None:
    base_ms = int(time.time() * 1000) - n_tasks * 1000
    made = []
    for n in range(n_tasks):
        row = IndexedTask("shop", new_task_id(base_ms + n * 1000)).row
        made.append(
            msgspec.structs.replace(
                row,
                status="failed" if n % 9 == 0 else "succeeded",
                steps=("detect", "ocr") if n % 2 else ("detect",),
                source="videos.example.com",
                source_url=f"https://videos.example.com/gate-{n % 40}.mp4",
                source_name=f"gate-{n % 40}.mp4",
                processed_frames=n % 300,
                expected_frames=300,
                rev=1,
            )
        )
    for first in range(0, n_tasks, 1000):
        index.insert(tables.TASKS, made[first : first + 1000])


async def _time_queries(rows: Rows, rounds: int) -> dict[str, float]:
    now_ms = int(time.time() * 1000)
    found: dict[str, float] = {}
    for text in _QUERIES:
        wanted = TaskQuery(query=parse(text, TASKS), as_of_ms=now_ms)
        found[f"page of {text or 'everything'!r}"] = await _median_s(
            rounds, partial(list_tasks, rows, "shop", wanted, None, 51)
        )
        found[f"count of {text or 'everything'!r}"] = await _median_s(
            rounds, partial(count_tasks, rows, "shop", wanted)
        )
    for sort in ("created", "-fps", "source"):
        wanted = TaskQuery(sort=parse_sort(sort), as_of_ms=now_ms)
        found[f"page by {sort}"] = await _median_s(
            rounds, partial(list_tasks, rows, "shop", wanted, None, 51)
        )
    return found


async def _median_s(rounds: int, ask: Callable[[], Awaitable[object]]) -> float:
    took_s = []
    for _ in range(rounds):
        begun_s = time.perf_counter()
        await ask()
        took_s.append(time.perf_counter() - begun_s)
    return round(statistics.median(took_s), 4)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--idle", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--rounds", type=int, default=9, help="of each query")
    options = parser.parse_args()
    console = measure_console(options.tasks, options.keys, options.idle)
    queries = measure_queries(options.tasks, options.rounds)
    print(json.dumps({"console": console, "queries_s": queries}, indent=2))
    print(f"load {os.getloadavg()[0]:.1f}")
    is_cheap = all(
        one["idle_percent_of_a_core"] < IDLE_AIM_PERCENT and one["cpu_ms_per_key"] < KEY_AIM_MS
        for one in console.values()
    )
    return 0 if is_cheap else 1


if __name__ == "__main__":
    sys.exit(main())
