"""An embedded stack for a benchmark: started, asked over HTTP, stopped.

Benchmarks that want the same stack may share one: `--stack FILE` names what `lent_stack` wrote.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from benchmarks.report import require_engines

CLIP = Path(__file__).parents[1] / "console" / "data" / "pedestrians.mp4"
DETECT: list[dict[str, Any]] = [{"model": "detect", "parameters": {"classes": ["pedestrian"]}}]
EVERY_FRAME = {"mode": "interval", "value": 1}
_WARM_CHUNKS = 30
_CHUNK = b'"object":"mm.pipeline.chunk"'
_STOP_S = 60.0
_NO_LIMITS = {"FRAMEWIRE_SUBMISSIONS_PER_MINUTE": "0", "FRAMEWIRE_OPEN_STREAMS": "0"}
"""One project does all that a benchmark does."""


class Up(NamedTuple):
    """A running `framewire up`; `told` is what its `--json` says."""

    pid: int
    told: dict[str, Any]


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
                n_chunks += piece.count(_CHUNK)
                tail = (tail + piece)[-64:]
        if b"[DONE]" not in tail:
            raise SystemExit(f"the stream of {task} broke off")
        return first, time.perf_counter() - begun, n_chunks - 1

    def warm(self, clip: Path) -> None:
        """Let a worker compute the clip's beginning: what it loads once is loaded afterwards."""
        task = self.submit(clip, DETECT)
        n_chunks = 0
        with self.http.stream("GET", f"/v1/video/tasks/{task}/stream") as answer:
            for piece in answer.raise_for_status().iter_raw():
                n_chunks += piece.count(_CHUNK)
                if n_chunks >= _WARM_CHUNKS:
                    break
        self.http.post(f"/v1/video/tasks/{task}/cancel")  # refused when it was a short clip
        self.follow(task)

    def processes(self, role: str) -> list[int]:
        """Return the pids of a role's processes, such as `streamproc worker`."""
        found = []
        for child in psutil.Process(self.pid).children():
            with suppress(psutil.NoSuchProcess):  # killed a moment ago
                if role in " ".join(child.cmdline()):
                    found.append(child.pid)
        return found


@contextmanager
def framewire_up(data: Path, *roots: Path, workers: int, **environ: str) -> Iterator[Up]:
    """Start `framewire up` on `data`; files below `roots` may be sources."""
    require_engines()
    flags = [flag for root in roots for flag in ("--file-root", str(root))]
    command = [sys.executable, "-m", "console", "up", "--json", "--workers", str(workers)]
    process = subprocess.Popen(
        [*command, "--data", str(data), *flags],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | _NO_LIMITS | environ,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the stack did not start")
        yield Up(process.pid, json.loads(line))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise SystemExit(f"the stack did not stop within {_STOP_S:g} s") from None


@contextmanager
def lent_stack(folder: Path, *roots: Path, workers: int) -> Iterator[list[str]]:
    """Start a stack for several benchmarks; yield their arguments that name it."""
    with framewire_up(folder / "data", *roots, workers=workers) as up:
        file = folder / "stack.json"
        file.touch(mode=0o600)  # it has a key
        file.write_text(json.dumps(up))
        yield ["--stack", str(file)]


def add_stack_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", type=Path, metavar="FILE", help="a stack that already runs")


@contextmanager
def stack_up(
    lent: Path | None, data: Path, *roots: Path, workers: int, **environ: str
) -> Iterator[Up]:
    """Give the stack that `lent` names, else start one."""
    if lent is not None:
        yield Up(*json.loads(lent.read_text()))
        return
    with framewire_up(data, *roots, workers=workers, **environ) as up:
        yield up


@contextmanager
def running_stack(
    data: Path, *roots: Path, workers: int = 1, lent: Path | None = None, **environ: str
) -> Iterator[Stack]:
    """Start `framewire up` on `data`, or take the one that `lent` names."""
    with stack_up(lent, data, *roots, workers=workers, **environ) as (pid, told):
        headers = {"Authorization": f"Bearer {told['key']}"}
        with httpx.Client(base_url=told["url"], headers=headers, timeout=600) as http:
            yield Stack(pid, told["url"], http)


def another_projects_key(url: str, data: Path) -> str:
    """Make a project on the stack at `url` that keeps its secrets in `data`; return its key."""
    secrets = json.loads((data / "secrets.json").read_text())
    headers = {"Authorization": f"Bearer {secrets['admin_key']}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as admin:
        made = admin.post("/v1/admin/projects", json={"name": "another"}).raise_for_status()
        answer = admin.post("/v1/admin/keys", json={"project": made.json()["id"]})
    return str(answer.raise_for_status().json()["key"])
