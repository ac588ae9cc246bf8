"""How the console takes a burst: `python -m benchmarks.console_burst [--rate 500] [--keys 60]`.

A server of this process streams made-up chunks at a fixed rate; the real console follows them in a
pseudo terminal. Keys are typed into that terminal; a key's latency ends when the terminal receives
what the key changes on the screen. Printed: latency (the aim is p95 ≤ 100 ms), chunks that
arrived per second, and the console's memory over the run (the aim is no growth).
"""

import argparse
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from console.tui.drawing.formatting import quantile
from streamproc.contract.chunk import (
    CHUNK_OBJECT,
    Chunk,
    Delta,
    Result,
    Roi,
    StreamInfo,
    Target,
    encode_chunk,
)
from streamproc.contract.framing import frame_event

TASK = "vt_01M81JACG3Y8W341FTAFW0DDGE"
AIM_MS = 100.0
N_TARGETS = 8
_HELD = re.compile(rb"HELD")
_LIVE = re.compile(rb"LIVE")


def chunk_data(frame: int) -> bytes:
    targets = tuple(
        Target(
            track_id=1 + (frame // 300) * N_TARGETS + i,
            class_name=("pedestrian", "automobile", "bicycle")[i % 3],
            confidence=0.5 + (frame * 7 + i * 13) % 50 / 100,
            roi=Roi((frame * 3 + i * 90) % 700, 40 * i, 60, 120),
        )
        for i in range(N_TARGETS)
    )
    info = StreamInfo(frame, None, frame + 1, 0, 25.0, frame * 2)
    chunk = Chunk(TASK, CHUNK_OBJECT, info, Delta((Result(0, targets),)), None)
    return encode_chunk(chunk)


class Burst(BaseHTTPRequestHandler):
    """Answers as an api with one task that never ends."""

    rate: ClassVar[float] = 500.0
    n_sent: ClassVar[int] = 0
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        if self.path.partition("?")[0].endswith("/stream"):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                self._stream()
            except OSError:
                return
        elif self.path.partition("?")[0] == f"/v1/video/tasks/{TASK}":
            self._json(200, task())
        elif self.path.startswith("/v1/video/tasks?"):
            self._json(200, {"data": [task()], "next_cursor": None})
        else:
            problem = {"type": "about:blank", "title": "Gone", "status": 410, "code": "gone"}
            self._json(410, problem | {"detail": "no picture"})

    def _stream(self) -> None:
        offset, frame, started_s = 0, 0, time.monotonic()
        while True:
            due = int((time.monotonic() - started_s) * self.rate)
            for at in range(frame, due):
                event = frame_event(chunk_data(at), offset)
                offset += len(event)
                self.wfile.write(event)  # one write per chunk: as they would come
            frame = max(frame, due)
            Burst.n_sent = frame
            time.sleep(0.002)

    def _json(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def task() -> dict[str, Any]:
    return {
        "id": TASK,
        "object": "video.task",
        "status": "running",
        "created_at": "2026-01-31T12:00:00.000Z",
        "started_at": "2026-01-31T12:00:00.000Z",
        "finished_at": None,
        "model": None,
        "provider": "local",
        "attempts": [],
        "progress": {"processed_frames": 1, "total_frames": None, "fps": 25.0},
        "error": None,
        "stream_url": "",
        "results_url": "",
        "request": {"input": [{"type": "video_url", "url": "rtsp://x/y"}], "steps": []},
    }


class Terminal:
    """A console in a pseudo terminal of 160 by 48."""

    def __init__(self, url: str) -> None:
        self._fd, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 48, 160, 0, 0))
        environ = os.environ | {
            "FRAMEWIRE_URL": url,
            "FRAMEWIRE_KEY": "fw_x",
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "console", "console", "--no-graphics"],
            stdin=child,
            stdout=child,
            stderr=child,
            env=environ,
            start_new_session=True,
        )
        os.close(child)
        self.n_bytes = 0

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def wait(self, pattern: "re.Pattern[bytes]", within_s: float = 30.0) -> float:
        """Return the seconds until the pattern is drawn; what was drawn before does not count."""
        started_s = time.monotonic()
        seen = b""
        while time.monotonic() - started_s < within_s:
            if select.select([self._fd], [], [], 0.05)[0]:
                piece = os.read(self._fd, 65536)
                self.n_bytes += len(piece)
                seen = seen[-64:] + piece
                if pattern.search(seen):
                    return time.monotonic() - started_s
        raise SystemExit(f"{pattern.pattern!r} never came")

    def drain(self, for_s: float) -> None:
        end_s = time.monotonic() + for_s
        while (left_s := end_s - time.monotonic()) > 0:
            if select.select([self._fd], [], [], left_s)[0]:
                self.n_bytes += len(os.read(self._fd, 65536))

    def rss_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=500.0, help="chunks per second")
    parser.add_argument("--keys", type=int, default=60, help="keys to type")
    options = parser.parse_args()
    Burst.rate = options.rate
    server = ThreadingHTTPServer(("127.0.0.1", 0), Burst)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    terminal = Terminal(f"http://127.0.0.1:{server.server_port}")
    try:
        report = measure(terminal, options.keys)
    finally:
        terminal.end()
        server.shutdown()
    print(json.dumps(report, indent=2))
    return 0 if report["latency_p95_ms"] <= AIM_MS else 1


def measure(terminal: Terminal, n_keys: int) -> dict[str, float]:
    terminal.wait(re.compile(TASK[-6:].encode()))
    terminal.type("\r")
    terminal.wait(_LIVE)
    terminal.drain(3.0)
    first_mib, first_sent, started_s = terminal.rss_mib(), Burst.n_sent, time.monotonic()
    latencies_ms: list[float] = []
    for i in range(n_keys):
        terminal.type(" " if i % 2 == 0 else "l")
        latencies_ms.append(1000 * terminal.wait(_HELD if i % 2 == 0 else _LIVE))
        terminal.drain(0.15)
    took_s = time.monotonic() - started_s
    return {
        "keys": n_keys,
        "latency_p50_ms": round(quantile(latencies_ms, 0.5) or 0, 1),
        "latency_p95_ms": round(quantile(latencies_ms, 0.95) or 0, 1),
        "latency_max_ms": round(max(latencies_ms), 1),
        "chunks_per_s": round((Burst.n_sent - first_sent) / took_s, 1),
        "rss_first_mib": round(first_mib, 1),
        "rss_last_mib": round(terminal.rss_mib(), 1),
        "load_1min": os.getloadavg()[0],
    }


if __name__ == "__main__":
    sys.exit(main())
