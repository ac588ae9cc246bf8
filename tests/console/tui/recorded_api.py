"""A real HTTP server in a thread that answers as a recorded api did, or misbehaves on demand."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from streamproc.contract.framing import parse_events
from tests.console.tui.recorded_lists import task_page

RECORDED = Path(__file__).parent / "recorded"
KEY = "fw_recorded"
NOW = datetime(2026, 11, 22, 12, 5, 32, tzinfo=UTC)
"""The moment of the recording: ages and rates are counted from here."""


@dataclass
class Script:
    """What the server answers, and how. Tests change it while it runs."""

    answers: dict[str, Any] = field(
        default_factory=lambda: json.loads((RECORDED / "answers.json").read_text())
    )
    log: bytes = field(default_factory=(RECORDED / "stream.txt").read_bytes)
    logs: dict[str, bytes] = field(default_factory=dict)
    """Logs of single tasks, instead of `log`."""
    unlisted: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Fields of single tasks that lists do not have yet."""
    latest: dict[str, tuple[int, str]] = field(default_factory=dict)
    """The last pictures of live tasks: index and time of capture."""
    frame: bytes = field(default_factory=(RECORDED / "frame.jpg").read_bytes)
    status: int | None = None
    """Answer every request with this problem."""
    refused: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Problems by `METHOD path`."""
    hold: threading.Event | None = None
    """Answers wait until this is set."""
    cut_after: list[int] = field(default_factory=list)
    """Log bytes after which the next streams break off, one each."""
    open_log: bool = False
    """The stream goes on after the log's end, until `release` is set."""
    first_kept: int = 0
    """The log's bytes before it have expired."""
    feed: "Callable[[], Iterator[bytes]] | None" = None
    """Makes the bytes of a stream from offset 0, instead of `log`."""
    release: threading.Event = field(default_factory=threading.Event)
    page: int = 50
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    accepted: dict[str, Any] = field(default_factory=dict)
    """Answers to submissions by their Idempotency-Key: the same key again has no second effect."""
    repeated: list[str] = field(default_factory=list)
    """Keys of submissions that came again; they are not among the requests."""

    @property
    def log_task(self) -> str:
        task: str = self.answers["log_task"]
        return task

    @staticmethod
    def start_of(moment: str, log: bytes) -> int:
        """Return the start of the log's first event that was captured at a time or later."""
        for event in parse_events(log):
            captured = json.loads(event.data)["stream_info"].get("captured_at", "")
            if captured >= moment:  # all in UTC with milliseconds
                return event.start
        return len(log)

    def asked(self, method: str, path: str) -> list[Any]:
        """Return the bodies (POST, PATCH) or queries (GET) of the requests to `path`."""
        return [body for m, p, body in self.requests if (m, p) == (method, path)]

    def refuse(self, request: str, status: int, code: str, detail: str, **more: Any) -> None:
        """Answer `METHOD path` with this problem."""
        problem = {"type": "about:blank", "title": code, "status": status, "code": code}
        self.refused[request] = problem | {"detail": detail} | more

    def tasks(self) -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = self.answers["tasks"]["data"]
        return tasks


