"""A running stack, tasks of cameras on it, and a reader that notes when each chunk came."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil
from msgspec import UNSET

from api.contract.system import WorkerResource
from api.contract.tasks import LiveSource
from console.cli.request_builder import RequestWords, build_request
from console.client import calls
from console.client.log_stream import Following
from console.client.sync_client import Client
from console.client.video_input import video_input
from console.errors import ApiProblem
from console.stack.environment import without_options
from console.stack.running import Addresses, running_stack
from streamproc.contract import env
from streamproc.contract.chunk import Chunk, StreamInfo, decode_chunk
from streamproc.contract.framing import DONE
from tests.live.camera import camera
from tests.live.checks import check_live_chunks, frames_of
from tests.live.clip import Clip, film
from tests.ports import free_ports
from tests.workers import CLIP

_HOLE_S = 4.0
LOGIN = ("operator", "x7-Zq_faults-only")
PEDESTRIANS = RequestWords(detect=("pedestrian",), fps=5.0)


@dataclass
class Rig:
    """`gate_port`: where the stack expects the camera that it knows as `camera:gate`."""

    stack: Addresses
    client: Client
    directory: Path
    gate_port: int
    n_workers: int
    is_warm: bool = False

    def warm(self) -> None:
        """Let each worker compute some frames: what is loaded once is loaded afterwards."""
        self.is_warm = True
        with camera(street()) as one:
            tasks = [Watching(self, one.url()) for _ in range(self.n_workers)]
            for task in tasks:
                task.wait_frames(20)
            for task in tasks:
                task.cancel()

    def process(self, mark: str) -> psutil.Process:
        """Return the stack's process with `mark` in its command line."""
        for one in psutil.Process().children(recursive=True):
            if mark in " ".join(one.cmdline()):
                return one
        raise AssertionError(f"no {mark} runs")

    def process_of(self, pid: int) -> psutil.Process:
        """Return the stack's process with that id."""
        (one,) = (p for p in psutil.Process().children(recursive=True) if p.pid == pid)
        return one

    def workers(self) -> list[WorkerResource]:
        return [one for one in self.client.send(calls.system()).workers if one.alive]


def street(fps: int = 10, *, still: bool = False) -> Clip:
    """Return people who walk, or one picture of them for ever."""
    return film(str(CLIP), (640, 480), fps=fps, gop=fps, n_pictures=1 if still else 120)


@contextmanager
def rig(n_workers: int) -> Iterator[Rig]:
    """Run a stack that may read cameras on 127.0.0.1, and no others."""
    (port,) = free_ports(1)
    with TemporaryDirectory(prefix="framewire-faults-") as name:
        directory = Path(name)
        sources = directory / "sources.toml"
        sources.write_text(
            f'[[source]]\nname = "gate"\nurl = "rtsp://127.0.0.1:{port}/cam"\n'
            'user_env = "GATE_USER"\npassword_env = "GATE_PASSWORD"\n'
        )
        environ = without_options(os.environ) | {
            "GATE_USER": LOGIN[0],
            "GATE_PASSWORD": LOGIN[1],
            env.SOURCES: str(sources),
            env.PRIVATE_HOSTS: "127.0.0.1",
        }
        arguments = [
            f"--data={directory / 'data'}",
            f"--sources={sources}",
            f"--file-root={CLIP.parent}",
            f"--workers={n_workers}",
        ]
        with (
            running_stack(arguments, environ, stderr=directory / "stack.log") as stack,
            Client(stack.url, stack.key) as client,
        ):
            yield Rig(stack, client, directory, port, n_workers)


class Seen(NamedTuple):
    """A chunk, and when it came: monotonic and since 1970."""

    at_s: float
    wall_s: float
    chunk: Chunk

    @property
    def info(self) -> StreamInfo:
        return self.chunk.stream_info

    @property
    def is_frame(self) -> bool:
        return self.chunk.finish_reason is None and not self.info.is_notice

    @property
    def age_s(self) -> float:
        """Time from the picture to the client."""
        return self.wall_s - captured_s(self.info)


def captured_s(info: StreamInfo) -> float:
    return datetime.fromisoformat(str(info.captured_at)).timestamp()


