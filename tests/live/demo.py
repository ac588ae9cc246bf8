"""`make demo-live`: the test camera, a whole stack, and seconds of live results with their latency.

The camera shows the bundled clip and asks for a login, which it gets from a named source. A
picture's age is that at the client: from the camera's own clock to the chunk's arrival.
"""

import argparse
import os
import secrets
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from console.cli.chunk_lines import LiveLines
from console.cli.commands.stream import read_chunk
from console.cli.commands.tasks import fetch_results, print_results, wait_for_end
from console.cli.request_builder import RequestWords, build_request
from console.cli.terminal import Terminal
from console.client import calls
from console.client.log_stream import Following
from console.client.sync_client import Client
from console.client.video_input import video_input
from console.printable import echo
from console.stack.environment import without_options
from console.stack.running import Addresses, running_stack
from streamproc.contract import env
from streamproc.contract.framing import DONE
from tests.live.camera import Camera, camera
from tests.live.clip import Clip, film
from tests.workers import CLIP

LOGIN = ("operator", f"x7-Zq_{secrets.token_hex(8)}")
"""Of this process alone: it is searched for in all others on the machine."""
ACTIVE = frozenset({"pending", "running"})
_FPS = 10


@dataclass
class Seen:
    """What a client saw: the age of each frame at its arrival, in s."""

    ages_s: list[float] = field(default_factory=list)
    captured: dict[int, str] = field(default_factory=dict)
    """When each frame was captured, by its index."""
    first_s: float | None = None
    """From the POST to the first chunk."""

    @property
    def text(self) -> str:
        if len(self.ages_s) < 2:
            return "no frames"
        p50, p95 = (statistics.quantiles(self.ages_s, n=20)[n] for n in (9, 18))
        return (
            f"first chunk after {self.first_s:.2f} s; {len(self.ages_s)} frames, "
            f"picture to client p50 {p50:.3f} s, p95 {p95:.3f} s, max {max(self.ages_s):.3f} s"
        )


@contextmanager
def stack_with_camera(
    directory: Path, shown: Clip | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[tuple[Addresses, Camera]]:
    """Run a camera that asks for a login, and a stack that knows it as `camera:gate`.

    `settings`: further environment variables of the stack.
    """
    shown = shown or film(str(CLIP), (640, 480), fps=_FPS, gop=_FPS, n_pictures=120)
    with camera(shown, login=LOGIN) as gate:
        sources = directory / "sources.toml"
        sources.write_text(
            f'[[source]]\nname = "gate"\nurl = "{gate.url()}"\n'
            'user_env = "GATE_USER"\npassword_env = "GATE_PASSWORD"\n'
        )
        environ = without_options(os.environ) | {
            "GATE_USER": LOGIN[0],
            "GATE_PASSWORD": LOGIN[1],
            env.SOURCES: str(sources),
            **(settings or {}),
        }
        arguments = [
            f"--data={directory / 'data'}",
            f"--sources={sources}",
            f"--file-root={CLIP.parent}",
        ]
        with running_stack(arguments, environ) as stack:
            yield stack, gate


def watch(
    client: Client,
    seconds: float,
    *,
    fps: float = 5.0,
    record: int | None = None,
    source: str = "camera:gate",
    prints: bool = True,
) -> tuple[str, Seen]:
    """Submit the camera, print its chunks for so long, and cancel; return the task and figures."""
    words = RequestWords(detect=("pedestrian",), fps=fps, record=record)
    began_s = time.monotonic()
    task = client.send(calls.submit(build_request(video_input(source, ()), words))).id
    seen, lines = Seen(), LiveLines()
    over = threading.Timer(seconds, lambda: client.send(calls.cancel(task)))
    for piece in client.follow(Following(task)):
        for event in piece.events:
            if event.data == DONE:
                continue
            chunk = read_chunk(event.data)
            for line in lines.lines(chunk) if prints else ():
                echo(line)
            info = chunk.stream_info
            if chunk.finish_reason is None and isinstance(info.captured_at, str):
                captured_s = datetime.fromisoformat(info.captured_at).timestamp()
                seen.ages_s.append(time.time() - captured_s)
                seen.captured[info.frame_index] = info.captured_at
                if seen.first_s is None:
                    seen.first_s = time.monotonic() - began_s
                    over.start()
    over.cancel()
    return task, seen


def watch_many(stack: Addresses, n_tasks: int, seconds: float, fps: float) -> None:
    """Follow so many tasks of the camera at once; print each one's figures and drops."""

    def follow(number: int) -> str:
        with Client(stack.url, stack.key) as client:
            task, seen = watch(client, seconds, fps=fps, prints=False)
            wait_for_end(client, task)
            dropped = fetch_results(client, task).usage.dropped
            return f"camera {number}: {seen.text}; dropped {dropped}"

    with ThreadPoolExecutor(n_tasks) as threads:
        for line in threads.map(follow, range(1, n_tasks + 1)):
            echo(line)


@contextmanager
def files_beside(client: Client, n_tasks: int) -> Iterator[None]:
    """Keep so many tasks with every frame of the clip unfinished."""
    over = threading.Event()
    words = RequestWords(detect=("pedestrian",), feature=True, interval=1)
    body = build_request(video_input(str(CLIP), (CLIP.parent,)), words)

    def submit() -> None:
        running: list[str] = []
        while not over.wait(0.3):
            running = [one for one in running if client.send(calls.task(one)).status in ACTIVE]
            while len(running) < n_tasks:
                running.append(client.send(calls.submit(body)).id)

    thread = threading.Thread(target=submit, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.live.demo", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--cameras", type=int, default=1, help="tasks at once; prints figures only")
    parser.add_argument("--batch", type=int, default=0, help="tasks of files beside it, second run")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="framewire-live-") as directory,
        stack_with_camera(Path(directory)) as (stack, _),
        Client(stack.url, stack.key) as client,
    ):
        if arguments.cameras > 1:
            watch_many(stack, arguments.cameras, arguments.seconds, arguments.fps)
            return 0
        task, seen = watch(client, arguments.seconds, fps=arguments.fps)
        wait_for_end(client, task)
        print_results(Terminal(), fetch_results(client, task))
        echo(f"framewire: {seen.text}", err=True)
        if arguments.batch:
            with files_beside(client, arguments.batch):
                _, seen = watch(client, arguments.seconds, fps=arguments.fps)
            echo(f"framewire: beside {arguments.batch} files: {seen.text}", err=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