@contextmanager
def recorded_api(script: Script, port: int = 0) -> Iterator[str]:
    """Serve the script, on a free port unless told; yield the URL."""

    class Handler(_Handler):
        pass

    Handler.script = script
    server = _Server(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        script.release.set()
        if script.hold is not None:
            script.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._connections: list[socket.socket] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.append(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        """Close what is open, too: a kept connection would still be answered."""
        super().server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A console that leaves resets its connections: nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    script: Script
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        self.script.requests.append(("GET", parts.path, query))
        self._serve(parts.path, query, None)

    def do_POST(self) -> None:
        self._take("POST")

    def do_PATCH(self) -> None:
        self._take("PATCH")

    def do_DELETE(self) -> None:
        self._take("DELETE")

    def _take(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(length)
        body = json.loads(data) if data else None
        path = urlsplit(self.path).path
        if (key := self.headers.get("Idempotency-Key")) in self.script.accepted:
            self.script.repeated.append(key or "")
            self._json(self.script.accepted[key or ""], 202)
            return
        self.script.requests.append((method, path, body))
        self._serve(path, {}, body)

    def _serve(self, path: str, query: dict[str, list[str]], body: Any) -> None:
        script = self.script
        try:
            if script.hold is not None:
                script.hold.wait(30)
            if script.status is not None:
                self._problem(script.status, "made_up", "made up for a test")
            elif self.headers.get("Authorization") != f"Bearer {KEY}":
                self._problem(401, "unauthorized", "A valid key is needed.")
            elif (problem := script.refused.get(f"{self.command} {path}")) is not None:
                self._json(problem, problem["status"])
            else:
                self._route(path.split("/")[1:], query, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _route(  # noqa: C901, PLR0912 - one branch for each path
        self, parts: list[str], query: dict[str, list[str]], body: Any
    ) -> None:
        script = self.script
        match parts:
            case ["v1", "video", "tasks"]:
                self._tasks(query)
            case ["v1", "video", "tasks", task] if task in script.answers["full"]:
                full = script.answers["full"][task]
                listed = next((t for t in script.tasks() if t["id"] == task), {})
                merged = full | {k: v for k, v in listed.items() if k != "attempts"}
                merged |= script.unlisted.get(task, {})
                if "include" not in query:
                    merged.pop("request", None)
                self._json(merged)
            case ["v1", "video", "tasks", task, "stream"] if task in script.answers["full"]:
                self._stream(query, script.logs.get(task, script.log))
            case ["v1", "video", "tasks", task, "results"]:
                found = script.answers["results"].get(task)
                if found is None:
                    self._problem(404, "results_not_ready", "There are no results.")
                else:
                    self._json(found)
            case ["v1", "video", "tasks", task, "cancel"]:
                self._json({"id": task, "status": "cancelling"}, 202)
            case ["v1", "video", "tasks", task, "frames", "latest.jpg"]:
                self._latest(script.latest.get(task))
            case ["v1", "video", "tasks", _, "frames", _]:
                self._bytes(
                    script.frame, "image/jpeg", {"Frame-Width": "768", "Frame-Height": "576"}
                )
            case ["v1", "video", "process"]:
                self._submit(body)
            case ["v1", "video", "tracks"]:
                self._tracks(query)
            case ["v1", "admin", "projects", project] if self.command == "PATCH":
                made = {"id": project, "name": project, "created_at": "2026-11-22T12:00:00.000Z"}
                self._json(made | body)
            case ["v1", "admin", "usage"]:
                self._json(script.answers["usage"])
            case ["v1", "system", "failures"]:
                self._json({"data": script.answers.get("failures", [])})
            case ["v1", "system", "history"]:
                now = NOW.isoformat()
                empty = {"from": now, "to": now, "step_s": 60, "workers": []}
                self._json(script.answers.get("history", empty))
            case ["v1", "models" | "system" | "sql" as name]:
                self._json(script.answers[name])
            case _:
                self._problem(404, "not_found", "There is no such task.")

    def _tasks(self, query: dict[str, list[str]]) -> None:
        if not query.get("cursor", ["0"])[0].isdigit():
            self._problem(400, "invalid_cursor", "The cursor is not one of this list.")
            return
        self._json(task_page(self.script.tasks(), query, self.script.page, NOW))

    def _tracks(self, query: dict[str, list[str]]) -> None:
        is_similar = "like:" in query.get("q", [""])[0] or bool(
            {"similar_to", "like_text"} & set(query)
        )
        answer = self.script.answers["similar" if is_similar else "tracks"]
        if "cursor" in query:
            answer = {"data": [], "next_cursor": None}
        if "include" in query:
            n_tracks = len(answer["data"])
            answer = {**answer, "counts": {"matching": n_tracks, "all": n_tracks}}
        self._json(answer)

    def _submit(self, body: dict[str, Any]) -> None:
        script = self.script
        task = f"vt_01M81JZ{len(script.tasks()):019d}"
        made = json.loads(json.dumps(script.answers["full"][script.log_task]))
        made |= {"id": task, "status": "pending", "created_at": "2026-11-22T12:05:49.000Z"}
        made |= {"started_at": None, "finished_at": None, "request": body}
        made["progress"] = {"processed_frames": 0, "total_frames": None, "fps": None}
        made |= {"source": body["input"][0].get("url", "upload")}
        script.answers["full"][task] = made
        listed = {k: v for k, v in made.items() if k != "request"} | {"tracks": 0}
        script.tasks().insert(0, listed)
        answer = {"id": task, "status": "pending", "stream_url": f"/v1/video/tasks/{task}/stream"}
        if key := self.headers.get("Idempotency-Key"):
            script.accepted[key] = answer
        self._json(answer, 202)

    def _stream(self, query: dict[str, list[str]], log: bytes) -> None:
        script = self.script
        offset = int(query.get("offset", ["0"])[0])
        if "from" in query:
            offset = script.start_of(query["from"][0], log)
        if offset < script.first_kept:
            self.send_response(410)
            self.send_header("Stream-First-Offset", str(script.first_kept))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if offset > len(log) and not script.open_log:
            self._problem(416, "offset_out_of_range", "The log is shorter.")
            return
        live = query.get("live", ["true"])[0] != "false"
        if offset == len(log) and not (live and script.open_log):
            self.send_response(204)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Stream-Start-Offset", str(offset))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        if script.feed is not None and live:
            for piece in script.feed():
                self.wfile.write(piece)
            return
        rest = log[offset:]
        if live and script.cut_after:
            self.wfile.write(rest[: script.cut_after.pop(0)])
            return
        self.wfile.write(rest)
        self.wfile.flush()
        if live and script.open_log:
            script.release.wait(30)

    def _problem(self, status: int, code: str, detail: str) -> None:
        body = {"type": "about:blank", "title": code, "status": status, "code": code}
        self._json(body | {"detail": detail}, status)

    def _json(self, value: Any, status: int = 200) -> None:
        self._bytes(json.dumps(value).encode(), "application/json", {}, status)

    def _latest(self, picture: tuple[int, str] | None) -> None:
        """Answer with the frame of a live source; `picture` is its index and time of capture."""
        if picture is None:
            self._problem(404, "frame_not_kept", "There is no picture of this live source.")
            return
        index, captured_at = picture
        headers = {"Frame-Width": "768", "Frame-Height": "576", "Frame-Index": str(index)}
        headers |= {"Frame-Captured-At": captured_at, "ETag": f'"{index}"'}
        is_known = self.headers.get("If-None-Match") == headers["ETag"]
        data = b"" if is_known else self.script.frame
        self._bytes(data, "image/jpeg", headers, 304 if is_known else 200)

    def _bytes(self, data: bytes, kind: str, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