class Watching(threading.Thread):
    """A submitted task whose log is followed by this thread."""

    def __init__(
        self, rig: Rig, url: str, words: RequestWords = PEDESTRIANS, **live: object
    ) -> None:
        super().__init__(daemon=True)
        self._client = Client(rig.stack.url, rig.stack.key)
        body = build_request(video_input(url, ()), words)
        body["input"][0]["live"] = {**body["input"][0].get("live", {}), **live}
        self.begun_s = time.monotonic()
        self.task = self._submitted(body)
        self.seen: list[Seen] = []
        self.log = b""
        self._changed = threading.Condition()
        self.start()

    def _submitted(self, body: dict[str, Any]) -> str:
        """Submit; wait while the tasks before are still counted in the workers' live slots."""
        for _ in range(20):
            self.begun_s = time.monotonic()
            try:
                return self._client.send(calls.submit(body)).id
            except ApiProblem as exc:
                if exc.code != "live_full":
                    raise
            time.sleep(1.0)
        raise AssertionError("no worker has room")

    def run(self) -> None:
        for piece in self._client.follow(Following(self.task)):
            now_s, wall_s = time.monotonic(), time.time()
            chunks = [decode_chunk(event.data) for event in piece.events if event.data != DONE]
            with self._changed:
                self.log += piece.data
                self.seen += [Seen(now_s, wall_s, one) for one in chunks]
                self._changed.notify_all()
        self._changed.acquire()
        self._changed.notify_all()
        self._changed.release()

    def frames(self, since_s: float = 0.0) -> list[Seen]:
        """Return the frames that came since a monotonic time."""
        return [one for one in self.seen if one.is_frame and one.at_s >= since_s]

    def first(self, wanted: Callable[[Seen], bool], since_s: float = 0.0) -> Seen | None:
        return next((one for one in self.seen if one.at_s >= since_s and wanted(one)), None)

    def wait(
        self, wanted: Callable[[Seen], bool], since_s: float = 0.0, timeout_s: float = 60.0
    ) -> Seen:
        """Wait for a chunk that came since then."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.first(wanted, since_s) or not self.is_alive(), timeout_s
            )
        found = self.first(wanted, since_s)
        assert found is not None, f"not seen within {timeout_s:g} s: {self.state()}"
        return found

    def wait_frames(self, n: int, since_s: float = 0.0, timeout_s: float = 90.0) -> None:
        """Wait for so many frames since then."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self.frames(since_s)) >= n or not self.is_alive(), timeout_s
            )
        assert len(self.frames(since_s)) >= n, f"too few frames: {self.state()}"

    def state(self) -> LiveSource | None:
        found = self._client.send(calls.task(self.task)).live
        return None if found is UNSET else found

    def cancel(self, timeout_s: float = 60.0) -> float:
        """Cancel the task; return after how many seconds its log had ended."""
        begun_s = time.monotonic()
        self._client.send(calls.cancel(self.task))
        self.join(timeout_s)
        assert not self.is_alive(), "the log did not end"
        return time.monotonic() - begun_s

    @property
    def terminal(self) -> Chunk:
        assert self.seen[-1].chunk.finish_reason is not None
        return self.seen[-1].chunk

    def read_again(self) -> bytes:
        """Return the log as the api gives it now, from its first byte."""
        return b"".join(piece.data for piece in self._client.follow(Following(self.task)))

    def problem(self) -> str:
        """Return what is wrong with the log's order, times, counters and ids; empty if nothing."""
        try:
            check_live_chunks([one.chunk for one in self.seen])
        except AssertionError as exc:
            return str(exc) or "order, times, counters or ids"
        return ""

    def ids(self, since_s: float = 0.0, until_s: float = float("inf")) -> set[int]:
        """Return the track ids of frames that came within these times."""
        return {
            target.track_id
            for one in self.seen
            if since_s <= one.at_s < until_s
            for result in one.chunk.delta.results
            for target in result.targets
        }

    def unexplained(self) -> list[float]:
        """Return how long no frame was captured, in s, where the next one tells of no gap."""
        frames = self.frames()
        return [
            captured_s(b.info) - captured_s(a.info)
            for a, b in pairwise(frames)
            if captured_s(b.info) - captured_s(a.info) > _HOLE_S and b.info.gap is UNSET
        ]

    def gaps(self) -> list[tuple[str, float]]:
        infos = frames_of([one.chunk for one in self.seen])
        return [(info.gap.reason, info.gap.seconds) for info in infos if info.gap is not UNSET]
