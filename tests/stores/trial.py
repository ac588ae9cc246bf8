"""What a whole stack does on one S3: from a missing bucket to maintenance, with deaths between."""

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from console.stack.running import Addresses, running_stack
from streamproc.contract.object_keys import final_key
from tests.engines import S3Server
from tests.workers import CLIP, chunks_of, timeless

PATIENCE_S = 180.0
UPLOAD_BYTES = 60 * 1024 * 1024
FRAME = 3
STEPS_AFTERWARDS = (
    (("verify",), "0 findings"),
    (("reindex", "--empty"), "2 tasks indexed, 0 damaged"),
    (("verify",), "0 findings"),
)


class Outcome(NamedTuple):
    """What must be the same on every store; `similar` are the labels of the nearest tracks."""

    chunks: list[dict[str, Any]]
    large_chunks: list[dict[str, Any]]
    preview: bytes
    similar: list[str]


def outcome_on(server: S3Server | None, directory: Path) -> Outcome:
    """Run all steps; None is the embedded store. Raises `AssertionError` naming the step."""
    data = directory / "data"
    arguments = [f"--data={data}", "--workers=2"]
    environ = dict(os.environ)
    if server is not None:
        arguments.append(f"--s3-endpoint={server.endpoint}")
        environ |= {name: value for name, value in server.environ.items() if value}
    with running_stack(arguments, environ, stderr=directory / "up.log") as at:
        stack = _Stack(at)
        task = stack.submit(uploaded(CLIP.read_bytes()))
        stack.follow(task, 8000)
        stack.kill("worker")
        log = stack.follow(task)
        stack.wait_archived(task)
        stack.kill("api")
        until(stack.is_ready, "the api is back")
        assert stack.follow(task) == log, "the cold replay is another log"
        preview = stack.get(f"/v1/video/tasks/{task}/frames/{FRAME}.jpg").content
        large = stack.submit(uploaded(padded(CLIP.read_bytes(), UPLOAD_BYTES), last=40))
        large_log = stack.follow(large)
        stack.wait_archived(large)
        similar = stack.similar(task)
    for command, told in STEPS_AFTERWARDS:
        said = maintain(*command, "--data", str(data))
        assert told in said, f"{command[0]}: {said}"
    return Outcome(timeless(chunks_of(log)), timeless(chunks_of(large_log)), preview, similar)


def uploaded(video: bytes, **more: int) -> dict[str, Any]:
    item: dict[str, Any] = {
        "type": "video_base64",
        "data": base64.b64encode(video).decode(),
        "sampling": {"mode": "interval", "value": 1},
    }
    if "last" in more:
        item["range"] = {"unit": "frames", "start": 0, "end": more["last"]}
    detect = {"model": "detect", "parameters": {"classes": ["pedestrian"]}}
    return {"input": [item], "steps": [detect, {"model": "feature"}]}


def padded(video: bytes, n_bytes: int) -> bytes:
    """Return an MP4 of about so many bytes that shows the same: a box of nothing at its end."""
    n_more = n_bytes - len(video)
    return video + n_more.to_bytes(4, "big") + b"free" + bytes(n_more - 8)


def until(holds: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(0.2)


class _Stack:
    """A running stack, asked as a client asks."""

    def __init__(self, at: Addresses) -> None:
        self._at = at
        s3 = at.s3
        self._s3 = S3Server(s3.endpoint, s3.access_key, s3.secret_key, s3.bucket)
        headers = {"Authorization": f"Bearer {at.key}"}
        self._http = httpx.Client(base_url=at.url, headers=headers, timeout=60, trust_env=False)

    def get(self, path: str, **parameters: str) -> httpx.Response:
        answer = self._http.get(path, params=parameters)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer

    def submit(self, body: dict[str, Any]) -> str:
        answer = self._http.post("/v1/video/process", json=body)
        assert answer.status_code == 202, answer.text
        task: str = answer.json()["id"]
        return task

    def follow(self, task: str, n_bytes: int | None = None) -> bytes:
        """Read the log from its start to its end, or so far."""
        log = b""
        with self._http.stream("GET", f"/v1/video/tasks/{task}/stream") as answer:
            assert answer.status_code == 200
            for piece in answer.iter_raw():
                log += piece
                if n_bytes is not None and len(log) >= n_bytes:
                    break
        return log

    def kill(self, role: str) -> None:
        """Kill the processes of a role; the supervisor starts them again."""
        killed = [
            process
            for process in psutil.Process().children(recursive=True)
            if process.cmdline()[-1:] == [role]
        ]
        assert killed, f"no {role} runs"
        for process in killed:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(killed)

    def is_ready(self) -> bool:
        try:
            return self._http.get("/health/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def wait_archived(self, task: str) -> None:
        key, client = final_key(self._at.project, task), self._s3.client()

        def is_there() -> bool:
            found = client.list_objects_v2(Bucket=self._s3.bucket, Prefix=key)
            return bool(found.get("Contents"))

        until(is_there, "the archive has the task")

    def similar(self, task: str) -> list[str]:
        """Return what is nearest to the task's first track, once it is indexed."""
        path = "/v1/video/tracks"
        until(lambda: bool(self.get(path, task=task).json()["data"]), "the index has the task")
        first = min(self.get(path, task=task).json()["data"], key=lambda one: one["track_id"])
        found = self.get(path, similar_to=f"{task}:{first['track_id']}", task=task, limit="5")
        return [f"{one['track_id']} {one['class']}" for one in found.json()["data"]]


def maintain(*arguments: str) -> str:
    """Run a command of maintenance, which knows its stores by the directory; return its words."""
    command = [sys.executable, "-m", "console", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments[0]}: {done.stdout}{done.stderr}"
    return done.stdout
