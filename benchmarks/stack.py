"""An embedded stack for a benchmark: started, asked over HTTP, stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

CLIP = Path(__file__).parents[1] / "console" / "data" / "pedestrians.mp4"
DETECT = [{"model": "detect", "parameters": {"classes": ["pedestrian"]}}]
EVERY_FRAME = {"mode": "interval", "value": 1}


@dataclass(frozen=True)
class Stack:
    """A running stack and a client for it."""

    pid: int
    url: str
    http: httpx.Client

    def submit(self, clip: Path, steps: list[dict[str, Any]], **source: Any) -> str:
        body = {
            "input": [
                {
                    "type": "video_url",
                    "url": clip.resolve().as_uri(),
                    "sampling": EVERY_FRAME,
                    **source,
                }
            ],
            "steps": steps,
        }
        answer = self.http.post("/v1/video/process", json=body)
        answer.raise_for_status()
        task: str = answer.json()["id"]
        return task

    def follow(self, task: str) -> tuple[float, float, int]:
        """Return (seconds to the first chunk, to `[DONE]`, number of chunks) from now on."""
        begun = time.perf_counter()
        first, n_chunks, tail = 0.0, 0, b""
        with self.http.stream("GET", f"/v1/video/tasks/{task}/stream") as answer:
            answer.raise_for_status()
            for piece in answer.iter_raw():
                first = first or time.perf_counter() - begun
                n_chunks += piece.count(b"\ndata: {")
                tail = (tail + piece)[-64:]
        if b"[DONE]" not in tail:
            raise SystemExit(f"the stream of {task} broke off")
        return first, time.perf_counter() - begun, n_chunks - 1

    def processes(self, role: str) -> list[int]:
        """Return the pids of a role's processes, such as `streamproc worker`."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.pid), "-f", role], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]


@contextmanager
def running_stack(data: Path, *roots: Path, workers: int = 1, **environ: str) -> Iterator[Stack]:
    """Start `framewire up` on `data`; files below `roots` may be sources."""
    flags = [flag for root in roots for flag in ("--file-root", str(root))]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "console",
            "up",
            "--json",
            "--port",
            "0",
            "--data",
            str(data),
            "--workers",
            str(workers),
            *flags,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the stack did not start")
        told = json.loads(line)
        headers = {"Authorization": f"Bearer {told['key']}"}
        with httpx.Client(base_url=told["url"], headers=headers, timeout=600) as http:
            yield Stack(process.pid, told["url"], http)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
